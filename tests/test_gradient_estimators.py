"""Estimators that take gradients: against enumeration, and on effects that have cliffs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from differences import same_as_differences
from enumeration import CELLS, target
from scipy.stats import multivariate_normal

from iss_jax import gradient_estimators
from iss_jax.estimators import estimate
from iss_jax.gradient_estimators import ESTIMATORS, estimate_from_gradients
from iss_jax.masks import sample_masks


def soft_effect(cells, curvature=0.0, dims=3, seed=1):
    """An effect for masks between 0 and 1: squared moves of actions with all interactions.

    Without curvature the actions are affine in each cell (multilinear), with it they are not.
    """
    subsets = jnp.asarray(list(itertools.product([0.0, 1.0], repeat=cells)), jnp.float32)
    weights = jax.random.normal(jax.random.key(seed), (len(subsets), dims)) / len(subsets) ** 0.5

    def actions(mask):
        dropped = jnp.broadcast_to(1.0 - mask.reshape(1, -1), subsets.shape)
        terms = jnp.prod(1.0 - subsets * dropped, axis=1)
        affine = (terms[:, None] * weights).sum(0)
        return affine + curvature * jnp.tanh(4.0 * affine)

    return lambda mask: jnp.square(actions(mask) - actions(jnp.ones_like(mask))).sum()


def runs_of(effect, masks):
    """Effects of masks and their derivatives."""
    return jax.jit(jax.vmap(jax.value_and_grad(effect)))(jnp.asarray(masks, jnp.float32))


@pytest.mark.parametrize(("side", "copies"), [(2, 1), (2, 3), (3, 1)])
def test_gradients_give_the_enumerated_target_of_affine_actions(side, copies):
    """All masks, each as often as its probability at p = 1 / (1 + copies) says."""
    cells = np.array(list(itertools.product([False, True], repeat=side**2)))
    cells = cells.reshape(-1, side, side)
    masks = np.repeat(cells, copies ** (~cells).sum((1, 2)), axis=0)
    effect = soft_effect(side**2)
    effects, gradients = runs_of(effect, masks)
    assert masks.shape[0] == (1 + copies) ** side**2
    keep_prob = 1 / (1 + copies)
    wanted = target(keep_prob, np.asarray(runs_of(effect, cells)[0], np.float64), cells)
    for design in ("balanced", "bernoulli"):
        scores = estimate_from_gradients(
            jnp.asarray(masks), effects, gradients, design=design, keep_prob=keep_prob
        ).scores
        np.testing.assert_allclose(scores, wanted, rtol=2e-4)


def test_both_ends_of_a_cell_count_alike_and_curvature_remains():
    """Averaging gradients over masks as they are drawn misses even the affine target."""
    masks = np.repeat(CELLS, 3 ** (~CELLS).sum((1, 2)), axis=0)
    for curvature, most in ((0.0, 1e-3), (0.2, 0.2)):
        effect = soft_effect(4, curvature)
        effects, gradients = runs_of(effect, masks)
        wanted = target(0.25, np.asarray(runs_of(effect, CELLS)[0], np.float64))
        found = estimate_from_gradients(jnp.asarray(masks), effects, gradients, keep_prob=0.25)
        drawn = effects.mean() - 0.25 * gradients.mean(0)
        spread = np.std(wanted)
        error, other = (np.sqrt(np.mean((x - wanted) ** 2)) / spread for x in (found.scores, drawn))
        assert error < most and other > 2 * error and other > 0.1
        assert (error > 1e-2) == bool(curvature)


@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
def test_gradient_intervals_cover(design):
    """2,000 repeats of N = 200: bias within four standard errors, coverage of 95 % intervals.

    Five standard errors of a coverage are 2.4 %; balanced errors are upper bounds.
    """
    effect, n, p = soft_effect(4), 200, 0.3
    wanted = target(p, np.asarray(runs_of(effect, CELLS)[0], np.float64))

    @jax.jit
    @jax.vmap
    def repeat(key):
        masks = sample_masks(key, n, 1, grid=(2, 2), keep_prob=p, design=design)[:, 0]
        effects, gradients = jax.vmap(jax.value_and_grad(effect))(masks.astype(jnp.float32))
        return estimate_from_gradients(masks, effects, gradients, design=design, keep_prob=p)

    scores, stderr, _ = (np.asarray(x) for x in repeat(jax.random.split(jax.random.key(0), 2000)))
    error = scores - wanted
    assert np.all(np.abs(error.mean(0)) < 4 * error.std(0) / np.sqrt(2000))
    coverage = np.mean(np.abs(error) < 1.96 * stderr, axis=0)
    assert np.all(coverage > 0.926)
    if design == "bernoulli":
        assert np.all(coverage < 0.974)


@pytest.mark.slow
@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
def test_gradient_contrast_errors_are_the_spread_of_contrasts(design):
    """1,000 redrawn sets of 60 masks on 3 x 3 cells: a cell's spread is known to 2.2 %.

    With balanced masks what the design takes off is subtracted as far as the runs tell it: without
    that a cell's error is up to half too large here.
    """
    effect = soft_effect(9, curvature=0.1)

    def once(key):
        masks = sample_masks(key, 60, 1, grid=(3, 3), design=design)[:, 0]
        effects, gradients = jax.vmap(jax.value_and_grad(effect))(masks.astype(jnp.float32))
        return estimate_from_gradients(masks, effects, gradients, design=design)

    keys = jax.random.split(jax.random.key(4), 1000)
    found = jax.jit(lambda k: jax.lax.map(once, k, batch_size=100))(keys)
    scores, claimed = (np.asarray(x).reshape(1000, 9) for x in (found.scores, found[2]))
    contrasts = scores - scores.mean(1, keepdims=True)
    ratio = np.sqrt(np.square(claimed).mean(0) / contrasts.var(0))
    if design == "bernoulli":
        assert np.abs(ratio - 1).max() < 0.1
    else:
        assert ratio.min() > 0.93 and ratio.max() < 1.2
    within = np.mean(np.abs(contrasts - contrasts.mean(0)) <= 2 * claimed)
    assert 0.93 < within < 0.985


def test_gradient_inputs_are_checked_and_unknown_errors_are_infinite():
    masks = jnp.asarray(CELLS[:3])
    gradients, effects = jnp.ones((3, 2, 2)), jnp.arange(3.0)
    with pytest.raises(ValueError, match=r"gradients must be \(3, 2, 2\)"):
        estimate_from_gradients(masks, effects, gradients[:2])
    with pytest.raises(ValueError, match=r"effects must be \[3\]"):
        estimate_from_gradients(masks, effects[:2], gradients)
    with pytest.raises(ValueError, match="'sobol'"):
        estimate_from_gradients(masks, effects, gradients, design="sobol")
    active = jnp.ones((2, 2), bool).at[0, 0].set(False)
    scores, stderr, _ = estimate_from_gradients(masks, effects, gradients, active=active)
    assert np.isfinite(scores).all() and scores[0, 0] == 0 == stderr[0, 0]
    assert np.isinf(stderr.ravel()[1:]).all()


@pytest.mark.parametrize("design", ["balanced", "bernoulli"])
def test_additive_effects_are_scored_exactly_by_clipped_gradients(design):
    """All gradients are alike: nothing is shortened, the scale is one, and no luck is left."""
    weights = jnp.linspace(-1.0, 2.0, 12).reshape(3, 4)
    masks = sample_masks(jax.random.key(0), 20, 1, grid=(3, 4), design=design)[:, 0]
    effects = jnp.where(masks, 0.0, weights[None]).sum((1, 2)) + 1.0
    gradients = jnp.broadcast_to(-weights, masks.shape)
    options = {"design": design, "estimator": "clipped"}
    scores, stderr, _ = estimate_from_gradients(masks, effects, gradients, **options)
    wanted = 1.0 + 0.7 * weights.sum() + 0.3 * weights
    np.testing.assert_allclose(scores, wanted, rtol=1e-5)
    assert np.all(stderr < 1e-4)


def cliffs(weights):
    """A smooth effect with a low cliff on which about a fifth of the masks lie.

    There the derivative is a hundred times that of all else, and says nothing about the effect.
    """
    side = jnp.where(jnp.arange(weights.size) % 2 == 0, 1.0, -1.0).reshape(weights.shape)

    def effect(mask):
        total = (weights * (1.0 - mask)).sum()
        return total + 0.02 * jnp.square(total) + 0.02 * jnp.tanh(5000.0 * (side * mask).sum())

    return effect


@pytest.mark.slow
@pytest.mark.parametrize(("n", "design"), [(10, "balanced"), (40, "balanced"), (40, "bernoulli")])
def test_clipping_survives_cliffs_and_its_errors_are_calibrated(n, design):
    """300 repeats on 5 x 5 cells whose effect has a cliff, against a long run of plain masks."""
    weights = jnp.abs(jax.random.normal(jax.random.key(3), (5, 5)))
    effect = cliffs(weights)

    @jax.jit
    def repeat(key):
        masks = sample_masks(key, n, 1, grid=(5, 5), design=design)[:, 0]
        effects, gradients = jax.vmap(jax.value_and_grad(effect))(masks.astype(jnp.float32))
        return [
            estimate_from_gradients(masks, effects, gradients, estimator=name, design=design)
            for name in ("clipped", "gradient")
        ]

    keys = jax.random.split(jax.random.key(1), 300)
    clipped, gradient = jax.jit(lambda keys: jax.lax.map(repeat, keys, batch_size=50))(keys)
    many = sample_masks(jax.random.key(2), 40_000, 1, grid=(5, 5))[:, 0]
    wanted = estimate(many, jax.jit(jax.vmap(effect))(many.astype(jnp.float32))).scores

    def agreement(scores):
        rows = np.asarray(scores).reshape(300, 25)
        return np.median([np.corrcoef(row, np.ravel(wanted))[0, 1] for row in rows])

    assert agreement(clipped.scores) > 0.9 and agreement(gradient.scores) < 0.4
    # Root mean square error that is claimed over that which there is, cell by cell: the standard
    # deviation over 300 repeats is itself known to 4 %. The jackknife errs upwards (Efron and Stein
    # 1981), the more for balanced runs; for ten of them up to three times.
    scores = np.asarray(clipped.scores)
    contrasts = scores - scores.mean((1, 2), keepdims=True)
    for claimed, found in ((clipped.stderr, scores), (clipped.contrast_stderr, contrasts)):
        ratio = np.sqrt(np.square(np.asarray(claimed)).mean(0)) / found.std(0)
        assert np.all(ratio > 0.85)
        if design == "bernoulli":
            assert np.all(ratio < 1.5)
        elif claimed is clipped.contrast_stderr:
            assert np.all(ratio < (2.0 if n == 40 else 3.5))


@pytest.mark.parametrize("n", [2, 8])
def test_clipped_is_a_gaussian_posterior_done_the_long_way(n):
    """In float64, ratio by ratio, by the effects' density and a regression on the gradients."""
    cells, rng = 6, np.random.default_rng(0)
    kept = rng.random((n, cells)) < 0.4
    # Some run lies at either end of every cell.
    kept[1] = ~kept[0]
    gradients, effects = rng.normal(size=(n, cells)), rng.normal(size=n)
    # All as long, so that nothing is shortened.
    gradients /= np.linalg.norm(gradients, axis=1, keepdims=True)
    options = {"estimator": "clipped", "keep_prob": 0.4}
    found = estimate_from_gradients(*map(jnp.asarray, (kept, effects, gradients)), **options)

    ends = [np.where(kept == side, gradients, np.nan) for side in (True, False)]
    guess = -np.mean([np.nanmean(end, 0) for end in ends], 0)
    drops = 1.0 - kept - (1.0 - kept).mean(0)
    rest = effects - effects.mean() - drops @ guess
    features = drops @ gradients.T / n
    unit = np.trace(features @ features.T) / n
    weights, steps = [], []
    for ratio in gradient_estimators.RATIOS:
        covariance = np.eye(n) + ratio / unit * features @ features.T
        noise = rest @ np.linalg.solve(covariance, rest) / (n - 1)
        # The profile likelihood of n - 1 deviations from a mean.
        weights.append(
            multivariate_normal(np.zeros(n), noise * covariance).logpdf(rest) + np.log(noise) / 2
        )
        # Ridge regression: as many observations of zero as there are gradients.
        rows = np.concatenate([features, np.sqrt(unit / ratio) * np.eye(n)])
        wanted = np.concatenate([rest, np.zeros(n)])
        steps.append(gradients.T @ np.linalg.lstsq(rows, wanted, rcond=None)[0] / n)
    weights = np.exp(np.array(weights) - max(weights))
    contrast = guess + (weights / weights.sum()) @ np.array(steps)
    luck = ((1.0 - kept).mean(0) - 0.6) @ contrast
    wanted = effects.mean() - luck + 0.4 * contrast
    np.testing.assert_allclose(found.scores, wanted, atol=2e-4)


