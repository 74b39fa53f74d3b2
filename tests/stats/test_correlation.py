"""Correlations against scipy, closed forms, enumeration and simulated coverage."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from iss_jax.stats import correlation as stats


def _clustered(rng, rho, *, tasks=10, seeds=5, within=0.3):
    """Task effects correlated by rho plus independent noise of variance `within` per row."""
    task = rng.normal(size=(tasks, 2)) @ np.array([[1, rho], [0, math.sqrt(1 - rho**2)]])
    rows = task[:, None] + math.sqrt(within) * rng.normal(size=(tasks, seeds, 2))
    x, y = rows.reshape(-1, 2).T
    return x, y, np.repeat(np.arange(tasks), seeds)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_coefficient_and_fisher_interval_equal_scipys(kind):
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=30), 1)
    y = np.round(x + rng.normal(size=30), 1)
    result = stats.correlate(x, y, kind=kind, resamples=50, permutations=50)
    reference = {"pearson": scipy.stats.pearsonr, "spearman": scipy.stats.spearmanr}[kind](x, y)
    assert result.r == pytest.approx(reference[0], abs=1e-12)
    assert (result.n, result.clusters, result.kind) == (30, 30, kind)
    if kind == "pearson":
        expected = reference.confidence_interval(0.95)
        assert result.fisher == pytest.approx((expected.low, expected.high), abs=1e-12)
    else:
        half = 1.959963985 * math.sqrt((1 + result.r**2 / 2) / 27)
        expected = [math.tanh(math.atanh(result.r) + sign * half) for sign in (-1, 1)]
        assert result.fisher == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_weights_are_repetitions_of_rows(kind):
    rng = np.random.default_rng(1)
    x, y = np.round(rng.normal(size=(2, 12)), 1)
    weights = rng.multinomial(12, np.full(12, 1 / 12), size=300)
    found = stats.weighted_coefficients(x, y, weights, kind=kind)
    expected = [stats.coefficient(np.repeat(x, w), np.repeat(y, w), kind=kind) for w in weights]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_resample_with_constant_rows_has_no_coefficient():
    weights = np.array([[5, 0, 0], [2, 3, 0], [1, 1, 1]])
    x, y = np.array([0.1, 0.1, 0.7]), np.array([0.3, 0.2, 0.1])
    found = stats.weighted_coefficients(x, y, weights)
    assert np.isnan(found).tolist() == [True, True, False]


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_small_permutation_test_is_scipys_exact_one(kind):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 7))
    y = y + x
    reference = scipy.stats.permutation_test(
        (x,),
        lambda x: stats.coefficient(x, y, kind=kind),
        permutation_type="pairings",
        n_resamples=np.inf,
        vectorized=False,
    )
    # scipy doubles the smaller tail; the distribution itself gives the absolute-value form.
    observed = abs(stats.coefficient(x, y, kind=kind))
    expected = np.mean(np.abs(reference.null_distribution) >= observed - 1e-12)
    assert stats.permutation_p_value(x, y, kind=kind) == pytest.approx(expected, abs=1e-12)


def test_cluster_permutation_deals_whole_blocks():
    rng = np.random.default_rng(3)
    x, y, clusters = _clustered(rng, -0.7, tasks=4, seeds=3)
    blocks = y.reshape(4, 3)
    draws = [
        abs(stats.coefficient(x, blocks[list(order)].ravel()))
        for order in itertools.permutations(range(4))
    ]
    expected = np.mean(np.array(draws) >= draws[0] - 1e-12)
    assert stats.permutation_p_value(x, y, clusters=clusters) == pytest.approx(expected)
    shuffled = np.array([2, 5, 8, 11, 0, 1, 3, 4, 6, 7, 9, 10])
    stable = np.lexsort((shuffled % 3, np.arange(12)))
    assert stats.permutation_p_value(
        x[stable], y[stable], clusters=clusters[stable].astype(str)
    ) == pytest.approx(expected)


def test_blocks_are_dealt_only_to_clusters_of_their_size():
    x, y = np.random.default_rng(4).normal(size=(2, 8))
    clusters = np.repeat([0, 1, 2], [2, 2, 4])
    swapped = y[[2, 3, 0, 1, 4, 5, 6, 7]]
    products = [abs(stats.coefficient(x, v)) for v in (y, swapped)]
    expected = np.mean(np.array(products) >= products[0] - 1e-12)
    assert stats.permutation_p_value(x, y, clusters=clusters) == expected
    assert stats.permutation_p_value(x, y, clusters=np.repeat([0, 1, 2], [1, 3, 4])) == 1.0


def test_random_permutations_agree_with_all_of_them():
    x, y, clusters = _clustered(np.random.default_rng(5), -0.5, tasks=7)
    exact = stats.permutation_p_value(x, y, clusters=clusters, permutations=5040)
    drawn = stats.permutation_p_value(x, y, clusters=clusters, permutations=5039)
    # Binomial standard error of 5039 draws, four of them.
    assert abs(drawn - exact) < 4 * math.sqrt(exact * (1 - exact) / 5039) + 1e-3
    assert drawn != exact


def test_permutation_p_values_are_uniform_without_association():
    rng = np.random.default_rng(6)
    values = [
        stats.permutation_p_value(x, y, clusters=clusters, permutations=199)
        for x, y, clusters in (_clustered(rng, 0.0, tasks=8) for _ in range(300))
    ]
    # The rate of p <= 0.05 and p <= 0.2 within four binomial standard errors.
    for level in (0.05, 0.2):
        rate = np.mean(np.array(values) <= level)
        assert abs(rate - level) < 4 * math.sqrt(level * (1 - level) / 300)


@pytest.mark.parametrize("rho", [0.0, -0.6])
def test_bootstrap_by_task_covers_where_independent_rows_do_not(rho):
    rng = np.random.default_rng(7)
    truth, runs, covered, naive = rho / 1.3, 400, 0, 0
    for _ in range(runs):
        x, y, clusters = _clustered(rng, rho)
        low, high = stats.bootstrap_interval(x, y, clusters=clusters, resamples=500)
        covered += low <= truth <= high
        low, high = stats.fisher_interval(stats.coefficient(x, y), x.size)
        naive += low <= truth <= high
    # 95 % nominal; three binomial standard errors are 3.3 points, and the bootstrap is approximate.
    assert 0.91 <= covered / runs <= 0.985
    assert naive / runs < 0.85


def test_mean_interval_is_students_and_one_value_has_none():
    values = np.array([0.1, 0.7, 0.4, 0.9])
    wanted = scipy.stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
    assert stats.mean_interval(values, confidence=0.9) == pytest.approx(tuple(wanted), abs=1e-12)
    assert np.isnan(stats.mean_interval(values[:1])).all()


def test_bootstrap_of_independent_rows_is_close_to_fishers():
    rng = np.random.default_rng(8)
    x = rng.normal(size=400)
    y = 0.5 * x + rng.normal(size=400)
    low, high = stats.bootstrap_interval(x, y)
    expected = stats.fisher_interval(stats.coefficient(x, y), 400)
    np.testing.assert_allclose((low, high), expected, atol=0.02)


def test_spearman_bootstrap_ranks_every_resample():
    x, y, clusters = _clustered(np.random.default_rng(9), -0.6)
    low, high = stats.bootstrap_interval(x, y, clusters=clusters, kind="spearman", resamples=300)
    warped = stats.bootstrap_interval(
        np.exp(x), y**3, clusters=clusters, kind="spearman", resamples=300
    )
    assert (low, high) == pytest.approx(warped, abs=1e-12)
    assert low < stats.coefficient(x, y, kind="spearman") < high


def test_the_same_seed_gives_the_same_result():
    x, y, clusters = _clustered(np.random.default_rng(10), -0.6)
    options = {"clusters": clusters, "resamples": 200, "permutations": 200}
    assert stats.correlate(x, y, **options) == stats.correlate(x, y, **options)
    assert stats.correlate(x, y, **options) != stats.correlate(x, y, seed=1, **options)


def test_a_constant_has_no_correlation():
    x = np.arange(6.0)
    for pair in ((x, np.ones(6)), (np.ones(6), x)):
        result = stats.correlate(*pair)
        assert math.isnan(result.r)
        assert all(math.isnan(v) for v in (*result.fisher, *result.bootstrap))
        assert result.p_value == 1.0


@pytest.mark.parametrize("constant", [0.0, 0.1, 3.0])
@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_a_constant_has_no_partial_correlation(constant, kind):
    """Its residuals are rounding, whose correlation would be a number like any other."""
    x, y, z, _ = partial_case()
    flat = np.full(len(x), constant)
    for pair in ((flat, y), (x, flat)):
        found = stats.partial_correlate(*pair, z, kind=kind, resamples=9, permutations=9)
        assert math.isnan(found.r) and np.isnan(found.fisher + found.bootstrap).all()
        assert found.p_value == 1.0


def test_zeros_have_no_coefficient():
    x, weights = np.arange(3.0), np.ones((1, 3))
    for kind in ("pearson", "spearman"):
        assert np.isnan(stats.weighted_coefficients(x, np.zeros(3), weights, kind=kind)).all()
        assert np.isnan(stats.weighted_coefficients(np.zeros(3), x, weights, kind=kind)).all()


def test_a_perfect_line():
    x = np.arange(8.0)
    result = stats.correlate(x, 3 - 2 * x, permutations=199)
    assert result.r == pytest.approx(-1)
    assert result.bootstrap == pytest.approx((-1, -1))
    assert result.p_value == pytest.approx(1 / 200)


@pytest.mark.parametrize(
    ("x", "y", "clusters", "message"),
    [
        (np.ones(3), np.ones(4), None, r"x \[3\], y \[4\]"),
        (np.ones(2), np.ones(2), None, r"at least 3"),
        (np.ones(3), np.ones(3), np.ones(2), r"clusters \[2\]"),
        (np.ones(3), np.array([0, np.nan, 1]), None, r"y: row 1 is not finite"),
    ],
)
def test_unusable_rows_are_named(x, y, clusters, message):
    with pytest.raises(ValueError, match=message):
        stats.correlate(x, y, clusters=clusters)


def test_unknown_kind():
    with pytest.raises(ValueError, match="'kendall' given"):
        stats.correlate(np.arange(4.0), np.arange(4.0), kind="kendall")


def partial_case(seed=3, clusters=12, size=5):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(clusters), size)
    z = np.column_stack([rng.normal(size=labels.size), labels % 3 == 0, labels % 3 == 1])
    x = z @ [1.0, 2.0, -1.0] + rng.normal(size=labels.size)
    y = z @ [-2.0, 1.0, 0.5] + 0.6 * x + rng.normal(size=labels.size)
    return x, y, z.astype(float), labels


def test_partial_correlation_is_that_of_regression_residuals():
    x, y, z, labels = partial_case()
    design = np.column_stack([np.ones(len(x)), z])
    left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, y)]
    found = stats.partial_correlate(x, y, z, clusters=labels, resamples=499, permutations=499)
    assert found.r == pytest.approx(np.corrcoef(*left)[0, 1], abs=1e-12)
    assert found.bootstrap[0] < found.r < found.bootstrap[1] and found.p_value <= 0.01
    # A column that repeats others changes nothing.
    twice = np.column_stack([z, z.sum(1)])
    same = stats.partial_correlate(x, y, twice, clusters=labels, resamples=499, permutations=499)
    assert same.r == pytest.approx(found.r, abs=1e-9)
    assert same.bootstrap == pytest.approx(found.bootstrap, abs=1e-9)


def test_partial_correlation_equals_the_inverse_covariance_formula():
    x, y, z, _ = partial_case(seed=8)
    precision = np.linalg.inv(np.cov(np.column_stack([x, y, z[:, :1]]).T))
    wanted = -precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])
    found = stats.partial_correlate(x, y, z[:, :1], resamples=99, permutations=99)
    assert found.r == pytest.approx(wanted, abs=1e-12)


def test_partial_spearman_is_the_formula_of_three_rank_correlations():
    x, y, z, _ = partial_case(seed=9)
    x, y, z = np.round(np.exp(x), 1), np.round(y, 1), z[:, 0] ** 3
    xy, xz, yz = (scipy.stats.spearmanr(*pair)[0] for pair in ((x, y), (x, z), (y, z)))
    wanted = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
    found = stats.partial_correlate(x, y, z[:, None], kind="spearman", resamples=9, permutations=9)
    assert found.r == pytest.approx(wanted, abs=1e-12)
    assert found.kind == "spearman"


def test_partial_correlation_sees_through_a_common_cause():
    """x and y that only share z: correlated, but not given z."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=400)
    x, y = z + 0.3 * rng.normal(size=400), z + 0.3 * rng.normal(size=400)
    assert stats.coefficient(x, y) > 0.8
    found = stats.partial_correlate(x, y, z[:, None], resamples=199, permutations=199)
    assert abs(found.r) < 0.15 and found.p_value > 0.01


