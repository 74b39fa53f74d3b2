"""The verdict over frames, and the twin without images."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.acting_on.images import pooled, rows_of, sentence
from experiments.inputs.acting import blur_away
from iss_jax.image_use import ImageUse
from iss_jax.stats.groups import Estimate


def test_the_interval_of_the_ratio_holds_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(300):
        task = np.repeat(np.arange(12), 2)
        everything = rng.gamma(4.0, 1.0, 12)[task] + 0.1
        images = everything * rng.beta(2, 2, 12)[task]
        low, high = pooled(images, everything, task, resamples=400)[1:]
        held.append(low < 0.5 < high)
    # 95 % intervals of twelve clusters; three standard errors of 300 trials below.
    assert np.mean(held) > 0.95 - 3 * (0.95 * 0.05 / 300) ** 0.5 - 0.02


def test_few_tasks_have_no_interval():
    found = pooled(np.ones(4), 2 * np.ones(4), np.arange(4))
    assert found.value == 0.5 and np.isnan(found.low) and np.isnan(found.high)
    assert sentence(found, 4).startswith("Too few tasks")


@pytest.mark.parametrize(
    ("ends", "start"),
    [
        ((0.5, 0.4, 0.6), "It uses its images"),
        ((0.06, 0.04, 0.09), "Whether it uses its images is open"),
        ((0.01, -0.01, 0.02), "It does not use its images"),
    ],
)
def test_the_verdict_follows_the_interval(ends, start):
    assert sentence(Estimate(*ends), 9).startswith(start)


def test_one_frame_is_one():
    assert sentence(Estimate(0.5, np.nan, np.nan), 1).endswith("what all inputs do (one frame).")


def test_actions_that_are_no_numbers_are_named_and_do_not_pass_for_still_ones():
    frames = [{"episode": 4, "frame": 2}, {"episode": 7, "frame": 5}]
    whole = ImageUse(jnp.ones(2), jnp.full(2, 2.0), jnp.array(0))
    broken = ImageUse(jnp.array([1.0, jnp.nan]), jnp.full(2, 2.0), jnp.array(1))
    assert [row["ratio"] for row in rows_of(frames, [whole, whole])] == [0.5, 0.5]
    with pytest.raises(ValueError, match=r"NaN or infinite in \[\(7, 5\)\]"):
        rows_of(frames, [whole, broken])


def test_nothing_can_be_located_once_blurred():
    frames = np.zeros((2, 32, 32, 3), np.uint8)
    frames[0, 4, 4], frames[1, 28, 28] = 255, 255
    soft = blur_away({"front": frames})["front"]
    # A point in a corner, reflected twice, becomes a hundredth of itself there.
    assert soft.dtype == np.uint8 and 0 < soft.max() < 4
    bright = blur_away({"front": frames / np.float32(255)})["front"]
    assert bright.dtype == np.float32 and bright.max() < 0.015
    np.testing.assert_allclose(bright.sum((1, 2)), 1.0, rtol=0.1)
