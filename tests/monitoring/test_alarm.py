"""The alarm keeps its promise: by enumeration, by a closed form, and on drawn episodes."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from iss_jax.monitoring.alarm import (
    Alarm,
    conformal_p,
    conformal_threshold,
    episode_maximum,
    fewest,
)

LEVELS = (0.05, 0.1, 0.2, 0.25, 1 / 3, 0.5, 0.9)


@pytest.mark.parametrize("level", LEVELS)
def test_by_enumeration_it_rings_as_often_as_the_rank_says_and_never_more_than_promised(level):
    """Every place that the new episode's maximum can have among n others is as likely."""
    for n in range(1, 25):
        rang = 0
        for place in range(n + 1):
            others = [value for value in range(n + 1) if value != place]
            rang += place > conformal_threshold(others, level).value
        rank = conformal_threshold(range(n), level).rank
        assert rang == max(n + 1 - rank, 0)
        assert rang / (n + 1) <= level + 1e-12
        # One more would break the promise: the threshold is the lowest that keeps it.
        assert (rang + 1) / (n + 1) > level - 1e-12


def test_with_ties_it_rings_less():
    """All ways to deal maxima of two values to five episodes, the last one being new."""
    for values in itertools.product((0.0, 1.0), repeat=5):
        rang = [
            values[new] > conformal_threshold(values[:new] + values[new + 1 :], 0.4).value
            for new in range(5)
        ]
        assert np.mean(rang) <= 0.4


def test_on_drawn_episodes_of_unlike_lengths():
    """Autocorrelated scores; 1 − rank/(n + 1) is the closed form. At 99.9 % confidence."""
    rng = np.random.default_rng(0)
    n, trials, horizon = 19, 4_000, 30
    noise = rng.normal(size=(trials, n + 1, 40))
    scores = np.cumsum(noise, -1) * 0.3 + noise
    lengths = rng.integers(5, 41, (trials, n + 1))
    scores[np.arange(40) >= lengths[..., None]] = np.nan
    maxima = np.nanmax(scores[..., :horizon], -1)
    rang = sum(int(own[-1] > conformal_threshold(own[:-1], 0.1).value) for own in maxima)
    low, high = scipy.stats.binom.interval(0.999, trials, 0.1)
    assert low <= rang <= high
    assert episode_maximum(scores[0, 0], horizon) == maxima[0, 0]


def test_levels_are_taken_as_they_are_written():
    """(19 + 1)(1 − 0.05) is 19, not the 20 that floating point may round up to."""
    for n, level, rank in ((19, 0.05, 19), (9, 0.1, 9), (99, 0.01, 99), (9, 0.3, 7), (4, 0.2, 4)):
        found = conformal_threshold(range(n), level)
        assert (found.rank, found.value) == (rank, rank - 1)
        assert math.isfinite(conformal_threshold(range(fewest(level)), level).value)
        assert math.isinf(conformal_threshold(range(fewest(level) - 1), level).value)


def test_too_few_episodes_are_said_in_words():
    found = conformal_threshold([1.0] * 5, 0.05)
    assert found.sentence() == (
        "never rings: 5 successful episodes cannot promise 5 % false alarms, at least 19 wanted"
    )
    assert "at most 50 % false alarms" in conformal_threshold([1.0] * 5, 0.5).sentence()


def test_it_rings_where_the_p_value_is_at_most_the_level():
    rng = np.random.default_rng(1)
    maxima = rng.integers(0, 8, 14).astype(float)
    for level, score in itertools.product((0.1, 0.2, 0.5), map(float, range(-1, 9))):
        rings = score > conformal_threshold(maxima, level).value
        assert rings == (conformal_p(score, maxima) <= level + 1e-12)


def test_bonferroni_keeps_the_level_for_any_dependence():
    """Five signals of 99 + 1 exchangeable episodes; here they are the same, or independent."""
    rng = np.random.default_rng(2)
    for alike in (True, False):
        rang = 0
        for _ in range(400):
            own = rng.normal(size=(100, 5))
            own = own[:, :1] * np.ones(5) if alike else own
            p = min(conformal_p(own[-1, j], own[:-1, j]) for j in range(5))
            rang += 5 * p <= 0.1
        assert rang <= scipy.stats.binom.ppf(0.999, 400, 0.1)


def test_it_rings_once_within_the_horizon_and_again_after_a_reset():
    alarm = Alarm(conformal_threshold([0.5] * 9, 0.1), horizon=3)
    assert [alarm.see(score) for score in (0.5, float("nan"), 0.6, 0.0)] == [0, 0, 1, 1]
    assert alarm.rang_at == 2
    alarm.reset()
    assert [alarm.see(score) for score in (0.0, 0.0, 0.0, 9.0)] == [0, 0, 0, 0]
    assert alarm.rang_at is None


def test_what_cannot_be_is_refused():
    for level in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1 wanted"):
            conformal_threshold([1.0], level)
    with pytest.raises(ValueError, match="1 of 2 are nan"):
        conformal_threshold([1.0, float("nan")], 0.1)
    for call in (lambda: episode_maximum([1.0], 0), lambda: Alarm(conformal_threshold([], 0.1), 0)):
        with pytest.raises(ValueError, match="horizon: 0 given, at least 1 wanted"):
            call()
    assert episode_maximum([float("nan")], 3) == -math.inf
