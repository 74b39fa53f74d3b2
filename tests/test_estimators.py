"""Estimators against exact enumeration, closed forms and, for coverage, stated confidence.

On a 2 x 2 grid every sequence of N masks can be listed with its probability, so that expectations
and variances of an estimator are exact numbers and not simulations.
"""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from differences import same_as_differences
from enumeration import CELLS, target
from scipy import stats

from iss_jax import estimators
from iss_jax.estimators import ESTIMATORS, PENALTIES, estimate, estimate_with_surrogate
from iss_jax.masks import sample_masks

# A different effect for every one of the 16 masks: main effects and all interactions.
BALANCED = {"design": "balanced"}
EFFECT = np.random.default_rng(0).gamma(2.0, 1.0, 16).astype(np.float32)


def estimates_of(masks, effects, **options):
    """Scores and errors for every [n] row of a list of runs."""
    run = jax.jit(jax.vmap(lambda m, e: estimate(m, e, **options)))
    scores, stderr, _ = run(jnp.asarray(masks), jnp.asarray(effects))
    return np.asarray(scores, np.float64), np.asarray(stderr, np.float64)


def all_bernoulli_runs(n, keep_prob):
    index = np.array(list(itertools.product(range(16), repeat=n)))
    weight = np.where(CELLS.reshape(16, 4), keep_prob, 1 - keep_prob).prod(1)[index].prod(1)
    return CELLS[index], EFFECT[index], weight


def all_balanced_runs(n, kept):
    """All ways of choosing, for each cell, the masks that keep it; they are equally likely."""
    columns = np.array([np.isin(range(n), c) for c in itertools.combinations(range(n), kept)])
    index = np.array(list(itertools.product(range(len(columns)), repeat=4)))
    cells = np.moveaxis(columns[index], 1, 2)
    code = (cells * np.array([8, 4, 2, 1])).sum(-1)
    return cells.reshape(len(index), n, 2, 2), EFFECT[code]


@pytest.mark.parametrize("estimator", ["fixed", "centred"])
@pytest.mark.parametrize(("n", "keep_prob"), [(2, 0.3), (3, 0.6)])
def test_expectation_is_the_enumerated_target(estimator, n, keep_prob):
    masks, effects, weight = all_bernoulli_runs(n, keep_prob)
    scores, _ = estimates_of(masks, effects, estimator=estimator, keep_prob=keep_prob)
    expectation = np.einsum("r,rij->ij", weight, scores)
    np.testing.assert_allclose(expectation, target(keep_prob, EFFECT), rtol=2e-6)


def test_ratio_is_unbiased_where_the_cell_is_dropped_at_all():
    n, keep_prob = 3, 0.6
    masks, effects, weight = all_bernoulli_runs(n, keep_prob)
    scores, stderr = estimates_of(masks, effects, estimator="ratio", keep_prob=keep_prob)
    times = (~masks).sum(1)
    for i, j in np.ndindex(2, 2):
        seen = times[:, i, j] > 0
        expectation = np.average(scores[seen, i, j], weights=weight[seen])
        np.testing.assert_allclose(expectation, target(keep_prob, EFFECT)[i, j], rtol=2e-6)
        np.testing.assert_allclose(scores[~seen, i, j], effects[~seen].mean(1), rtol=1e-6)
    assert np.array_equal(np.isinf(stderr), times < 2)


@pytest.mark.parametrize("estimator", ["fixed", "ratio", "centred"])
@pytest.mark.parametrize(("n", "kept"), [(4, 1), (3, 2), (5, 2)])
def test_balanced_expectation_is_the_enumerated_target(estimator, n, kept):
    masks, effects = all_balanced_runs(n, kept)
    # keep_prob is deliberately wrong: the share of the masks that keep a cell is what counts. But
    # `fixed` divides by the p that it is told, as Eq. 12 does, where masks are not of that design.
    told = kept / n if estimator == "fixed" else 0.9
    scores, _ = estimates_of(masks, effects, estimator=estimator, design="balanced", keep_prob=told)
    np.testing.assert_allclose(scores.mean(0), target(kept / n, EFFECT), rtol=2e-6)


def test_fixed_error_is_unbiased_for_the_exact_variance():
    masks, effects, weight = all_bernoulli_runs(3, 0.3)
    scores, stderr = estimates_of(masks, effects, estimator="fixed", keep_prob=0.3)
    mean = np.einsum("r,rij->ij", weight, scores)
    variance = np.einsum("r,rij->ij", weight, (scores - mean) ** 2)
    # Without a drop nothing is known; such runs add zero to the expectation that is unbiased.
    never = masks.all(1)
    assert np.array_equal(np.isinf(stderr), never)
    square = np.where(never, 0.0, stderr) ** 2
    np.testing.assert_allclose(np.einsum("r,rij->ij", weight, square), variance, rtol=1e-5)


