"""A predicted map as control variate: unbiased by enumeration, and worth what it explains."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from enumeration import CELLS, target

from iss_jax import ISSConfig, estimators
from iss_jax.control import check_control, estimate_with_control
from iss_jax.masked_runs import masked_saliency
from iss_jax.masks import sample_masks

P = 0.3


def interacting(cells):
    """Effects with interactions: what is dropped together counts more."""
    drops = (~cells).reshape(len(cells), -1).astype(np.float64)
    single = drops @ np.array([1.0, 0.2, 0.5, 0.0])
    return single + 0.7 * drops[:, 0] * drops[:, 3] + 0.4 * drops[:, 1] * drops[:, 2]


CONTROLS = {
    "good": [1.2, 0.4, 0.8, 0.5],
    "of another scale": [9.0, 2.0, 5.0, 3.0],
    "bad": [0, 1, 0, -3],
}


@pytest.mark.parametrize("name", CONTROLS)
def test_three_runs_are_unbiased_over_all_draws_of_their_masks(name):
    """All 16^3 triples of masks of a 2 x 2 grid, each by its probability."""
    control = jnp.asarray(CONTROLS[name], jnp.float32).reshape(2, 2)
    effect = interacting(CELLS)
    chance = np.where(CELLS.reshape(16, -1), P, 1 - P).prod(1)
    triples = np.array(list(itertools.product(range(16), repeat=3)))

    @jax.jit
    @jax.vmap
    def scores(masks, effects):
        return estimate_with_control(masks, effects, control, keep_prob=P).scores

    found = scores(jnp.asarray(CELLS[triples]), jnp.asarray(effect[triples], jnp.float32))
    mean = (np.asarray(found, np.float64) * chance[triples].prod(1)[:, None, None]).sum(0)
    np.testing.assert_allclose(mean, target(P, effect), rtol=2e-4)


def repeated(control, effects_of, runs=40, repeats=300):
    keys = jax.random.split(jax.random.key(3), repeats)

    @jax.jit
    @jax.vmap
    def one(key):
        masks = sample_masks(key, runs, 1, grid=(3, 4), keep_prob=P, design="bernoulli")
        effects = effects_of(~masks.reshape(runs, -1))
        found = estimate_with_control(masks, effects, control, keep_prob=P)
        plain = estimators.estimate(masks, effects, keep_prob=P)
        return found, plain

    return one(keys)


WEIGHTS = jnp.linspace(-1.0, 2.0, 12)


def mostly_additive(drops):
    d = drops.astype(jnp.float32)
    return d @ WEIGHTS + 0.5 * d[:, 0] * d[:, 11]


def test_a_good_control_takes_off_what_it_explains_and_says_so():
    found, plain = repeated(5.0 * WEIGHTS.reshape(1, 3, 4), mostly_additive)
    spread, usual = (np.var(np.asarray(x.scores), 0).mean() for x in (found, plain))
    assert spread < 0.1 * usual
    claimed = np.square(np.asarray(found.contrast_stderr)).mean()
    contrasts = np.asarray(found.scores) - np.asarray(found.scores).mean((1, 2, 3), keepdims=True)
    assert 0.5 < claimed / contrasts.var(0).mean() < 1.5


def test_a_control_of_nothing_is_centred():
    masks = sample_masks(jax.random.key(0), 9, 2, grid=(2, 2), keep_prob=P, design="bernoulli")
    effects = jax.random.uniform(jax.random.key(1), (9,))
    found = estimate_with_control(masks, effects, jnp.zeros((2, 2, 2)), keep_prob=P)
    wanted = estimators.estimate(masks, effects, keep_prob=P)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_cells_that_mask_nothing_are_zero_and_change_nothing():
    masks = sample_masks(jax.random.key(0), 9, 2, grid=(2, 2), keep_prob=P, design="bernoulli")
    effects = jax.random.uniform(jax.random.key(1), (9,))
    active = jnp.ones((2, 2, 2), bool).at[1].set(False)
    control = jax.random.normal(jax.random.key(2), (2, 2, 2))
    found = estimate_with_control(masks, effects, control, keep_prob=P, active=active)
    alone = estimate_with_control(masks[:, :1], effects, control[:1], keep_prob=P)
    for a, b in zip(found, alone, strict=True):
        np.testing.assert_allclose(a[:1], b, rtol=1e-5)
        assert not np.any(np.asarray(a[1]))


@pytest.mark.parametrize(
    ("shape", "changes", "said"),
    [
        ((1, 2, 7, 7), {}, "got shape \\[1, 2, 7, 7\\], wanted \\[1, 3, 7, 7\\]"),
        ((1, 3, 7, 7), {"design": "balanced"}, "got 'centred' with 'balanced'"),
        ((1, 3, 7, 7), {"estimator": "ridge"}, "got 'ridge' with 'bernoulli'"),
        ((1, 3, 7, 7), {"num_masks": 2}, "num_masks is 2, 3 at least wanted"),
    ],
)
def test_a_control_that_does_not_fit_is_refused(shape, changes, said):
    config = ISSConfig(**{"num_masks": 20, "design": "bernoulli", **changes})
    with pytest.raises(ValueError, match=said):
        check_control(jnp.zeros(shape), 1, 3, config)


@pytest.mark.parametrize(
    ("masks", "effects", "control", "said"),
    [
        ((2, 1, 2, 2), (2,), (1, 2, 2), "masks: 2 given, a control variate wants 3"),
        ((4, 1, 2, 2), (3,), (1, 2, 2), r"effects must be \[4\]"),
        ((4, 1, 2, 2), (4,), (2, 2), r"control must be \[1, 2, 2\]"),
    ],
)
def test_shapes_that_do_not_match_are_named(masks, effects, control, said):
    with pytest.raises(ValueError, match=said):
        estimate_with_control(jnp.zeros(masks, bool), jnp.zeros(effects), jnp.zeros(control))


def test_an_attribution_takes_a_control_for_each_of_its_frames():
    """The engine's scores are those of its own masks and effects under each row's control."""
    frames = {"front": jax.random.uniform(jax.random.key(0), (2, 8, 8, 3))}
    masks = sample_masks(jax.random.key(1), 12, 1, grid=(2, 2), keep_prob=P, design="bernoulli")
    config = ISSConfig(num_masks=12, grid=(2, 2), design="bernoulli")
    control = jax.random.normal(jax.random.key(2), (2, 1, 2, 2))

    def run(shared, example, rows):
        del shared, example
        return rows["front"][:, :4].mean((1, 2))[:, None, None]

    found = jax.jit(
        lambda frames: masked_saliency(
            run, None, None, frames, masks, None, None, config, control=control
        )
    )(frames)
    for row in range(2):
        wanted = estimate_with_control(masks, found.effects[row], control[row], keep_prob=P)
        np.testing.assert_allclose(found.cells[row], wanted.scores, rtol=1e-5)
        np.testing.assert_allclose(found.contrast_stderr[row], wanted.contrast_stderr, rtol=1e-5)
