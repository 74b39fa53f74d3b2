"""The unit of success against sums of squares, enumeration, and simulations of no association."""

import itertools
import math

import numpy as np
import pytest

from iss_jax.stats.units import unit_correlation, variation


def nested(rng, sizes, suite, task, noise):
    """Rows of five in each task: of each its suite, its task and a value."""
    suites = np.repeat(np.arange(len(sizes)), np.multiply(sizes, 5))
    tasks = np.repeat(np.arange(sum(sizes)), 5)
    value = suite * rng.normal(size=len(sizes))[suites] + task * rng.normal(size=sum(sizes))[tasks]
    return suites, tasks, value + noise * rng.normal(size=len(tasks))


def test_the_share_between_groups_is_that_of_sums_of_squares():
    values = np.array([1.0, 3.0, 4.0, 4.0, 7.0, 9.0, 0.0, 2.0])
    tasks = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    found = variation(values, tasks, np.repeat(["a", "b"], 4))
    # Means of tasks 2, 4 | 8, 1 with mean 3.75: of 28.75 in all, 2 + 24.5 lie inside.
    assert found.between == pytest.approx(1 - 26.5 / 28.75)
    assert (found.by_chance, found.groups, found.clusters) == (pytest.approx(1 / 3), 2, 4)
    assert not found.of_groups


def test_groups_are_the_unit_where_they_differ_more_than_by_chance():
    rng = np.random.default_rng(0)
    suites, tasks, value = nested(rng, (5, 5, 5, 5), 1.0, 0.2, 0.1)
    assert variation(value, tasks, suites).of_groups
    one = np.zeros(len(tasks), int)
    assert variation(value, tasks, one) == (pytest.approx(0), 0, 1, 20)
    assert not variation(value, tasks, one).of_groups
    still = variation(np.full(100, 0.1 + 0.2), tasks, suites)
    assert still.between == 0 and not still.of_groups
    # Tasks that are dealt to suites at random have half of the time a share above chance.
    chosen = [
        variation(nested(rng, (4, 4, 4), 0, 1, 0)[2], *nested(rng, (4, 4, 4), 0, 1, 0)[1::-1])
        for _ in range(200)
    ]
    assert 60 < sum(one.of_groups for one in chosen) < 130


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": np.array([0, 1, 1])}, "a cluster lies in several"),
        ({"values": np.array([0.0, np.nan, 1.0])}, "row 1 is not finite"),
        ({"clusters": np.arange(2)}, r"clusters \[2\]"),
    ],
)
def test_rows_that_do_not_fit_are_named(change, message):
    given = {"values": np.arange(3.0), "clusters": np.array([0, 0, 1]), "groups": np.zeros(3)}
    with pytest.raises(ValueError, match=message):
        variation(**(given | change))


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_p_is_the_share_of_the_orders_of_units(kind):
    """Units of unequal size: rows keep what they have beyond their unit's mean."""
    rng = np.random.default_rng(1)
    units = np.repeat(np.arange(4), [1, 3, 2, 4])
    x, y = rng.normal(size=(2, 10))
    found = unit_correlation(x, y, units, kind=kind)
    if kind == "spearman":
        x, y = (np.argsort(np.argsort(v)) + 1.0 for v in (x, y))
    means = np.array([x[units == unit].mean() for unit in range(4)])
    rest = x - means[units]
    draws = [
        np.corrcoef(means[list(order)][units] + rest, y)[0, 1]
        for order in itertools.permutations(range(4))
    ]
    r = np.corrcoef(x, y)[0, 1]
    assert found.r == pytest.approx(r)
    assert found.p_value == pytest.approx(np.mean(np.abs(draws) >= abs(r) - 1e-9))
    assert "4 units given, at least 6 wanted" in found.reason and np.isnan(found.bootstrap).all()


def test_the_interval_is_the_tests_own_in_fishers_z():
    rng = np.random.default_rng(2)
    units = np.repeat(np.arange(6), [1, 3, 2, 4, 2, 3])
    x, y = rng.normal(size=(2, 15))
    found = unit_correlation(x, y, units, confidence=0.9)
    means = np.array([x[units == unit].mean() for unit in range(6)])
    rest = x - means[units]
    draws = [
        np.corrcoef(means[list(order)][units] + rest, y)[0, 1]
        for order in itertools.permutations(range(6))
    ]
    reach = np.quantile(np.abs(np.arctanh(draws)), 0.9)
    wanted = [math.tanh(math.atanh(found.r) + sign * reach) for sign in (-1, 1)]
    assert found.bootstrap == pytest.approx(wanted) and not found.reason


def test_what_does_not_vary_has_a_reason():
    found = unit_correlation(np.full(8, 0.3), np.arange(8.0), np.arange(8))
    assert math.isnan(found.r) and found.reason == "no correlation: x does not vary"
    with pytest.raises(ValueError, match=r"y: row 2 is not finite"):
        unit_correlation(np.arange(3.0), np.array([0, 1, np.inf]), np.arange(3))
    with pytest.raises(ValueError, match=r"units \[2\] given"):
        unit_correlation(np.arange(3.0), np.arange(3.0), np.arange(2))


def test_of_whole_units_on_a_line_the_interval_is_closed():
    """r is 1 and its z infinite: the ends stay numbers."""
    units = np.repeat(np.arange(7), 2)
    found = unit_correlation(units + 0.0, 3.0 * units, units, permutations=99)
    low, high = found.bootstrap
    assert found.r == pytest.approx(1) and low < high <= 1 and found.p_value == 0.01


@pytest.mark.parametrize("spread", ["normal", "skewed", "one row to eighty"])
def test_on_null_data_of_few_units_p_and_intervals_are_what_they_say(spread):
    """600 runs: p below 0.05 in at most 7 %, 93 to 97 % of the intervals hold 0.

    Binomial errors are 0.9 %, and both limits are those of the truth: two errors are added.
    """
    rng = np.random.default_rng(3)
    small = inside = 0
    for _ in range(600):
        sizes = np.array([25, 25, 50, 20, 15, 15, 15, 40])
        if spread == "one row to eighty":
            sizes = rng.integers(1, 81, 9)
        units = np.repeat(np.arange(len(sizes)), sizes)
        x, y = rng.normal(size=(2, len(sizes)))
        if spread == "skewed":
            x, y = np.exp(x), (y > 0) + 0.1 * y
        rows = x[units] + 0.2 * rng.normal(size=units.size)
        found = unit_correlation(rows, y[units], units, permutations=99, seed=0)
        small += found.p_value < 0.05
        inside += found.bootstrap[0] <= 0 <= found.bootstrap[1]
    assert small / 600 <= 0.07 + 0.018
    assert 0.93 - 0.018 <= inside / 600 <= 0.97 + 0.018