@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
@pytest.mark.parametrize(("n", "keep_prob"), [(20, 0.3), (7, 0.3), (1, 0.5), (9, 0.9)])
def test_fixed_with_a_callers_masks_is_equation_12_whatever_the_design(design, n, keep_prob):
    """The sum over masks of delta times the drop bit, over N (1 - p)."""
    n = max(n, 2)
    masks = np.random.default_rng(4).random((n, 2, 3, 4)) < 0.6
    effects = np.random.default_rng(5).random(n).astype(np.float32)
    wanted = np.einsum("n,nvij->vij", effects, ~masks) / (n * (1 - keep_prob))
    options = {"estimator": "fixed", "design": design, "keep_prob": keep_prob}
    found = estimate(jnp.asarray(masks), jnp.asarray(effects), **options)
    np.testing.assert_allclose(found.scores, wanted, rtol=1e-5, atol=1e-7)
    other = estimate(
        jnp.asarray(masks), jnp.asarray(effects), **(options | {"design": "bernoulli"})
    )
    for one, two in zip(found, other, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5)
    inside = jax.jit(lambda p: estimate(masks, effects, **(options | {"keep_prob": p})).scores)
    np.testing.assert_allclose(inside(keep_prob), wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_cell_that_no_mask_drops_has_an_infinite_error(estimator, design):
    masks = np.array(sample_masks(jax.random.key(6), 12, 1, grid=(2, 3)))
    masks[:, 0, 0, 1] = True
    active = np.ones((1, 2, 3), bool)
    active[0, 1, 2] = False
    effects = jax.random.uniform(jax.random.key(7), (12,))
    found = estimate(jnp.asarray(masks), effects, estimator=estimator, design=design, active=active)
    never = np.zeros((1, 2, 3), bool)
    never[0, 0, 1] = True
    for error in (found.stderr, found.contrast_stderr):
        assert np.array_equal(np.isinf(error), never)
        assert error[0, 1, 2] == 0.0 and not np.isnan(error).any()
    assert np.isfinite(found.scores).all()


def test_centred_needs_fewer_masks_than_fixed_by_exact_variance():
    masks, effects, weight = all_bernoulli_runs(4, 0.3)
    variance = {}
    for estimator in ("fixed", "centred"):
        scores, _ = estimates_of(masks, effects, estimator=estimator, keep_prob=0.3)
        mean = np.einsum("r,rij->ij", weight, scores)
        variance[estimator] = np.einsum("r,rij->ij", weight, (scores - mean) ** 2)
    assert np.all(variance["centred"] < variance["fixed"])


def test_balanced_error_is_not_below_the_exact_variance():
    """The worst case, with only three masks that drop a cell."""
    masks, effects = all_balanced_runs(6, 3)
    scores, stderr = estimates_of(masks, effects, design="balanced")
    assert np.all((stderr**2).mean(0) > 0.95 * scores.var(0))


def test_balanced_error_knows_that_main_effects_are_balanced():
    """An additive effect, where Psi's variance is that of draws without replacement."""
    n, dropped, repetitions = 40, 28, 300
    weights = np.linspace(-1, 2, 12, dtype=np.float32)

    def once(key):
        masks = sample_masks(key, n, 1, grid=(1, 12), design="balanced")
        effects = (~masks).reshape(n, 12).astype(jnp.float32) @ weights
        aware = estimate(masks, effects, design="balanced")
        return aware.stderr, estimate(masks, effects, estimator="ratio").stderr

    keys = jax.random.split(jax.random.key(9), repetitions)
    aware, iid = jax.jit(lambda k: jax.lax.map(once, k, batch_size=50))(keys)
    others = np.square(weights).sum() - np.square(weights)
    exact = 0.7 * 0.3 * others * n / (n - 1) / dropped * (n - dropped) / n
    ratio = np.square(np.asarray(aware)).mean(0).reshape(12) / exact
    naive = np.square(np.asarray(iid)).mean(0).reshape(12) / exact
    # Capping the estimated share at one leaves it a little too careful.
    assert np.all(ratio > 0.97) and np.all(ratio < 1.4)
    assert np.all(naive > 2.5)


def nonlinear(masks):
    """Main effects, a square of their sum and one strong pair, on 10 cells."""
    drops = (~masks).astype(jnp.float32)
    total = drops @ jnp.linspace(-0.5, 1.5, 10)
    return 0.5 * jnp.square(total - 2.0) + 2.0 * drops[:, 0] * drops[:, 1] + 1.0


@pytest.mark.parametrize(
    ("design", "estimator"),
    [
        ("bernoulli", "fixed"),
        ("bernoulli", "ratio"),
        ("bernoulli", "centred"),
        ("balanced", "centred"),
    ],
)
def test_unbiased_and_95_percent_intervals_cover(design, estimator):
    """1,500 repetitions with N = 50 on 10 cells, against the enumerated target.

    Unbiasedness: a z-test for each cell at a joint level of 1e-3 (Bonferroni). Coverage of the
    Student t intervals: rejected where the count is less likely than 1e-4 a cell for every true
    coverage between 93 % and 97.5 %.
    """
    repetitions, n, keep_prob = 1500, 50, 0.3

    def once(key):
        masks = sample_masks(key, n, 1, grid=(1, 10), keep_prob=keep_prob, design=design)
        effects = nonlinear(masks.reshape(n, 10))
        found = estimate(masks, effects, estimator=estimator, design=design, keep_prob=keep_prob)
        return found.scores.reshape(10), found.stderr.reshape(10)

    keys = jax.random.split(jax.random.key(7), repetitions)
    scores, stderr = map(np.asarray, jax.jit(lambda k: jax.lax.map(once, k, batch_size=100))(keys))
    cells = np.array(list(itertools.product([False, True], repeat=10)))
    psi = target(keep_prob, np.asarray(nonlinear(jnp.asarray(cells))), cells)
    z = (scores.mean(0) - psi) / (scores.std(0, ddof=1) / np.sqrt(repetitions))
    assert np.abs(z).max() < stats.norm.ppf(1 - 1e-3 / 10 / 2)
    half_width = stats.t.ppf(0.975, n * (1 - keep_prob) - 1) * stderr
    covered = (np.abs(scores - psi) <= half_width).sum(0)
    assert stats.binom.ppf(1e-4, repetitions, 0.93) <= covered.min()
    assert covered.max() <= stats.binom.ppf(1 - 1e-4, repetitions, 0.975)


def test_balanced_designs_leave_nothing_for_a_control_variate():
    masks = sample_masks(jax.random.key(0), 20, 2, design="balanced")
    effects = jax.random.uniform(jax.random.key(1), (20,))
    found = [estimate(masks, effects, estimator=e, design="balanced") for e in ("fixed", "ratio")]
    centred = estimate(masks, effects, estimator="centred", design="balanced")
    for other in found:
        np.testing.assert_allclose(other.scores, centred.scores, rtol=1e-6)
        np.testing.assert_allclose(other.stderr, centred.stderr, rtol=1e-6)
    direct = np.einsum("n,nvij->vij", effects, ~np.asarray(masks)) / 14
    np.testing.assert_allclose(centred.scores, direct, rtol=1e-6)


def test_centred_subtracts_the_mean_of_the_other_masks():
    masks = np.asarray(sample_masks(jax.random.key(2), 12, 1, grid=(2, 3)))
    effects = np.asarray(jax.random.uniform(jax.random.key(3), (12,)))
    drops, q = ~masks, 0.7
    expected = np.zeros(masks.shape[1:])
    for k in range(12):
        others = np.delete(effects, k).mean()
        expected += (effects[k] * drops[k] - others * (drops[k] - q)) / (12 * q)
    found = estimate(jnp.asarray(masks), jnp.asarray(effects), estimator="centred")
    np.testing.assert_allclose(found.scores, expected, rtol=1e-5)


# The smallest and the largest penalty win: float32 knows small residuals, then small contrasts, to
# this much.
@pytest.mark.parametrize(("noise", "rtol"), [(0.5, 2e-2), (3.0, 5e-3)])
@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
def test_ridge_equals_generalised_cross_validation_done_the_long_way(design, noise, rtol):
    n, keep_prob = 20, 0.3
    key = jax.random.split(jax.random.key(4), 2)
    masks = sample_masks(key[0], n, 1, grid=(5, 6), design=design)
    drops = ~np.asarray(masks).reshape(n, 30)
    effects = drops @ np.linspace(0, 1, 30) + noise * np.asarray(jax.random.normal(key[1], (n,)))
    x, y = drops - drops.mean(0), effects - effects.mean()
    scale = np.trace(x @ x.T) / n
    best, slopes, chosen = np.inf, np.zeros(30), np.zeros((30, n))
    for penalty in PENALTIES:
        solver = np.linalg.solve(x.T @ x + penalty * scale * np.eye(30), x.T)
        hat = x @ solver + 1 / n
        loss = np.square(effects - hat @ effects).sum() / (n - np.trace(hat)) ** 2
        if loss < best:
            best, slopes, chosen = loss, solver @ y, solver
    q = drops.mean(0) if design == "balanced" else np.full(30, 1 - keep_prob)
    mean = effects.mean() - (drops.mean(0) - q) @ slopes
    found = estimate(masks, jnp.asarray(effects, jnp.float32), estimator="ridge", design=design)
    expected = (mean + (1 - q) * slopes).reshape(1, 5, 6)
    np.testing.assert_allclose(found.scores, expected, rtol=2e-3)
    # A score is linear in the effects. What a run's residual says of its noise is more than the
    # noise itself by the squares of what the fit leaves of each run (White's correction, HC2).
    linear = (1 - q)[:, None] * chosen + (1 - (drops.mean(0) - q) @ chosen * n) / n
    left = np.eye(n) - x @ chosen - 1 / n
    variance = np.square(left @ y) / np.square(left).sum(1)
    for claimed, rows in (
        (found.stderr, linear),
        (found.contrast_stderr, linear - linear.mean(0)),
    ):
        wanted = np.sqrt(np.square(rows) @ variance).reshape(1, 5, 6)
        np.testing.assert_allclose(claimed, wanted, rtol=rtol)


def test_penalties_are_eight_a_decade_from_a_thousandth_to_ten_thousand():
    np.testing.assert_allclose(PENALTIES, np.geomspace(1e-3, 1e4, 7 * 8 + 1))


def test_ridge_recovers_an_additive_effect():
    weights = jnp.linspace(-1.0, 2.0, 12)
    masks = sample_masks(jax.random.key(5), 60, 1, grid=(3, 4))
    effects = (~masks).reshape(60, 12).astype(jnp.float32) @ weights + 3.0
    found = estimate(masks, effects, estimator="ridge")
    expected = 3.0 + 0.7 * weights.sum() + 0.3 * weights
    np.testing.assert_allclose(found.scores.reshape(12), expected, rtol=2e-3)


def test_ridge_error_is_the_spread_of_its_scores():
    def once(key):
        masks = sample_masks(key, 50, 1, grid=(1, 10))
        return estimate(masks, nonlinear(masks.reshape(50, 10)), estimator="ridge")

    keys = jax.random.split(jax.random.key(8), 600)
    found = jax.jit(lambda k: jax.lax.map(once, k, batch_size=100))(keys)
    scores, stderr = map(np.asarray, found[:2])
    ratio = np.sqrt(np.square(stderr).mean(0)) / np.std(scores, axis=0)
    assert np.all(np.abs(ratio - 1) < 0.15)


@pytest.mark.parametrize("estimator", ["fixed", "centred", "ratio"])
def test_all_cells_share_most_of_the_error_of_effects_that_no_cell_makes(estimator):
    """Effects without any relation to the masks, variance one, in a closed form.

    Scores have variance 1 / (n q), any two of them the covariance 1 / n; contrasts with the mean of
    C cells have (1 / q - 1) (1 - 1 / C) / n, less by the factor p / (1 - 1 / C).
    """
    n, p, cells = 20_000, 0.3, 10
    masks = sample_masks(jax.random.key(0), n, 1, grid=(2, 5), keep_prob=p)
    effects = jax.random.normal(jax.random.key(1), (n,))
    found = estimate(masks, effects, estimator=estimator, keep_prob=p)
    np.testing.assert_allclose(np.square(found.stderr) * n, 1 / (1 - p), rtol=0.05)
    wanted = (1 / (1 - p) - 1) * (1 - 1 / cells)
    np.testing.assert_allclose(np.square(found.contrast_stderr) * n, wanted, rtol=0.05)


def contrasts_of(scores):
    return scores - scores.mean((1, 2), keepdims=True)


def test_contrast_error_of_fixed_is_unbiased_for_the_exact_variance():
    """Three masks of four cells, all 4,096 sequences with their probabilities."""
    masks, effects, weight = all_bernoulli_runs(3, 0.3)
    run = jax.jit(jax.vmap(lambda m, e: estimate(m, e, estimator="fixed", keep_prob=0.3)))
    found = run(jnp.asarray(masks), jnp.asarray(effects))
    contrasts = contrasts_of(np.asarray(found.scores, np.float64))
    mean = np.einsum("r,rij->ij", weight, contrasts)
    variance = np.einsum("r,rij->ij", weight, (contrasts - mean) ** 2)
    # Without a drop nothing is known; what those runs add is that of a term that is always zero.
    stderr, never = np.asarray(found.contrast_stderr, np.float64), masks.all(1)
    assert np.array_equal(np.isinf(stderr), never)
    terms = effects[:, :, None, None] * ~masks / 0.7
    zero = -terms.mean((2, 3)).std(1, ddof=1)[:, None, None] / np.sqrt(3)
    square = np.where(never, zero, stderr) ** 2
    claimed = np.einsum("r,rij->ij", weight, square)
    np.testing.assert_allclose(claimed, variance, rtol=1e-5)


@pytest.mark.parametrize(("n", "kept"), [(5, 2), (7, 2), (7, 3)])
def test_balanced_contrast_error_is_near_the_exact_variance_of_few_masks(n, kept):
    """All sequences of five to seven balanced masks of three cells, whose effects interact.

    So few masks leave a bias of order 1 / n: root mean squares within 15 %, each cell within 25 %.
    """
    columns = np.array([np.isin(range(n), c) for c in itertools.combinations(range(n), kept)])
    index = np.array(list(itertools.product(range(len(columns)), repeat=3)))
    cells = np.moveaxis(columns[index], 1, 2)
    effects = EFFECT[(cells * np.array([4, 2, 1])).sum(-1)]
    run = jax.jit(jax.vmap(lambda m, e: estimate(m, e, design="balanced")))
    found = run(jnp.asarray(cells.reshape(-1, n, 1, 3)), jnp.asarray(effects))
    variance = contrasts_of(np.asarray(found.scores, np.float64)).var(0)
    claimed = (np.asarray(found.contrast_stderr, np.float64) ** 2).mean(0)
    assert abs(np.sqrt(claimed.mean() / variance.mean()) - 1) < 0.15
    assert np.abs(np.sqrt(claimed / variance) - 1).max() < 0.25


def test_balanced_contrast_error_of_an_additive_effect_in_a_closed_form():
    """Effects sum_j b_j d_j: of a contrast only products of two cells' luck are left.

    With a the contrast's weights (1 at its cell, less 1 / C), the variance is the sum over pairs
    j < l of (a_j b_l + a_l b_j)^2, times (1 - q)^2 / (n - 1): columns of a balanced design are
    independent orders, whose products have the variance (q (1 - q))^2 n^2 / (n - 1).
    """
    n, cells, q = 40, 12, 0.7
    weights = np.linspace(-1, 2, cells, dtype=np.float32)

    def once(key):
        masks = sample_masks(key, n, 1, grid=(1, cells), design="balanced")
        return estimate(masks, (~masks).reshape(n, -1).astype(jnp.float32) @ weights, **BALANCED)

    keys = jax.random.split(jax.random.key(9), 600)
    found = jax.jit(lambda k: jax.lax.map(once, k, batch_size=100))(keys)
    a = np.eye(cells) - 1 / cells
    products = a[:, :, None] * weights[None, None] + a[:, None] * weights[None, :, None]
    pairs = np.square(products)[:, *np.triu_indices(cells, 1)].sum(1)
    exact = pairs * (1 - q) ** 2 / (n - 1)
    claimed = np.square(np.asarray(found.contrast_stderr)).mean(0).reshape(cells)
    # 600 repeats know each mean to 1 %; the bias of n = 40 masks is of the order of 1 / n.
    np.testing.assert_allclose(np.sqrt(claimed / exact), 1.0, atol=0.05)


def smooth(masks):
    """A policy of 16 saturating units behind 30 cells, a few of which matter most."""
    key = jax.random.split(jax.random.key(1), 3)
    weights = jax.random.normal(key[0], (30, 16)) / 30**0.5
    weights = weights * jnp.exp(jax.random.normal(key[1], (30, 1)))
    heads = jax.random.normal(key[2], (16, 4))
    unmasked = jnp.ones((1, 30))
    baseline, actions = (jnp.tanh(m @ weights + 0.3) @ heads for m in (unmasked, masks))
    return jnp.square(actions - baseline).mean(-1)


def simulated(once, repeats, seed=8):
    """Claimed over actual errors of contrasts: root mean square, each cell; share within two."""
    keys = jax.random.split(jax.random.key(seed), repeats)
    found = jax.jit(lambda k: jax.lax.map(once, k, batch_size=100))(keys)
    scores, claimed = (np.asarray(x).reshape(repeats, -1) for x in (found.scores, found[2]))
    contrasts = scores - scores.mean(1, keepdims=True)
    variance, mean_claim = contrasts.var(0, ddof=1), np.square(claimed).mean(0)
    within = np.mean(np.abs(contrasts - contrasts.mean(0)) <= 2 * claimed)
    return np.sqrt(mean_claim.sum() / variance.sum()), np.sqrt(mean_claim / variance), within


@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
@pytest.mark.parametrize("estimator", ["fixed", "ratio", "centred"])
def test_contrast_errors_are_the_spread_of_contrasts_cell_by_cell(design, estimator):
    """1,000 redrawn sets of 60 masks on 30 cells: a cell's spread is known to 2.2 %.

    Root mean squares within 4 %, each cell within 12 % (four errors and a bias of 1 / n), and two
    claimed errors hold 93 to 97 % of the contrasts. With balanced masks a cell whose interactions
    with others rule its effect may be a third too careful: so few runs do not tell all of them.
    """

    def once(key):
        masks = sample_masks(key, 60, 1, grid=(5, 6), design=design)
        effects = smooth(masks.reshape(60, 30).astype(jnp.float32))
        return estimate(masks, effects, estimator=estimator, design=design)

    total, each, within = simulated(once, 1000)
    assert abs(total - 1) < 0.04
    assert each.min() > 0.88 and each.max() < (1.12 if design == "bernoulli" else 1.33)
    assert 0.93 < within < 0.97


@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
def test_contrast_errors_of_ridge_hold_the_sampling_noise(design):
    """600 sets of 60 masks: short of the spread by what choosing the penalty adds, at most 15 %."""

    def once(key):
        masks = sample_masks(key, 60, 1, grid=(5, 6), design=design)
        effects = smooth(masks.reshape(60, 30).astype(jnp.float32))
        return estimate(masks, effects, estimator="ridge", design=design)

    total, _, within = simulated(once, 600)
    assert 0.85 < total < 1.05
    assert 0.90 < within < 0.97


@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
@pytest.mark.parametrize("estimator", ["fixed", "centred", "ratio", "ridge"])
def test_contrast_errors_leave_out_cells_that_mask_nothing(design, estimator):
    """600 repeats of N = 50, three of ten cells inactive: root mean squares are known to 3 %.

    Ridge's noise is that of one penalty; balanced, it is 12 % too much here.
    """
    active = jnp.arange(10)[None] < 7

    def once(key):
        masks = sample_masks(key, 50, 1, grid=(1, 10), design=design)
        effects = 5.0 + nonlinear(masks.reshape(50, 10) | ~active)
        return estimate(masks, effects, estimator=estimator, design=design, active=active)

    keys = jax.random.split(jax.random.key(8), 600)
    found = jax.jit(lambda k: jax.lax.map(once, k, batch_size=100))(keys)
    scores = np.asarray(found.scores).reshape(600, 10)[:, :7]
    spread = (scores - scores.mean(1, keepdims=True)).var(0).mean()
    claimed = np.square(np.asarray(found.contrast_stderr)).reshape(600, 10)
    assert not claimed[:, 7:].any()
    most = 1.15 if estimator == "ridge" else 1.1
    assert 0.9 < np.sqrt(claimed[:, :7].mean() / spread) < most


def main_effects(drops, effects, cell):
    """Pair by pair: what other cells' main effects explain among the masks that drop a cell."""
    n, cells = drops.shape
    rows, total = drops[:, cell], 0.0
    for other in range(cells):
        without, with_it = effects[rows & drops[:, other]], effects[rows & ~drops[:, other]]
        if min(len(without), len(with_it)) < 2:
            continue
        square = (without.mean() - with_it.mean()) ** 2
        square -= without.var(ddof=1) / len(without) + with_it.var(ddof=1) / len(with_it)
        share = drops[:, other].sum() / n
        total += share * (1 - share) * square
    return total


@pytest.mark.parametrize(("n", "keep_prob"), [(9, 0.4), (12, 0.3), (14, 0.6)])
def test_balanced_errors_done_the_long_way(n, keep_prob):
    """Sampling without replacement of a finite population, for what main effects explain."""
    masks = np.asarray(
        sample_masks(
            jax.random.key(n), n, 1, grid=(2, 3), keep_prob=keep_prob, design="balanced"
        ).reshape(n, 6)
    )
    effects = np.random.default_rng(n).normal(size=n) + ~masks @ np.array([3.0, -2, 1, 0, 0, 2])
    found = estimate(jnp.asarray(masks), jnp.asarray(effects, jnp.float32), design="balanced")
    shares = []
    for cell in range(6):
        group = effects[~masks[:, cell]]
        count, variance = len(group), group.var(ddof=1)
        explained = np.clip(main_effects(~masks, effects, cell), 0.0, variance)
        shares.append(explained / variance)
        wanted = variance / count - explained * (count - 1) / ((n - 1) * count)
        assert float(found.stderr[cell]) == pytest.approx(np.sqrt(wanted), rel=1e-4)
    # Some of it, and not all, so that neither limit hides the sum.
    assert any(0 < share < 1 for share in shares)


@pytest.mark.parametrize("estimator", ["fixed", "centred", "ratio"])
def test_errors_are_those_of_a_mean_of_what_each_run_adds(estimator):
    """One cell is dropped by a single mask and one by none, whose error no estimator knows."""
    n, q = 9, 0.7
    drops = ~np.asarray(sample_masks(jax.random.key(11), n, 1, grid=(1, 6))).reshape(n, 6)
    drops[:, 4:] = False
    drops[3, 4] = True
    effects = np.random.default_rng(0).gamma(2.0, 1.0, n)
    if estimator == "fixed":
        added = effects[:, None] * drops / q
    elif estimator == "centred":
        others = (effects.sum() - effects) / (n - 1)
        added = (effects - others)[:, None] * drops / q
    else:
        count = np.maximum(drops.sum(0), 1)
        means = (effects @ drops) / count
        added = (effects[:, None] - means) * drops * n / count
    counted = drops.sum(0) >= (2 if estimator == "ratio" else 0)
    known = drops.sum(0) >= (2 if estimator == "ratio" else 1)
    found = estimate(jnp.asarray(~drops), jnp.asarray(effects, jnp.float32), estimator=estimator)
    contrasts = added - added[:, counted].mean(1, keepdims=True)
    for claimed, terms in ((found.stderr, added), (found.contrast_stderr, contrasts)):
        assert np.isinf(claimed[~known]).all()
        if terms is added and estimator == "ratio":
            groups = [effects[drops[:, cell]] for cell in np.flatnonzero(known)]
            wanted = [stats.sem(group) for group in groups]
        else:
            wanted = stats.sem(terms)[known]
        np.testing.assert_allclose(claimed[known], wanted, rtol=1e-4)


@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
@pytest.mark.parametrize("estimator", ["fixed", "ratio", "centred"])
def test_where_nothing_is_active_all_is_zero_and_scores_have_a_gradient(design, estimator):
    masks = sample_masks(jax.random.key(6), 6, 1, grid=(2, 2), design=design)
    inactive = jnp.zeros((1, 2, 2), bool)

    def total(effects):
        found = estimate(masks, effects, estimator=estimator, design=design, active=inactive)
        return found.scores.sum(), found

    (_, found), gradient = jax.value_and_grad(total, has_aux=True)(jnp.arange(6.0))
    assert not any(leaf.any() for leaf in found)
    np.testing.assert_array_equal(gradient, 0.0)


@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
@pytest.mark.parametrize("estimator", ["fixed", "ratio", "centred", "ridge"])
def test_inactive_cells_are_zero_and_change_no_other(design, estimator):
    masks = sample_masks(jax.random.key(6), 30, 2, grid=(3, 3), design=design)
    effects = jax.random.uniform(jax.random.key(7), (30,)) + 1.0
    active = jnp.ones((2, 3, 3), bool).at[1].set(False).at[0, 0, 0].set(False)
    options = {"estimator": estimator, "design": design}
    found = estimate(masks, effects, active=active, **options)
    found, active = jax.tree.map(np.asarray, (found, active))
    assert not found.scores[~active].any() and not found.stderr[~active].any()
    assert np.isfinite(found.stderr).all() and (found.scores[active] > 0).all()
    alone = estimate(np.asarray(masks)[:, active], effects, **options)
    np.testing.assert_allclose(found.scores[active], alone.scores, rtol=1e-4)
    np.testing.assert_allclose(found.stderr[active], alone.stderr, rtol=1e-3)


def test_gradients_with_respect_to_effects_are_finite():
    masks = sample_masks(jax.random.key(6), 12, 1, grid=(3, 3), design="balanced")
    effects = jnp.zeros(12)
    for estimator in ("fixed", "ratio", "centred", "ridge"):
        for design in ("bernoulli", "balanced"):

            def loss(e, estimator=estimator, design=design):
                return jnp.square(
                    estimate(masks, e, estimator=estimator, design=design).scores
                ).sum()

            gradient = jax.jit(jax.grad(loss))
            assert np.isfinite(gradient(effects)).all()
            assert np.isfinite(gradient(effects + 1.0)).all()


@pytest.mark.parametrize(
    ("options", "n", "message"),
    [
        ({"estimator": "mean"}, 4, "estimator.*mean"),
        ({"design": "sobol"}, 4, "design.*sobol"),
        ({}, 3, r"effects must be \[4\].*\(3,\)"),
    ],
)
def test_errors_name_what_is_wrong(options, n, message):
    with pytest.raises(ValueError, match=message):
        estimate(jnp.ones((4, 2), bool), jnp.zeros(n), **options)


def test_two_masks_are_the_fewest():
    masks = jnp.asarray([[True, False], [False, True]])
    assert np.isfinite(estimate(masks, jnp.arange(2.0)).stderr).all()
    with pytest.raises(ValueError, match="at least 2 masks, got 1"):
        estimate(masks[:1], jnp.zeros(1))


@pytest.mark.parametrize("estimator", ["fixed", "ratio", "centred", "ridge"])
def test_a_single_cell_has_no_contrast_with_the_mean_of_the_cells(estimator):
    masks = sample_masks(jax.random.key(12), 20, 1, grid=(1, 1))
    found = estimate(masks, jax.random.normal(jax.random.key(13), (20,)), estimator=estimator)
    assert float(found.contrast_stderr[0, 0, 0]) == pytest.approx(0.0, abs=1e-6)
    assert float(found.stderr[0, 0, 0]) > 0.1


@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
def test_a_cell_that_is_never_dropped_leaves_the_others_errors_a_gradient(design):
    masks = jnp.asarray([[True, k % 2 == 0] for k in range(8)])

    def error(effects):
        found = estimate(masks, effects, estimator="ratio", design=design)
        return found.stderr[1], found.stderr[0]

    gradient, unknown = jax.grad(error, has_aux=True)(jnp.square(jnp.arange(8.0)))
    assert np.isinf(unknown) and np.isfinite(gradient).all() and np.abs(gradient).max() > 0


@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_inactive_cells_leave_the_errors_their_gradients(estimator, design):
    masks = sample_masks(jax.random.key(20), 20, 3, grid=(2, 2), design=design)
    effects = jax.random.gamma(jax.random.key(21), 2.0, (20,)) + jnp.where(
        masks[:, 0, 0, 0], 0.0, 2.0
    )
    # One view is absent, of another only a cell is picture.
    active = jnp.asarray([[[True] * 2] * 2, [[False] * 2] * 2, [[True, False], [False] * 2]])
    run = partial(estimate, masks, estimator=estimator, design=design, active=active)
    same_as_differences(run, effects, active)


@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_errors_that_are_zero_have_gradients_of_zero(estimator, design):
    masks = sample_masks(jax.random.key(22), 20, 1, grid=(2, 2), design=design)
    run = partial(estimate, masks, estimator=estimator, design=design)
    still = jax.grad(lambda effects: run(effects).contrast_stderr.sum())(jnp.ones(20))
    assert np.isfinite(still).all()
    # The only active cell is its map's mean, whatever the effects.
    alone = jnp.asarray([[[True, False], [False, False]]])
    effects = jax.random.gamma(jax.random.key(21), 2.0, (20,))
    found = jax.grad(lambda effects: run(effects, active=alone).contrast_stderr.sum())(effects)
    np.testing.assert_allclose(found, 0.0, atol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 1.0, -30.0])
