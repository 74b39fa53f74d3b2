"""AUC and clustered means against brute force, theory and coverage."""

import math

import numpy as np
import pytest
import scipy.stats

from iss_jax.stats.groups import auc, clustered_mean


def test_auc_is_the_share_of_won_pairs():
    rng = np.random.default_rng(0)
    p, q = rng.integers(0, 6, 23).astype(float), rng.integers(0, 5, 31).astype(float)
    won = np.mean([[1.0 if a > b else 0.5 * (a == b) for b in q] for a in p])
    found = auc(p, q, np.arange(23), np.arange(31))
    assert found.value == pytest.approx(won, abs=1e-12)
    assert found.low < won < found.high
    turned = auc(q, p, np.arange(31), np.arange(23))
    assert turned.value == pytest.approx(1 - won, abs=1e-12)


def test_auc_of_separate_groups_is_one_with_no_width():
    ids = np.arange(8)
    assert auc(np.arange(8.0) + 10, np.arange(8.0), ids, ids) == (1.0, 1.0, 1.0)


def test_the_interval_follows_shared_clusters():
    """A shift of both groups' rows of a task does not blur their difference within it."""
    rng = np.random.default_rng(1)
    tasks = np.repeat(np.arange(10), 4)
    level = 100.0 * tasks
    p, q = level + 1 + rng.random(40), level + rng.random(40)
    together = auc(p, q, tasks, tasks)
    apart = auc(p, q, tasks, tasks + 100)
    assert together.high - together.low < 0.5 * (apart.high - apart.low)


def test_intervals_cover():
    """95 % intervals of 300 samples cover the truth 91 to 98 % of the time (binomial, 3 sigma)."""
    rng = np.random.default_rng(2)
    truth = scipy.stats.norm.cdf(1 / math.sqrt(2 * (1 + 0.5**2)))
    hits = {"mean": 0, "auc": 0}
    ids = np.repeat(np.arange(20), 5)
    for _ in range(300):
        level = [0.5 * rng.normal(size=20)[ids] for _ in range(2)]
        p, q = 1 + level[0] + rng.normal(size=100), level[1] + rng.normal(size=100)
        mean = clustered_mean(p, ids, resamples=400)
        area = auc(p, q, ids, ids + 20, resamples=400)
        hits["mean"] += mean.low <= 1 <= mean.high
        hits["auc"] += area.low <= truth <= area.high
    assert all(0.91 <= count / 300 <= 0.98 for count in hits.values()), hits


def test_mean_of_equal_clusters_agrees_with_student():
    rng = np.random.default_rng(3)
    x = rng.normal(size=30)
    found = clustered_mean(x, np.arange(30), resamples=20_000)
    low, high = scipy.stats.t.interval(0.95, 29, x.mean(), x.std(ddof=1) / math.sqrt(30))
    assert found.value == pytest.approx(x.mean())
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03)


def test_two_clusters_have_no_interval_and_bad_scores_are_refused():
    assert math.isnan(clustered_mean(np.ones(4), np.array([0, 0, 1, 1])).low)
    assert math.isnan(auc(np.ones(2), np.zeros(2), np.arange(2), np.arange(2)).high)
    with pytest.raises(ValueError, match="finite"):
        clustered_mean(np.array([1.0, np.nan]), np.arange(2))
    with pytest.raises(ValueError, match="3 clusters given"):
        auc(np.ones(2), np.ones(2), np.arange(3), np.arange(2))


def test_ties_are_half_won_in_every_resample():
    ids = np.arange(6)
    assert auc(np.ones(6), np.ones(6), ids, ids) == (0.5, 0.5, 0.5)


def test_six_clusters_are_the_fewest_with_an_interval():
    six, five = np.arange(6), np.arange(5)
    assert auc(np.arange(6.0) + 6, np.arange(6.0), six, six) == (1.0, 1.0, 1.0)
    assert clustered_mean(np.full(6, 0.5), six) == (0.5, 0.5, 0.5)
    assert math.isnan(clustered_mean(np.full(5, 0.5), five).low)
    assert math.isnan(auc(np.arange(5.0) + 6, np.arange(5.0), five, five).low)


def test_clusters_that_weigh_like_fewer_than_six_have_no_interval():
    """Ten clusters, of which one has 80 rows: 89 squared over 6,409 is 1.2."""
    ids = np.repeat(np.arange(10), [80, *[1] * 9])
    x = np.random.default_rng(5).normal(size=89)
    assert math.isnan(clustered_mean(x, ids).low)
    assert math.isnan(auc(x, x + 1, ids, ids).low)


def test_resamples_without_one_of_the_groups_say_nothing():
    """All positive rows lie in one cluster, which a third of the resamples do not hold."""
    found = auc(np.array([8.0, 9.0]), np.arange(6.0), np.zeros(2), np.arange(1, 7))
    assert found == (1.0, 1.0, 1.0)


def test_naming_the_defaults_repeats_a_result():
    rng = np.random.default_rng(4)
    x, y, ids = rng.normal(size=60), rng.normal(size=60), np.arange(60)
    named = {"confidence": 0.95, "resamples": 4999, "seed": 0}
    assert clustered_mean(x, ids) == clustered_mean(x, ids, **named)
    assert auc(x, y, ids, ids) == auc(x, y, ids, ids, **named)


def test_rows_of_a_cluster_weigh_as_often_as_it_is_drawn():
    """Clusters of 1, 2, 3 and of 2 rows: a resample's mean is that of the rows that it repeats.

    They weigh as unequally as 16²/36 = 7.11 equal ones, which is what Student's t is taken of.
    """
    sizes = np.array([1, 3, 2, 2, 2, 2, 3, 1])
    ids = np.repeat(np.arange(8), sizes)
    found = clustered_mean(ids + 0.0, ids, confidence=0.9)
    drawn = np.random.default_rng(0).multinomial(8, np.full(8, 1 / 8), size=4999)
    means = (drawn @ (sizes * np.arange(8))) / (drawn @ sizes)
    count = 16**2 / 36
    reach = scipy.stats.t.ppf(0.95, count - 1) * math.sqrt(count / (count - 1))
    tail = scipy.stats.norm.cdf(-reach)
    assert found.value == pytest.approx(ids.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [tail, 1 - tail])))


def test_scores_that_are_not_a_row_each_are_refused():
    for scores in (np.ones((2, 2)), np.ones(0), np.array([1.0, np.inf])):
        with pytest.raises(ValueError, match="finite \\[n\\] and one cluster a row wanted"):
            clustered_mean(scores, np.arange(len(scores)))
    # Either group, and the second one too.
    with pytest.raises(ValueError, match="1 clusters given"):
        auc(np.ones(2), np.ones(2), np.arange(2), np.arange(1))