def test_partial_permutation_p_is_uniform_under_the_null():
    rng = np.random.default_rng(1)
    low = 0
    for trial in range(200):
        z = rng.normal(size=(20, 2))
        x, y = z @ [1.0, 1.0] + rng.normal(size=20), z @ [2.0, -1.0] + rng.normal(size=20)
        found = stats.partial_correlate(x, y, z, resamples=2, permutations=99, seed=trial)
        low += found.p_value <= 0.1
    # Binomial(200, 0.1): 99.9 % within 20 +- 14.
    assert 6 <= low <= 34


def test_residuals_are_dealt_inside_blocks_alone():
    """Two blocks of three rows: the 36 permutations, one by one."""
    rng = np.random.default_rng(4)
    block = np.repeat([0, 1], 3)
    x, y, z = rng.normal(size=6), rng.normal(size=6) * (1 + 9 * block), rng.normal(size=(6, 1))
    design = np.column_stack([np.ones(6), z])
    hat = design @ np.linalg.pinv(design)
    left_x, left_y = x - hat @ x, y - hat @ y
    extreme = []
    for first, second in itertools.product(itertools.permutations(range(3)), repeat=2):
        dealt = left_y[[*first, *(3 + np.array(second))]]
        dealt = dealt - hat @ dealt
        extreme.append(abs(dealt @ left_x) / np.linalg.norm(dealt))
    wanted = np.mean(np.array(extreme) >= extreme[0] * (1 - 1e-9))
    found = stats.partial_correlate(x, y, z, blocks=block, resamples=9, permutations=99)
    assert found.p_value == pytest.approx(wanted) and 1 / 36 <= wanted < 1
    whole = stats.partial_correlate(x, y, z, resamples=9, permutations=720)
    assert whole.p_value != pytest.approx(wanted)


