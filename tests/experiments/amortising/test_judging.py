"""What is said of a frame whose truth is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.accuracy.frames import Runs
from experiments.amortising.judging import SHAPE, Judged, checks, converged, judge
from iss_jax.masks import sample_masks

P = 0.3
TRUTH = np.random.default_rng(0).normal(size=SHAPE).ravel()


def runs(seed, count, gradients=False):
    """Of a policy whose effects are the sum of its cells' contrasts, and noise."""
    masks = sample_masks(
        jax.random.key(seed), count, 3, grid=(7, 7), keep_prob=P, design="bernoulli"
    )
    drops = (~np.asarray(masks)).reshape(count, -1)
    noise = np.random.default_rng(seed).normal(size=count)
    slopes = np.tile(-TRUTH.reshape(SHAPE), (count, 1, 1, 1)) if gradients else None
    return Runs(
        masks,
        jnp.asarray(drops @ TRUTH + noise, jnp.float32),
        None if slopes is None else jnp.asarray(slopes, jnp.float32),
    )


@pytest.fixture(scope="module")
def frame():
    sloped = runs(1, 4, gradients=True)
    wanted, scale = converged([runs(10 + part, 400) for part in range(4)], sloped, P)
    half = np.where(np.arange(TRUTH.size) % 2 == 0, TRUTH, 0.0)
    return Judged(
        {}, wanted, scale, runs(2, 40), sloped, {"head": half, "mean map": np.zeros(147)}, 0.4
    )


def test_the_converged_map_is_the_truth_up_to_its_reliability(frame):
    r = np.corrcoef(frame.wanted, TRUTH)[0, 1]
    assert r > 0.97 and abs(frame.scale - r) < 0.03


def test_maps_are_compared_with_it(frame):
    rows = judge(frame, P, {"plain": (20,), "sloped": (1, 4)}, repeats=2)
    r = {(row["method"], row["runs"]): row["r"] for row in rows}
    assert r["head", 0] == pytest.approx(0.5**0.5, abs=0.1) and r["mean map", 0] == 0.0
    # Every gradient says the truth; a control that does takes off all but the noise.
    assert min(r["gradient", 1], r["clipped", 4], r["bands", 4]) > 0.95
    assert r["control: converged map", 20] > 0.8 > r["centred", 20]
    assert r["control: converged map", 20] > r["control: head", 20] > r["centred", 20] - 0.1
    assert ("bands", 1) not in r and ("clipped and bands", 1) not in r


def test_checks_say_more_of_a_better_head(frame):
    says = {(row["check"], row["runs"]): row["says"] for row in checks(frame, (4, 20))}
    assert says["doubt", 0] == -0.4
    assert says["fresh runs with gradients", 4] > 0.6
    assert ("fresh runs with gradients", 20) not in says
    assert says["fresh runs", 20] > 0.3