def test_any_surrogate_leaves_the_expectation_at_the_enumerated_target(scale):
    masks, effects, weight = all_bernoulli_runs(3, 0.3)
    contrast = scale * jnp.asarray([[1.0, -0.5], [0.2, 0.7]])
    run = jax.jit(jax.vmap(lambda m, e: estimate_with_surrogate(m, e, contrast)))
    scores = np.asarray(run(jnp.asarray(masks), jnp.asarray(effects)).scores, np.float64)
    expectation = np.einsum("r,rij->ij", weight, scores)
    np.testing.assert_allclose(expectation, target(0.3, EFFECT), rtol=2e-6, atol=2e-6 * abs(scale))


def test_surrogate_on_nine_cells_takes_its_share_of_the_variance():
    """3 x 3 cells, all pairs of masks: unbiased, and no variance at all for an additive effect."""
    cells = np.array(list(itertools.product([False, True], repeat=9))).reshape(-1, 3, 3)
    probability = np.where(cells.reshape(512, 9), 0.3, 0.7).prod(1)
    contrast = np.linspace(-1, 1, 9, dtype=np.float32).reshape(3, 3)
    additive = ((~cells) * contrast).sum((1, 2)).astype(np.float32) + 3.0
    rest = np.random.default_rng(2).gamma(2.0, 0.2, 512).astype(np.float32)
    first, second = (x.ravel() for x in np.meshgrid(range(512), range(512)))
    pairs = jnp.asarray(np.stack([cells[first], cells[second]], 1))
    weight = probability[first] * probability[second]
    for effect, unexplained in ((additive, False), (additive + rest, True)):
        effects = jnp.asarray(np.stack([effect[first], effect[second]], 1))
        scores = {
            name: np.asarray(jax.jit(jax.vmap(run))(pairs, effects).scores, np.float64)
            for name, run in (
                ("centred", lambda m, e: estimate(m, e)),
                ("surrogate", lambda m, e: estimate_with_surrogate(m, e, jnp.asarray(contrast))),
            )
        }
        wanted = target(0.3, effect, cells)
        variance = {}
        for name, found in scores.items():
            np.testing.assert_allclose(np.einsum("r,rij->ij", weight, found), wanted, rtol=1e-5)
            variance[name] = np.einsum("r,rij->ij", weight, (found - wanted) ** 2).mean()
        assert variance["surrogate"] < (0.2 * variance["centred"] if unexplained else 1e-10)


def test_fine_grids_take_memory_with_their_cells_and_not_their_square(monkeypatch):
    """48 x 48 cells of three views: all pairs at once took 767 MB for one frame."""
    masks = jax.ShapeDtypeStruct((20, 3, 48, 48), bool)
    effects = jax.ShapeDtypeStruct((20,), jnp.float32)
    balanced = jax.jit(partial(estimators.estimate, design="balanced"))
    used = balanced.lower(masks, effects).compile().memory_analysis()
    assert used.temp_size_in_bytes < 100e6
    # Blocks change nothing.
    keys = jax.random.split(jax.random.key(0))
    masks = jax.random.bernoulli(keys[0], 0.3, (24, 1, 7, 7))
    effects = jax.random.uniform(keys[1], (24,))
    whole = estimators.estimate(masks, effects, design="balanced")
    monkeypatch.setattr(estimators, "BLOCK", 20)
    for found, expected in zip(
        estimators.estimate(masks, effects, design="balanced"), whole, strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4)