@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
def test_trapezoid_errors_are_those_of_what_each_run_adds(design):
    """To the mean effect, and to the mean slope at its end of each cell.

    One cell is kept once and one never, whose missing end takes the mean over all runs.
    """
    n, p = 8, 0.4
    rng = np.random.default_rng(1)
    kept = np.array([rng.permutation(n) < 3 for _ in range(6)]).T
    if design == "bernoulli":
        kept[:, 4:] = False
        kept[2, 4] = True
    gradients, effects = rng.normal(size=(n, 6)), rng.normal(size=n)
    options = {"design": design, "keep_prob": 0.9 if design == "balanced" else p}
    found = estimate_from_gradients(*map(jnp.asarray, (kept, effects, gradients)), **options)
    probability = kept.mean(0) if design == "balanced" else np.full(6, p)
    ends = np.zeros((2, 6))
    for side, i in np.ndindex(2, 6):
        there = kept[:, i] == side
        ends[side, i] = gradients[there if there.any() else slice(None), i].mean()
    wanted = effects.mean() - probability * ends.mean(0)
    np.testing.assert_allclose(found.scores, wanted, rtol=1e-5)
    added = np.zeros((n, 6))
    for k, i in np.ndindex(n, 6):
        alike = kept[:, i] == kept[k, i]
        share = probability[i] / 2 * n / alike.sum()
        mean = gradients[alike, i].mean()
        added[k, i] = effects[k] - effects.mean() - share * (gradients[k, i] - mean)
    known = kept.sum(0) >= 2
    # Eight runs are too few to tell what balance takes off a contrast's error: nothing is.
    contrasts = added - added[:, known].mean(1, keepdims=True)
    for claimed, terms in ((found.stderr, added), (found.contrast_stderr, contrasts)):
        errors = terms.std(0, ddof=1) / np.sqrt(n)
        np.testing.assert_allclose(claimed, np.where(known, errors, np.inf), rtol=1e-5)