def test_p_is_uniform_under_the_null_where_blocks_vary_unequally():
    rng = np.random.default_rng(2)
    block = np.repeat([0, 1, 2], [8, 12, 10])
    scale = np.array([0.0, 1.0, 5.0])[block]
    low = 0
    for trial in range(200):
        z = np.column_stack([rng.normal(size=30), block == 1, block == 2])
        x, y = scale * rng.normal(size=30), scale * rng.normal(size=30)
        found = stats.partial_correlate(
            x, y, z, blocks=block, resamples=2, permutations=99, seed=trial
        )
        low += found.p_value <= 0.1
    # Binomial(200, 0.1): 99.9 % within 20 +- 14.
    assert 6 <= low <= 34


def test_blocks_that_cut_clusters_or_have_another_shape():
    x, y, z, labels = partial_case()
    with pytest.raises(ValueError, match="a cluster lies in several"):
        stats.partial_correlate(x, y, z, clusters=labels, blocks=np.arange(60) % 2)
    with pytest.raises(ValueError, match=r"shape \(3,\) given"):
        stats.partial_correlate(x, y, z, clusters=labels, blocks=np.arange(3))


def test_partial_correlation_of_what_covariates_explain_is_nan():
    z = np.arange(10.0)[:, None]
    found = stats.partial_correlate(2 * z[:, 0] + 1, np.sin(z[:, 0]), z, permutations=9)
    assert np.isnan(found.r) and found.p_value == 1.0
    with pytest.raises(ValueError, match="covariates"):
        stats.partial_correlate(np.arange(5.0), np.arange(5.0) ** 2, np.zeros((4, 1)))


