"""Sharing along a stream, on frames whose maps are known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.temporal_sharing import get_config
from experiments import temporal_sharing as sharing
from experiments.accuracy_frames import Runs
from iss_jax.masks import sample_masks

OPTIONS = sharing.Options(
    **(
        {key: value for key, value in get_config().to_dict().items() if key != "name"}
        | {"num_masks": 50, "repeats": 12, "gradient_repeats": 2, "memories": (0.5,)}
    )
)


def frame(seed: int, slopes: np.ndarray, noise: float) -> sharing.Maps:
    """Effects that add up over dropped cells, and noise; gradients are the slopes themselves."""
    plain = sample_masks(jax.random.key(seed), 600, 1, grid=(3, 4))
    few = sample_masks(jax.random.key(seed + 50), 40, 1, grid=(3, 4), design="balanced")
    rng = np.random.default_rng(seed)

    def effects(masks):
        drops = 1.0 - np.asarray(masks).reshape(len(masks), -1)
        return jnp.asarray(drops @ slopes + rng.normal(0, noise, len(masks)), jnp.float32)

    gradients = jnp.broadcast_to(jnp.asarray(-slopes.reshape(1, 1, 3, 4), jnp.float32), few.shape)
    runs = Runs(few, effects(few), gradients)
    twice = Runs(*(jnp.concatenate([leaf, leaf]) for leaf in dataclasses.astuple(runs)))
    return sharing.maps(Runs(plain, effects(plain), None), twice, OPTIONS)


def test_contrasts_are_p_times_the_slopes() -> None:
    slopes = np.random.default_rng(0).normal(size=12)
    found = frame(1, slopes, 0.1)
    wanted = 0.3 * (slopes - slopes.mean())
    np.testing.assert_allclose(found.clipped[0], wanted, atol=0.05)
    error = np.sqrt(found.noise / 12)
    assert np.sqrt(np.square(found.reference()[0] - wanted).mean()) == pytest.approx(error, rel=0.5)


def test_a_still_stream_gains_from_a_good_map_of_the_frame_before_and_from_memory() -> None:
    """Three equal frames whose effects are main effects.

    As a variate the gradient map explains them all, and a plain map of error e all but the share e.
    With memory 0.5 the second map weighs two by 1/2, and the third three by 1/2, 1/4, 1/4, so that
    of the variance 1/2 and 3/8 are left.
    """
    slopes = np.random.default_rng(0).normal(size=12)
    rows = sharing.compare([[frame(seed, slopes, 0.1) for seed in (1, 2, 3)]], OPTIONS)
    found = {row["way"]: row for row in rows}
    alone = found["centred"]["error"]
    assert found["centred"]["error_change"] == 0.0 and found["centred"]["frames"] == 2
    assert found["centred, variate: previous clipped"]["error"] < 0.1 * alone
    assert found["centred, memory 0.5"]["error"] == pytest.approx(7 / 16 * alone, rel=0.25)
    assert found["centred, variate: previous centred"]["error"] == pytest.approx(alone**2, rel=0.3)
    assert rows[0]["previous_reference_r"] == pytest.approx(1.0, abs=0.1)


def test_a_stream_that_turns_over_is_made_worse_by_memory() -> None:
    slopes = np.random.default_rng(0).normal(size=12)
    frames = [frame(seed, sign * slopes, 0.1) for seed, sign in ((1, 1), (2, -1))]
    rows = sharing.compare([frames], OPTIONS)
    assert rows[0]["previous_reference_r"] == pytest.approx(-1.0, abs=0.1)
    clipped = next(row for row in rows if row["way"] == "clipped, memory 0.5")
    # Half of what is there and half of its opposite: nothing, an error of the whole variance.
    assert clipped["error"] == pytest.approx(1.0, abs=0.15)


def test_smoke(tmp_path, monkeypatch) -> None:
    config = get_config("smoke")
    config.quiet = True
    rows = sharing.main(config, tmp_path)
    assert {row["way"] for row in rows} == {
        "centred",
        "centred, variate: previous centred",
        "centred, variate: previous centred, shrunk",
        "centred, variate: previous clipped",
        "clipped",
        "centred, memory 0.5",
        "clipped, memory 0.5",
    }
    assert len(list((tmp_path / "items").iterdir())) == 4
    monkeypatch.setattr(sharing.frames, "measure", None)
    again = sharing.main(config, tmp_path)
    np.testing.assert_equal(again, rows)