def test_no_gradient_is_longer_than_the_median():
    """Lengths 1, 1, 1, 5 and 500: the last two count as if they were 1, the median."""
    masks = sample_masks(jax.random.key(0), 5, 1, grid=(2, 3))[:, 0]
    rows = jax.random.normal(jax.random.key(1), masks.shape)
    rows = rows / jnp.sqrt(jnp.square(rows).sum((1, 2), keepdims=True))
    effects = jnp.arange(5.0)
    lengths = jnp.asarray([1.0, 5.0, 1.0, 500.0, 1.0])[:, None, None]
    options = {"estimator": "clipped"}
    wanted = estimate_from_gradients(masks, effects, rows, **options)
    found = estimate_from_gradients(masks, effects, lengths * rows, **options)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)
    # Shorter ones stay as they are.
    short = estimate_from_gradients(masks, effects, rows.at[0].multiply(0.1), **options)
    assert np.abs(short.scores - wanted.scores).max() > 1e-3


@pytest.mark.parametrize("n", [8, 45])
def test_clipped_errors_are_the_jackknife_of_at_most_forty_groups(n):
    """Run by run, or every fortieth run together; gradients of one length, so none is shortened."""
    masks = sample_masks(jax.random.key(2), n, 1, grid=(2, 3))[:, 0]
    rows = jax.random.normal(jax.random.key(3), masks.shape)
    rows = rows / jnp.sqrt(jnp.square(rows).sum((1, 2), keepdims=True))
    effects = jax.random.normal(jax.random.key(4), (n,))
    active = jnp.ones((2, 3), bool).at[0, 0].set(False)

    def clipped(rest):
        found = estimate_from_gradients(
            masks[rest], effects[rest], rows[rest], estimator="clipped", active=active
        )
        return found, np.asarray(found.scores, np.float64)

    groups = min(n, 40)
    without = np.array([clipped(np.arange(n) % groups != g)[1] for g in range(groups)])
    contrasts = without - without[:, active].mean(1)[:, None, None]
    found, _ = clipped(np.arange(n))
    for claimed, left in ((found.stderr, without), (found.contrast_stderr, contrasts)):
        wanted = np.sqrt((groups - 1) * left.var(0))
        np.testing.assert_allclose(claimed, np.where(active, wanted, 0.0), rtol=5e-3)


