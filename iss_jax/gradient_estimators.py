"""Cell scores from effects and their derivatives with respect to the masks.

One backward pass gives d delta / d m_i for every cell at once, where an effect alone is one number.
A blend is defined for masks between 0 and 1, so that the contrast of a cell is an integral:

    E[delta | m_i = 0] - E[delta | m_i = 1] = -E int_0^1 d delta / d m_i du,

and the target of `iss_jax.estimators` is Psi_i = E[delta] + p times that contrast. Runs have m_i at
the two ends; the trapezoid gives both the same weight, whatever p is. It is exact where actions are
affine in the value of one cell, the others being anything: delta is then quadratic in it.

- `gradient`: the trapezoid, as it is. No bias but that of curvature within one cell. Where a policy
  has cliffs, its variance is no use: a few runs hold derivatives hundreds of times the median.
- `clipped`: every run's gradient is shortened to the median length, and the resulting pattern is
  scaled by regressing the effects on it. Far less variance; a bias in the pattern, which stays.
  Between the ends it starts from the mean over all runs, and takes the trapezoid's step from there
  as far as the runs can tell it from noise.

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

# Shortened gradients understate a contrast, so that effects which say less than this are chance.
LEAST_SCALE = 0.5


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
        Scores and standard errors, which hold no bias. `clipped`: by the jackknife. `gradient`: the
        error of a cell that fewer than two masks keep, or drop, is infinite; with the balanced
        design it is an upper bound, since what the design takes off is not subtracted.

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
    if num_masks < 2:
        raise ValueError(f"an estimate needs at least 2 masks, got {num_masks}")
    cells = masks.shape[1:]
    used = jnp.ones(cells, bool) if active is None else jnp.broadcast_to(active, cells)
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
    found = score(kept, effects, slopes, probability)
    blind = ~used | (gradients == 0.0).all(0)
    return Estimate(
        *(jnp.where(blind, b, a.reshape(cells)) for a, b in zip(found, plain, strict=True))
    )


def _trapezoid(kept: Array, effects: Array, slopes: Array, probability: Array) -> Estimate:
    num_masks = len(effects)
    mean = effects.mean()
    score = jnp.full(slopes.shape[1], mean)
    # What each run adds to the estimate: to the mean effect, and to the slope at its end.
    influence = (effects - mean)[:, None] * jnp.ones_like(slopes)
    known = jnp.ones(score.shape, bool)
    for side in (kept, 1.0 - kept):
        count = side.sum(0)
        slope = (slopes * side).sum(0) / jnp.maximum(count, 1.0)
        score -= probability / 2 * jnp.where(count > 0, slope, slopes.mean(0))
        weight = probability / 2 * num_masks / jnp.maximum(count, 1.0)
        influence -= side * (slopes - slope[None]) * weight[None]
        known &= count >= 2.0
    error = influence.std(0, ddof=1) / jnp.sqrt(jnp.asarray(num_masks, effects.dtype))
    return Estimate(score, jnp.where(known, error, jnp.inf))


def _clipped(kept: Array, effects: Array, slopes: Array, probability: Array) -> Estimate:
    tiny = jnp.finfo(effects.dtype).tiny
    length = jnp.sqrt(jnp.maximum(jnp.square(slopes).sum(1), tiny))
    slopes = slopes * jnp.minimum(1.0, jnp.median(length) / length)[:, None]
    weight = _curvature_weight(kept, slopes)

    def score(present: Array) -> Array:
        """The scores of the runs that are present, [n] of ones and zeros."""
        count = present.sum()
        mean = (present * effects).sum() / count
        pattern = (present[:, None] * slopes).sum(0) / count
        ends = jnp.zeros_like(pattern)
        for side in (kept, 1.0 - kept):
            rows = side * present[:, None]
            here = rows.sum(0)
            ends += jnp.where(here > 0, (rows * slopes).sum(0) / jnp.maximum(here, 1.0), pattern)
        contrast = -(pattern + weight * (ends / 2 - pattern))
        predicted = matmul(1.0 - kept, contrast)
        centre = (present * predicted).sum() / count
        deviation = present * (predicted - centre)
        spread = jnp.square(deviation).sum()
        scale = (deviation * effects).sum() / jnp.where(spread > 0, spread, 1.0)
        scale = jnp.maximum(scale, LEAST_SCALE)
        # The runs' luck in how much they drop, as far as the pattern explains it. Balanced runs
        # have none, but for those that the jackknife leaves out.
        luck = centre - matmul(1.0 - probability, contrast)
        return mean - scale * luck + probability * scale * contrast

    num_masks = len(effects)
    without = jax.lax.map(score, 1.0 - jnp.eye(num_masks, dtype=effects.dtype))
    spread = jnp.square(without - without.mean(0)[None]).sum(0)
    error = jnp.sqrt(spread * (num_masks - 1) / num_masks)
    return Estimate(score(jnp.ones_like(effects)), error)


def _curvature_weight(kept: Array, slopes: Array) -> Array:
    """How much of the step from the mean slope to the trapezoid to take, a number a cell.

    The mean over all runs weighs the ends by p and 1 - p, the trapezoid evenly; their difference is
    the cell's curvature, seen through the few runs that keep it. It is shrunk by its own variance
    against that of the curvature over cells (empirical Bayes), and so taken whole with many runs.
    """
    means, variances = [], []
    for side in (kept, 1.0 - kept):
        count = side.sum(0)
        mean = (side * slopes).sum(0) / jnp.maximum(count, 1.0)
        square = (side * jnp.square(slopes - mean[None])).sum(0)
        means.append(mean)
        variances.append(square / jnp.maximum(count - 1.0, 1.0) / jnp.maximum(count, 1.0))
    known = (kept.sum(0) >= 2.0) & ((1.0 - kept).sum(0) >= 2.0)
    part = 0.5 - kept.mean(0)
    curvature = jnp.where(known, part * (means[0] - means[1]), 0.0)
    noise = jnp.where(known, jnp.square(part) * (variances[0] + variances[1]), 0.0)
    signal = jnp.maximum(jnp.square(curvature).mean() - noise.mean(), 0.0)
    total = signal + noise
    return jnp.where(known & (total > 0), signal / jnp.where(total > 0, total, 1.0), 0.0)