def test_partial_correlation_of_what_covariates_explain_of_y_is_nan_too():
    z = np.arange(10.0)[:, None]
    found = stats.partial_correlate(np.sin(z[:, 0]), 2 * z[:, 0] + 1, z, permutations=9)
    assert np.isnan(found.r) and found.p_value == 1.0


@pytest.mark.parametrize("partial", [False, True])
def test_correlations_do_not_change_with_the_units(partial):
    """Pearson's r, its intervals and its p-value are the same in millimetres and in kilometres."""
    x, y, z, labels = partial_case()
    options = {"clusters": labels, "resamples": 99, "permutations": 99}

    def measure(x, y):
        if partial:
            return stats.partial_correlate(x, y, z, **options)
        return stats.correlate(x, y, **options)

    found, small = measure(x, y), measure(1e-6 * x, 1e-6 * y)
    assert small.p_value == found.p_value
    assert (small.r, *small.bootstrap) == pytest.approx((found.r, *found.bootstrap), rel=1e-9)


def test_fishers_interval_at_its_edges():
    reach = 1.959963984540054
    wanted = [math.tanh(math.atanh(0.5) + sign * reach) for sign in (-1, 1)]
    assert stats.fisher_interval(0.5, 4) == pytest.approx(wanted, abs=1e-12)
    assert stats.fisher_interval(0.5, 3) == (-1.0, 1.0)
    assert stats.fisher_interval(1.0, 9) == (1.0, 1.0)
    assert stats.fisher_interval(-1.0, 9) == (-1.0, -1.0)