def test_ratios_are_decades_on_either_side_of_one():
    np.testing.assert_allclose(gradient_estimators.RATIOS, np.geomspace(1e-3, 1e3, 7))


@pytest.mark.parametrize("estimator", ["clipped", "gradient"])
def test_the_default_keeps_three_cells_of_ten(estimator):
    masks = sample_masks(jax.random.key(0), 12, 1, grid=(2, 2))[:, 0]
    gradients = jax.random.normal(jax.random.key(1), masks.shape)
    options = {"estimator": estimator}
    found = estimate_from_gradients(masks, gradients[:, 0, 0], gradients, **options)
    named = estimate_from_gradients(
        masks, gradients[:, 0, 0], gradients, design="bernoulli", keep_prob=0.3, **options
    )
    np.testing.assert_array_equal(found.scores, named.scores)


def test_effects_correct_gradients_that_say_too_little():
    """Additive effects whose gradients are a third of the truth with noise of its size, N = 60."""
    key = jax.random.key(0)
    weights = jnp.linspace(-1.0, 2.0, 12).reshape(3, 4)
    masks = sample_masks(key, 60, 1, grid=(3, 4), design="balanced")[:, 0]
    effects = jnp.where(masks, 0.0, weights[None]).sum((1, 2))
    gradients = -weights[None] / 3 + jax.random.normal(key, masks.shape)
    wanted = 0.7 * weights.sum() + 0.3 * weights
    options = {"design": "balanced", "keep_prob": 0.3}
    error = {
        name: np.abs(
            estimate_from_gradients(masks, effects, gradients, estimator=name, **options).scores
            - wanted
        ).max()
        for name in gradient_estimators.ESTIMATORS
    }
    assert error["clipped"] < 0.02 and error["gradient"] > 0.2


