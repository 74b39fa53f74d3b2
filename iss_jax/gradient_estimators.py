"""Cell scores from effects and their derivatives with respect to the masks.

One backward pass gives d delta / d m_i for every cell at once, where an effect alone is one number.
A blend is defined for masks between 0 and 1, so that the contrast of a cell is an integral:

    E[delta | m_i = 0] - E[delta | m_i = 1] = -E int_0^1 d delta / d m_i du,

and the target of `iss_jax.estimators` is Psi_i = E[delta] + p times that contrast. Runs have m_i at
the two ends; the trapezoid gives both the same weight, whatever p is. It is exact where actions are
affine in the value of one cell, the others being anything: delta is then quadratic in it.

- `gradient`: the trapezoid, as it is. No bias but that of curvature within one cell. Where a policy
  has cliffs, its variance is no use: a few runs hold derivatives hundreds of times the median.
- `clipped`: every run's gradient is shortened to the median length, and the effects say how much to
  trust each. The trapezoid is the mean of a Gaussian prior over contrasts, the gradients' second
  moment over N its covariance up to a factor; the effects, regressed on what each mask drops, make
  it a posterior, averaged over the factor (empirical Bayes). Far less variance; a bias.

One run is enough, if not for standard errors: both are then E[delta] less p times its gradient.

Where no run has any derivative in a cell (integer arithmetic, `stop_gradient`), both score the cell
from the effects alone, as `centred` does.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from iss_jax import estimators
from iss_jax.estimators import Estimate, matmul
from iss_jax.masks import DESIGNS

ESTIMATORS = ("clipped", "gradient")

# Prior variances tried, in the noise's own: of what it makes of the effects of an average run.
RATIOS = tuple(10.0**exponent for exponent in range(-3, 4))
# Groups of runs that the jackknife leaves out, where there are more runs than that.
GROUPS = 40


def estimate_from_gradients(
    masks: Bool[Array, "n *cells"],
    effects: Float[Array, " n"],
    gradients: Float[Array, "n *cells"],
    *,
    estimator: str = "gradient",
    design: str = "bernoulli",
    keep_prob: float = 0.3,
    active: Bool[Array, "*cells"] | None = None,
) -> Estimate:
    """Estimates Psi of every cell from effects and gradients.

    Args:
        masks: Keep bits.
        effects: delta of each mask.
        gradients: Derivative of each delta with respect to the cells of its mask.
        estimator: `gradient` or `clipped`; see the module.
        design: How the masks were drawn, `bernoulli` or `balanced`.
        keep_prob: p of the Bernoulli design.
        active: Cells that masked anything; the others (absent views, padding) get zeros.

    Returns:
        Scores and standard errors, which hold no bias and are infinite for a single run.
        `clipped`: by the jackknife, which errs upwards (Efron and Stein 1981): in simulations the
        contrast's by 1.1 to 1.4 times with i.i.d. masks and by 1.3 to 1.7 with balanced ones, by
        more than that where there are ten runs only. `gradient`:
        the error of a cell that fewer than two masks keep, or drop, is infinite; the score's is an
        upper bound with the balanced design, since what the design takes off is not subtracted.

    Raises:
        ValueError: An unknown estimator or design, or shapes that do not match.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator must be one of {ESTIMATORS}, got {estimator!r}")
    if design not in DESIGNS:
        raise ValueError(f"mask design must be one of {DESIGNS}, got {design!r}")
    num_masks = masks.shape[0]
    if effects.shape != (num_masks,):
        raise ValueError(f"effects must be [{num_masks}] like the masks, got {effects.shape}")
    if gradients.shape != masks.shape:
        raise ValueError(f"gradients must be {masks.shape} like the masks, got {gradients.shape}")
    if num_masks < 1:
        raise ValueError("an estimate from gradients needs at least 1 mask, got 0")
    cells = masks.shape[1:]
    used = jnp.ones(cells, bool) if active is None else jnp.broadcast_to(active, cells)
    if num_masks == 1:
        unknown = jnp.where(used, jnp.inf, 0.0).astype(effects.dtype)
        plain = Estimate(jnp.where(used, effects[0], 0.0), unknown, unknown)
    else:
        plain = estimators.estimate(masks, effects, design=design, keep_prob=keep_prob, active=used)
    return _estimate(masks, effects, gradients, used, plain, keep_prob, estimator, design)


@partial(jax.jit, static_argnames=("estimator", "design"))
def _estimate(
    masks: Array,
    effects: Array,
    gradients: Array,
    used: Array,
    plain: Estimate,
    keep_prob: Array,
    estimator: str,
    design: str,
) -> Estimate:
    num_masks, *cells = masks.shape
    slopes = jnp.where(used[None], gradients, 0.0).reshape(num_masks, -1)
    kept = masks.reshape(num_masks, -1).astype(effects.dtype)
    probability = kept.mean(0) if design == "balanced" else jnp.full(kept.shape[1], keep_prob)
    score = _clipped if estimator == "clipped" else _trapezoid
    found = score(kept, effects, slopes, probability, used.reshape(-1), design == "balanced")
    blind = ~used | (gradients == 0.0).all(0)
    return Estimate(
        *(jnp.where(blind, b, a.reshape(cells)) for a, b in zip(found, plain, strict=True))
    )


