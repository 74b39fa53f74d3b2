"""Detectors: what is averaged, what is chosen, and how well it tells."""

import numpy as np
import pytest
from watched_episodes import episodes

from experiments.monitored.detectors import ALONE, area, chosen_sum, fitted, recent_mean


def test_the_mean_of_the_last_known_values():
    rng = np.random.default_rng(0)
    values = np.where(rng.random(40) < 0.3, np.nan, rng.normal(size=40))
    for window in (1, 3, 7):
        found = recent_mean(values, window)
        for t in range(40):
            own = values[max(0, t - window + 1) : t + 1]
            own = own[np.isfinite(own)]
            wanted = own.mean() if own.size else np.nan
            assert found[t] == pytest.approx(wanted, abs=1e-12, nan_ok=True)


def test_the_area_counts_pairs():
    rng = np.random.default_rng(0)
    failed, good = rng.integers(0, 5, 8).astype(float), rng.integers(0, 5, 6).astype(float)
    failed[0] = good[0] = -np.inf
    wins = [1.0 if f > g else 0.5 * (f == g) for f in failed for g in good]
    assert area(failed, good) == pytest.approx(np.mean(wins))
    assert np.isnan(area(failed, good[:0]))


@pytest.fixture(scope="module")
def known():
    made = episodes(tells={"nuisance_share": 3.0, "hidden": 2.0})
    return made, fitted(made, window=2, seed=0)


def test_signals_that_tell_do_and_others_do_not(known):
    made, scores = known
    failed = np.array([not one.success for one in made])
    found = {}
    for name, score in scores.items():
        most = np.array([np.nanmax(score(one)) for one in made])
        found[name] = area(most[failed], most[~failed])
    assert found["nuisance share"] > 0.9 and found["probe"] > 0.9
    assert all(abs(found[name] - 0.5) < 0.3 for name in ("NMR of the paper", "entropy", "dice"))


def test_the_sum_is_of_the_signals_that_tell_best_and_never_worse_than_one(known):
    made, scores = known
    score, names = chosen_sum(scores, made, horizon=10)
    failed = np.array([not one.success for one in made])
    areas = {}
    for name, one_score in {**{n: scores[n] for n in ALONE}, "sum": score}.items():
        most = np.array([np.nanmax(one_score(one)) for one in made])
        areas[name] = area(most[failed], most[~failed])
    assert set(names) & {"nuisance share", "probe"} and len(names) < len(ALONE)
    assert areas["sum"] >= max(areas[name] for name in ALONE)