@pytest.mark.parametrize("estimator", ["clipped", "gradient"])
def test_one_run_is_enough_and_has_no_error(estimator):
    """E[delta] less p times the gradient; blind and inactive cells as ever."""
    masks = sample_masks(jax.random.key(0), 1, 2, grid=(2, 2))
    gradients = jnp.arange(8.0).reshape(masks.shape)
    active = jnp.ones((2, 2, 2), bool).at[1, 1, 1].set(False)
    options = {"estimator": estimator, "keep_prob": 0.3, "active": active}
    found = estimate_from_gradients(masks, jnp.asarray([2.0]), gradients, **options)
    contrast = -jnp.where(active, gradients[0], 0.0)
    dropped = jnp.where(masks[0], 0.0, 1.0)
    luck = (contrast * (dropped - 0.7)).sum() if estimator == "clipped" else 0.0
    wanted = jnp.where(active, 2.0 - luck + 0.3 * contrast, 0.0).at[0, 0, 0].set(2.0)
    np.testing.assert_allclose(found.scores, wanted, rtol=1e-5)
    for error in (found.stderr, found.contrast_stderr):
        np.testing.assert_array_equal(error, jnp.where(active, jnp.inf, 0.0))
    with pytest.raises(ValueError, match="at least 1 mask"):
        estimate_from_gradients(masks[:0], jnp.zeros(0), gradients[:0])


