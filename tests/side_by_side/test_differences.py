"""Paired differences: what both share cancels, and one policy against itself is nothing."""

import math

import numpy as np
import pytest

from iss_jax.side_by_side.differences import Compared, of_frame, of_part, over_frames, sentence

SETTINGS = {"confidence": 0.95, "resamples": 999}


def test_a_policy_against_itself_differs_by_exactly_nothing():
    effects = np.random.default_rng(0).random((5, 4))
    found = of_frame(effects, effects.copy())
    assert not found.difference.any() and not found.stderr.any()
    one = over_frames(
        *(np.full(8, 0.3), np.full(8, 0.3), np.zeros(8), np.arange(8), np.ones(8, bool)),
        **SETTINGS,
    )
    assert (one.difference, one.low, one.high, one.stderr) == (0, 0, 0, 0)
    assert not one.differs


def test_what_a_donor_changes_in_both_cancels():
    """Draws that change all effects of both by one factor leave no error in the difference."""
    rng = np.random.default_rng(1)
    scale = rng.uniform(0.2, 5, (6, 1))
    a, b = scale * [[3.0, 1.0]], scale * [[1.0, 1.0]]
    found = of_frame(a, b)
    np.testing.assert_allclose(found.a, [0.75, 0.25])
    np.testing.assert_allclose(found.difference, [-0.25, 0.25])
    np.testing.assert_allclose(found.stderr, 0, atol=1e-12)


def test_the_error_is_the_spread_of_differences_over_studies():
    """Of 2,000 studies of 8 draws; the jackknife's error is right in the mean of its squares."""
    rng = np.random.default_rng(2)
    a = rng.gamma(4.0, size=(2000, 8, 3)) * [1.0, 2.0, 3.0]
    b = rng.gamma(4.0, size=(2000, 8, 3)) * [3.0, 2.0, 1.0]
    found = [of_frame(*pair) for pair in zip(a, b, strict=True)]
    spread = np.std([one.difference for one in found], axis=0)
    said = np.sqrt(np.mean([np.square(one.stderr) for one in found], axis=0))
    np.testing.assert_allclose(said, spread, rtol=0.1)


def test_one_draw_has_no_error_and_no_effect_no_share():
    found = of_frame(np.array([[1.0, 3.0]]), np.zeros((1, 2)))
    assert found.difference.tolist() == [-0.25, -0.75]
    assert np.isinf(found.stderr).all()


def test_the_nuisance_is_the_part_of_every_player():
    a, b = np.array([[2.0, 2.0], [4.0, 4.0]]), np.array([[1.0, 3.0], [2.0, 6.0]])
    found = of_part(a, b, np.array([1.0, 0.5]))
    assert found.a.tolist() == [0.75] and found.b.tolist() == [0.625]
    assert found.difference.tolist() == [-0.125] and found.stderr.tolist() == [0.0]


def test_over_frames_the_episode_is_the_unit():
    """Ten frames of an episode are alike: the interval is of six values, not of sixty."""
    rng = np.random.default_rng(3)
    episodes = np.repeat(np.arange(6), 10)
    shift = rng.normal(0.2, 0.1, 6)[episodes]
    a = np.full(60, 0.3)
    one = over_frames(a, a + shift, np.full(60, 0.01), episodes, np.ones(60, bool), **SETTINGS)
    assert (one.frames, one.episodes) == (60, 6)
    assert one.difference == pytest.approx(shift.mean())
    assert one.high - one.low > 2 * 1.96 * shift.std() / np.sqrt(60) * 2
    assert one.differs and one.stderr == pytest.approx(0.01 / np.sqrt(60))
    few = over_frames(a, a + shift, a, episodes, episodes < 3, **SETTINGS)
    assert math.isnan(few.low) and few.reason.startswith(
        "no interval: 3 episodes given, at least 6"
    )
    none = over_frames(a, a, a, episodes, episodes > 9, **SETTINGS)
    assert none.frames == 0 and none.reason.startswith("no frame shows it")


def _one(difference, half, reason=""):
    return Compared(
        9, 9, 0.5, 0.5 + difference, difference, difference - half, difference + half, 0.0, reason
    )


def test_the_sentence_names_the_largest_difference_that_is_told_from_zero():
    names = ("before", "after")
    found = [("bowl", _one(0.1, 0.05)), ("lamp", _one(-0.2, 0.05)), ("plate", _one(0.4, 0.5))]
    said = sentence(found, names)
    assert said.startswith("after acts less on lamp than before: 30 % against 50 %")
    assert said.endswith("[-25, -15]. Also different: bowl.")
    assert sentence(found[2:], names).startswith("No share differs")
    nan = math.nan
    unknown = Compared(2, 2, 0.5, 0.5, 0.0, nan, nan, 0.0, "no interval")
    assert sentence([("bowl", unknown)], names).endswith("every difference is 0.")
    other = unknown._replace(b=0.6, difference=0.1)
    assert sentence([("bowl", other)], names).startswith("No interval")
    none = Compared(0, 0, nan, nan, nan, nan, nan, nan, "no frame shows it")
    said = sentence([("bowl", none), ("lamp", none)], names)
    assert said.startswith("Nothing to compare: in no frame are shares known for both before and")
    assert sentence([("bowl", other), ("lamp", none)], names).startswith("No interval")