def test_each_covariate_costs_fisher_a_degree_of_freedom():
    """The standard error of a partial correlation given q covariates is 1/√(n − q − 3)."""
    x, y, z, _ = partial_case()
    found = stats.partial_correlate(x, y, z, resamples=9, permutations=9, confidence=0.9)
    half = 1.6448536269514722 / math.sqrt(60 - 3 - 3)
    wanted = [math.tanh(math.atanh(found.r) + sign * half) for sign in (-1, 1)]
    assert found.fisher == pytest.approx(wanted, abs=1e-12)
    assert (found.n, found.clusters, found.confidence) == (60, 60, 0.9)


def test_students_interval_of_two_values():
    """With one degree of freedom Student's t is Cauchy's, whose quantiles are tangents."""
    reach = math.tan(math.pi * 0.475) * 0.5
    assert stats.mean_interval(np.array([0.0, 1.0])) == pytest.approx((0.5 - reach, 0.5 + reach))


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_six_clusters_are_the_fewest_with_an_interval(kind):
    """Three tasks on a line: r is 0.99, and says nothing of how far it may be off."""
    rng = np.random.default_rng(13)
    x, z = np.arange(30.0), rng.normal(size=(30, 1))
    y = x + rng.normal(size=30)
    for clusters, reason in (
        (6, ""),
        (5, "5 clusters given, at least 6 wanted"),
        (3, "3 clusters"),
    ):
        labels = np.repeat(np.arange(clusters), 30 // clusters)
        found = stats.correlate(x, y, clusters=labels, kind=kind, permutations=99)
        partly = stats.partial_correlate(x, y, z, clusters=labels, kind=kind, permutations=99)
        for one in (found, partly):
            assert np.isfinite(one.bootstrap).all() == (not reason)
            assert reason in one.reason and bool(one.reason) == bool(reason)
            assert one.clusters == clusters and one.r > 0.9
            # The rows of a cluster are not independent, so Fisher's interval is not theirs.
            assert np.isnan(one.fisher).all()


def test_unequal_clusters_count_as_the_equal_ones_that_they_weigh_like():
    rng = np.random.default_rng(14)
    sizes = np.array([80, *[1] * 9])
    labels = np.repeat(np.arange(10), sizes)
    x, y = rng.normal(size=(2, 89))
    found = stats.correlate(x, y, clusters=labels, resamples=99, permutations=99)
    assert np.isnan(found.bootstrap).all() and "unequally as 1.2 equal ones" in found.reason
    assert np.isnan(stats.bootstrap_interval(x, y, clusters=labels, resamples=99)).all()


@pytest.mark.slow
@pytest.mark.parametrize("count", [12, 24])
def test_intervals_of_clusters_of_1_to_80_rows_cover(count):
    """Of 600 runs 93 to 97 %, at the nominal 95 %, and two binomial errors of 0.9 %."""
    rng = np.random.default_rng(15)
    covered, given, low_p = 0, 0, 0
    for trial in range(600):
        labels = np.repeat(np.arange(count), rng.integers(1, 81, count))
        x, y = (rng.normal(size=count)[labels] + rng.normal(size=labels.size) for _ in range(2))
        low, high = stats.bootstrap_interval(x, y, clusters=labels, resamples=400, seed=trial)
        given += not math.isnan(low)
        covered += low <= 0 <= high
        low_p += (
            trial < 60
            and stats.permutation_p_value(x, y, clusters=labels, permutations=99, seed=trial) < 0.05
        )
    assert given >= 400
    assert 0.93 - 0.018 <= covered / given <= 0.97 + 0.018
    # Few clusters can change places, which makes p careful: Binomial(60, 0.05) is below 9.
    assert low_p <= 8


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (np.full(12, 0.3), np.arange(12.0), "x does not vary"),
        (np.arange(12.0), np.tile([0.3, 0.1 + 0.2], 6), "y does not vary"),
        (np.zeros(12), np.zeros(12), "x and y do not vary"),
    ],
)
@pytest.mark.parametrize("resamples", [0, 1, 99])
def test_what_does_not_vary_up_to_rounding_has_a_reason_and_no_numbers(x, y, reason, resamples):
    for kind in ("pearson", "spearman"):
        options = {"kind": kind, "resamples": resamples, "permutations": 9}
        z = np.random.default_rng(0).normal(size=(12, 1))
        for found in (
            stats.correlate(x, y, **options),
            stats.partial_correlate(x, y, z, **options),
        ):
            assert math.isnan(found.r) and np.isnan(found.bootstrap).all()
            assert found.p_value == 1.0 and found.reason == f"no correlation: {reason}"