@pytest.mark.parametrize("estimator", ["clipped", "gradient"])
def test_estimates_can_be_differentiated(estimator):
    """Also of more runs than cells, whose covariance is singular, and in a loss over the errors."""
    masks = sample_masks(jax.random.key(0), 20, 1, grid=(2, 3))[:, 0]
    gradients = jax.random.normal(jax.random.key(1), masks.shape)

    def loss(effects, gradients):
        found = estimate_from_gradients(masks, effects, gradients, estimator=estimator)
        return found.scores[0].sum() + found.stderr.sum()

    slopes = jax.jit(jax.grad(loss, argnums=(0, 1)))(gradients.sum((1, 2)), gradients)
    assert all(np.isfinite(slope).all() and np.abs(slope).max() > 0 for slope in slopes)


@pytest.mark.parametrize("estimator", ["clipped", "gradient"])
def test_a_cell_that_is_always_dropped_can_be_differentiated(estimator):
    """No run keeps it, so the mean over all five stands at that end too: a fifth of p each."""
    masks = jnp.asarray([[False, k % 2 == 0] for k in range(5)])

    def score(slopes):
        options = {"estimator": estimator, "keep_prob": 0.3}
        return estimate_from_gradients(masks, jnp.zeros(5), slopes, **options).scores[0]

    value, gradient = jax.value_and_grad(score)(jnp.ones((5, 2)))
    assert np.isfinite(gradient).all()
    if estimator == "gradient":
        assert float(value) == pytest.approx(-0.3)
        np.testing.assert_allclose(gradient, [[-0.3 / 5, 0.0]] * 5, rtol=1e-5)


@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_inactive_cells_leave_the_errors_their_gradients(estimator, design):
    masks = sample_masks(jax.random.key(20), 20, 3, grid=(2, 2), design=design)
    slopes = -jax.random.gamma(jax.random.key(21), 2.0, masks.shape)
    effects = jax.random.gamma(jax.random.key(22), 2.0, (20,))
    # One view is absent, of another only a cell is picture.
    active = jnp.asarray([[[True] * 2] * 2, [[False] * 2] * 2, [[True, False], [False] * 2]])

    def run(effects):
        options = {"estimator": estimator, "design": design, "active": active}
        own = effects[:, None, None, None] * slopes
        return estimate_from_gradients(masks, effects, own, **options)

    same_as_differences(run, effects, active)


@pytest.mark.parametrize("estimator", ["clipped", "gradient"])
def test_cells_without_any_derivative_are_scored_by_the_effects(estimator):
    """Actions that are rounded, or detached, have derivative zero and effects all the same."""
    masks = sample_masks(jax.random.key(0), 40, 2, grid=(2, 2), design="balanced")
    weights = jnp.arange(1.0, 9.0).reshape(2, 2, 2)
    effects = jnp.where(masks, 0.0, weights[None]).sum((1, 2, 3))
    gradients = jnp.broadcast_to(-weights, masks.shape).at[:, 1].set(0.0)
    options = {"design": "balanced", "keep_prob": 0.3}
    plain = estimate(masks, effects, **options)
    found = estimate_from_gradients(masks, effects, gradients, estimator=estimator, **options)
    np.testing.assert_array_equal(found.scores[1], plain.scores[1])
    np.testing.assert_array_equal(found.stderr[1], plain.stderr[1])
    assert np.all(np.abs(found.scores[0] - plain.scores[0]) > 0)
    blind = estimate_from_gradients(masks, effects, 0.0 * gradients, estimator=estimator, **options)
    np.testing.assert_array_equal(blind.scores, plain.scores)
    assert np.isfinite(blind.stderr).all()