def _trapezoid(
    kept: Array, effects: Array, slopes: Array, probability: Array, used: Array, balanced: bool
) -> Estimate:
    num_masks = len(effects)
    mean = effects.mean()
    score = mean + probability * _mean_of_ends(kept, slopes, jnp.ones_like(effects))
    # What each run adds to the estimate: to the mean effect, and to the slope at its end.
    influence = (effects - mean)[:, None] * jnp.ones_like(slopes)
    known = jnp.ones(score.shape, bool)
    for side in (kept, 1.0 - kept):
        count = side.sum(0)
        slope = (slopes * side).sum(0) / jnp.maximum(count, 1.0)
        weight = probability / 2 * num_masks / jnp.maximum(count, 1.0)
        influence -= side * (slopes - slope[None]) * weight[None]
        known &= count >= 2.0
    luck = jnp.where(used[None], probability[None] - kept, 0.0) if balanced else None
    errors = (
        estimators.standard_error(influence),
        estimators.contrast_error(influence, used & known, luck),
    )
    return Estimate(score, *(jnp.where(known, error, jnp.inf) for error in errors))


def _mean_of_ends(kept: Array, slopes: Array, present: Array) -> Array:
    """Contrast of each cell by the trapezoid, from the runs that are present ([n], ones or zeros).

    An end at which no run lies takes the mean over all.
    """
    everywhere = (present[:, None] * slopes).sum(0) / present.sum()
    ends = jnp.zeros_like(everywhere)
    for side in (kept, 1.0 - kept):
        rows = side * present[:, None]
        count = rows.sum(0)
        mean = (rows * slopes).sum(0) / jnp.maximum(count, 1.0)
        ends += jnp.where(count > 0, mean, everywhere)
    return -ends / 2


def _clipped(
    kept: Array, effects: Array, slopes: Array, probability: Array, used: Array, balanced: bool
) -> Estimate:
    tiny = jnp.finfo(effects.dtype).tiny
    length = jnp.sqrt(jnp.maximum(jnp.square(slopes).sum(1), tiny))
    slopes = slopes * jnp.minimum(1.0, jnp.median(length) / length)[:, None]
    drops = 1.0 - kept

    def score(present: Array) -> Array:
        """The scores of the runs that are present, [n] of ones and zeros."""
        count = present.sum()
        mean, dropped = (present * effects).sum() / count, matmul(present, drops) / count
        guess = _mean_of_ends(kept, slopes, present)
        deviation = present[:, None] * (drops - dropped[None])
        rest = present * (effects - mean) - matmul(deviation, guess)
        # Rows whose inner products are the prior covariance.
        rows = present[:, None] * slopes / count
        features = matmul(deviation, rows.T)
        step = matmul(features.T, _explained(matmul(features, features.T), rest, count))
        contrast = guess + matmul(rows.T, step)
        # The runs' luck in how much they drop, as far as the contrasts explain it. Balanced runs
        # have none, but for those that the jackknife leaves out.
        luck = matmul(dropped - 1.0 + probability, contrast)
        return mean - luck + probability * contrast

    num_masks = len(effects)
    if num_masks == 1:
        unknown = jnp.full(slopes.shape[1], jnp.inf, effects.dtype)
        return Estimate(score(jnp.ones_like(effects)), unknown, unknown)
    groups = min(num_masks, GROUPS)
    member = jnp.arange(num_masks) % groups
    left = (member[None] != jnp.arange(groups)[:, None]).astype(effects.dtype)
    without = jax.lax.map(score, left)
    # The groups' influence: the standard error of its mean is the jackknife's.
    influence = (groups - 1) * (without.mean(0)[None] - without)
    luck = None
    if balanced:
        mean = drops.mean(0)[None]
        luck = jnp.where(used[None], matmul(1.0 - left, drops - mean), 0.0)
    errors = (
        estimators.standard_error(influence),
        estimators.contrast_error(influence, used, luck),
    )
    return Estimate(score(jnp.ones_like(effects)), *errors)


def _explained(covariance: Array, rest: Array, count: Array) -> Array:
    """w such that covariance @ w is the part of `rest` that a Gaussian of that covariance explains.

    `rest` is that Gaussian, times an unknown factor, plus white noise of unknown size. The noise is
    profiled out; factors are averaged by their likelihood, which a single best one of few runs
    would overstate.
    """
    size = rest.shape[0]
    tiny = jnp.finfo(rest.dtype).tiny
    trace = jnp.trace(covariance)
    unit = jnp.where(trace > 0, trace, 1.0) / count
    freedom = jnp.maximum(count - 1.0, 1.0)

    def solved(ratio: Array) -> tuple[Array, Array]:
        root = jnp.linalg.cholesky(jnp.eye(size, dtype=rest.dtype) + ratio / unit * covariance)
        weights = jax.scipy.linalg.cho_solve((root, True), rest)
        noise = jnp.maximum((rest * weights).sum() / freedom, tiny)
        spread = 2.0 * jnp.log(jnp.diagonal(root)).sum()
        return -(freedom * jnp.log(noise) + spread) / 2, ratio / unit * weights

    likelihood, weights = jax.lax.map(solved, jnp.asarray(RATIOS, rest.dtype))
    return matmul(jax.nn.softmax(likelihood), weights)