def test_a_measure_that_no_resample_keeps_varying_has_no_interval():
    """All weight on the drawn clusters of one value: not one finite draw, and no IndexError."""
    x, y = np.array([1.0, *[0.0] * 7]), np.arange(8.0)
    found = stats.correlate(x, y, resamples=0, permutations=9)
    assert math.isfinite(found.r) and np.isnan(found.bootstrap).all()


def test_that_nothing_can_be_dealt_is_said():
    labels = np.repeat(np.arange(7), np.arange(1, 8))
    x, y = np.random.default_rng(16).normal(size=(2, 28))
    found = stats.correlate(x, y, clusters=labels, permutations=9, resamples=99)
    assert found.p_value == 1.0 and "no two clusters have as many rows" in found.reason


def test_three_rows_are_the_fewest():
    assert stats.correlate(np.arange(3.0), np.array([0.0, 2.0, 1.0])).r == pytest.approx(0.5)


@pytest.mark.parametrize("partial", [False, True])
def test_random_permutations_count_the_observed_order_as_one_of_them(partial):
    """On a line none of 9,999 random orders of ten rows comes near the observed one."""
    x, z = np.arange(10.0), np.tile([[0.0], [1.0]], (5, 1))
    y = 2 * x + 1
    found = stats.partial_correlate(x, y, z) if partial else stats.correlate(x, y)
    assert found.p_value == 1 / 10_000


@pytest.mark.parametrize("partial", [False, True])
def test_naming_the_defaults_repeats_a_result(partial):
    x, y, z, labels = partial_case()
    named = {"confidence": 0.95, "resamples": 4999, "permutations": 9999, "seed": 0}
    measure = stats.partial_correlate if partial else stats.correlate
    given = (x, y, z) if partial else (x, y)
    assert measure(*given, clusters=labels) == measure(*given, clusters=labels, **named)


def test_naming_the_defaults_of_the_parts_repeats_their_results():
    x, y, _, labels = partial_case()
    options = {"clusters": labels}
    named = options | {"confidence": 0.95, "resamples": 4999, "seed": 0}
    assert stats.bootstrap_interval(x, y, **options) == stats.bootstrap_interval(x, y, **named)
    named = options | {"permutations": 9999, "seed": 0}
    assert stats.permutation_p_value(x, y, **options) == stats.permutation_p_value(x, y, **named)
    assert stats.fisher_interval(0.3, 9) == stats.fisher_interval(0.3, 9, confidence=0.95)
    assert stats.mean_interval(x) == stats.mean_interval(x, confidence=0.95)


@pytest.mark.parametrize("rows", [3, 256, 257, 600])
def test_resamples_are_complete_whatever_their_number(rows):
    x, y = np.random.default_rng(11).normal(size=(2, 7))
    weights = np.random.default_rng(12).multinomial(7, np.full(7, 1 / 7), size=rows)
    for kind in ("pearson", "spearman"):
        found = stats.weighted_coefficients(x, y, weights, kind=kind)
        last = stats.coefficient(np.repeat(x, weights[-1]), np.repeat(y, weights[-1]), kind=kind)
        assert found.shape == (rows,) and found[-1] == pytest.approx(last, abs=1e-12)


def test_covariates_that_do_not_fit_the_rows():
    x, y = np.arange(5.0), np.arange(5.0) ** 2
    for covariates in (np.ones(5), np.full((5, 1), np.nan), np.ones((6, 1)), np.ones((5, 1, 1))):
        with pytest.raises(ValueError, match=r"covariates: shape .* finite \(5, q\) wanted"):
            stats.partial_correlate(x, y, covariates)
