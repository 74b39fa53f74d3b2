"""Exact rank correlation against scipy and against its own null."""

import itertools

import numpy as np
import pytest
import scipy.stats

from iss_jax.stats.exact import rank_correlation


def test_the_coefficient_and_its_exact_test_are_scipys():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 6))
    found = rank_correlation(x, y)
    coefficient = scipy.stats.spearmanr(x, y).statistic
    assert found.r == pytest.approx(coefficient)

    def statistic(order):
        return scipy.stats.spearmanr(x, order).statistic

    values = [abs(statistic(np.array(order))) for order in itertools.permutations(y)]
    assert found.p_value == pytest.approx(np.mean(np.array(values) >= abs(coefficient) - 1e-9))
    assert found.exact and found.orders == 720


def test_ties_are_ranked_by_their_mean():
    x, y = [1, 1, 2, 3, 3], [5, 4, 4, 1, 0]
    assert rank_correlation(x, y).r == pytest.approx(scipy.stats.spearmanr(x, y).statistic)


def test_on_null_data_small_p_values_are_as_rare_as_they_say():
    rng = np.random.default_rng(1)
    p = np.array([rank_correlation(*rng.normal(size=(2, 5))).p_value for _ in range(600)])
    for level in (0.05, 0.2, 0.5):
        assert (p <= level).mean() <= level + 2.6 * np.sqrt(level * (1 - level) / 600)


def test_many_units_are_tested_by_random_orders():
    rng = np.random.default_rng(2)
    x = rng.normal(size=30)
    found = rank_correlation(x, x + 0.1 * rng.normal(size=30), permutations=999)
    assert not found.exact and found.p_value == 0.001


def test_what_does_not_vary_has_no_coefficient():
    found = rank_correlation([1, 1, 1], [1, 2, 3])
    assert np.isnan(found.r) and found.p_value == 1.0
    assert np.isnan(rank_correlation([1, 2], [1, 2]).r)
    with pytest.raises(ValueError, match=r"x and y must be as long, got \(2,\) and \(3,\)"):
        rank_correlation([1, 2], [1, 2, 3])
