r"""Cell scores and their standard errors from masks and effects.

Every estimator here has the same target, the paper's global occlusion sensitivity (Eq. 11)

    Psi_i = E[delta | m_i = 0],

the expected effect when cell i is dropped and all others are random. Maps of different estimators
are therefore on one scale and may be compared or averaged; E[delta] is the same for all cells, so
the contrast Psi_i - E[delta] only shifts a map and never changes its ranking (App. A.1).

- `fixed` (Eq. 12): unbiased; pays for the mean of delta as noise in the number of dropped masks.
  Masks that are not of the balanced design are divided by 1 - p, whatever the design is called.
- `ratio`: mean over the masks that drop the cell; unbiased where the cell is dropped at all.
- `centred`: `fixed` with the leave-one-out mean of delta as control variate. It equals the sample
  mean of delta plus the sample covariance of delta and the drop bit over the drop probability:
  exactly unbiased, without the noise that `fixed` pays.
- `ridge`: additive model of all cells at once, penalty by generalised cross-validation (Golub,
  Heath and Wahba 1979). Shrinks every cell towards E[delta]: biased, for less variance.

With the balanced design every cell is dropped equally often, the control variate is zero for any
constant, and the first three coincide. The drop probability is then the share of the masks that
drop the cell, and still exactly unbiased. The leave-one-out mean would not be: given the other
masks, a balanced mask is no longer random.

`estimate_with_surrogate` has the same target and one thing more: a guess of each cell's contrast,
which costs no exactness however bad it is. `iss_jax.gradient_estimators` has other data as well.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from iss_jax.masks import DESIGNS, kept_masks

ESTIMATORS = ("fixed", "ratio", "centred", "ridge")

# How far the runs' own scatter is trusted to be Gaussian, see `contrast_error`.
SCATTER = 2.0

# Cells that meet all others at once; more are taken a block at a time.
BLOCK = 512

# Ridge penalties tried, relative to the mean eigenvalue of the masks' Gram matrix.
PENALTIES = tuple(10 ** (exponent / 8) for exponent in range(-24, 33))


class Estimate(NamedTuple):
    """Scores on the grid and their standard errors, [*cells] in the effects' unit.

    Attributes:
        scores: Psi of each cell.
        stderr: Standard error of each score. All scores hold the mean effect, and share its error.
        contrast_stderr: Standard error of each score less the mean over the active cells: what is
            left when the shared error is gone, and what ranks cells.
    """

    scores: Float[Array, "*cells"]
    stderr: Float[Array, "*cells"]
    contrast_stderr: Float[Array, "*cells"]


def estimate(
    masks: Bool[Array, "n *cells"],
    effects: Float[Array, " n"],
    *,
    estimator: str = "centred",
    design: str = "bernoulli",
    keep_prob: float = 0.3,
    active: Bool[Array, "*cells"] | None = None,
) -> Estimate:
    """Estimates Psi of every cell, with the standard error of each.

    Args:
        masks: Keep bits.
        effects: delta of each mask.
        estimator: `fixed`, `ratio`, `centred` or `ridge`; see the module for what each pays.
        design: How the masks were drawn, `bernoulli` or `balanced`.
        keep_prob: p of the Bernoulli design.
        active: Cells that masked anything; the others (absent views, padding) get zeros.

    Returns:
        Scores and standard errors. The error of a cell that no mask drops is infinite, as it is of
        one that a single mask drops where scores are means over those masks (`ratio`, balanced).
        Ridge's error holds the sampling noise only, not the bias of its shrinkage.

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
    if num_masks < 2:
        raise ValueError(f"an estimate needs at least 2 masks, got {num_masks}")
    cells = masks.shape[1:]
    used = jnp.ones(cells, bool) if active is None else jnp.broadcast_to(active, cells)
    if isinstance(keep_prob, int | float):
        kept = kept_masks(num_masks, keep_prob)
    else:
        kept = jnp.round(keep_prob * num_masks)
    return _estimate(masks, effects, used, keep_prob, kept, estimator, design)


def estimate_with_surrogate(
    masks: Bool[Array, "n *cells"],
    effects: Float[Array, " n"],
    contrast: Float[Array, "*cells"],
    *,
    keep_prob: float = 0.3,
) -> Estimate:
    """`centred` on what an additive surrogate leaves over, and the surrogate's own part exactly.

    The surrogate says that dropping cell i adds contrast_i. Its expectation is known, so that only
    the effects less the surrogate are left to i.i.d. masks: the estimate is exactly unbiased for
    any contrast that does not depend on these masks, and has the variance of `centred` times the
    share of the effects' variance that the surrogate does not explain.

    Args:
        masks: Keep bits of the Bernoulli design.
        effects: delta of each mask.
        contrast: Guess of E[delta | m_i = 0] - E[delta | m_i = 1], from other runs than these.
        keep_prob: p.
    """
    drops = (~masks).reshape(len(effects), -1).astype(effects.dtype)
    flat = contrast.reshape(-1)
    rest = estimate(masks, effects - matmul(drops, flat), keep_prob=keep_prob)
    known = (1.0 - keep_prob) * flat.sum() + keep_prob * contrast
    return rest._replace(scores=rest.scores + known)


@partial(jax.jit, static_argnames=("estimator", "design"))
def _estimate(
    masks: Array,
    effects: Array,
    used: Array,
    keep_prob: Array,
    kept: Array,
    estimator: str,
    design: str,
) -> Estimate:
    num_masks, *cells = masks.shape
    drops = (~masks & used[None]).reshape(num_masks, -1).astype(effects.dtype)
    used = used.reshape(-1)
    if design == "balanced":
        drop_prob = drops.mean(0)
    else:
        drop_prob = jnp.where(used, jnp.asarray(1.0 - keep_prob, effects.dtype), 0.0)
    divisor = jnp.where(used, drop_prob, 1.0)
    dropped = drops.sum(0)
    if estimator == "ridge":
        found = _ridge(drops, effects, drop_prob, used)
    elif design == "balanced" or estimator == "ratio":
        found = _group_mean(drops, effects, used, balanced=design == "balanced")
    elif estimator == "centred":
        found = _centred(drops, effects, divisor, used)
    else:
        found = _fixed(drops, effects, divisor, used)
    if estimator == "fixed" and design == "balanced":
        # A caller's masks may be of no design: Eq. 12 divides by 1 - p, not by what came out.
        of_design = jnp.all(jnp.where(used, dropped == num_masks - kept, True))
        plain = jnp.where(used, jnp.asarray(1.0 - keep_prob, effects.dtype), 1.0)
        paper = _fixed(drops, effects, plain, used)
        found = Estimate(*(jnp.where(of_design, a, b) for a, b in zip(found, paper, strict=True)))
    scores, *errors = found
    errors = (jnp.where(dropped > 0, error, jnp.inf) for error in errors)
    return Estimate(*(jnp.where(used, x, 0.0).reshape(cells) for x in (scores, *errors)))


def _fixed(drops: Array, effects: Array, drop_prob: Array, used: Array) -> Estimate:
    terms = effects[:, None] * drops / drop_prob[None]
    return Estimate(terms.mean(0), standard_error(terms), contrast_error(terms, used))


def _centred(drops: Array, effects: Array, drop_prob: Array, used: Array) -> Estimate:
    n = effects.shape[0]
    mean = effects.mean()
    # delta_k minus the mean of the others is n / (n - 1) times delta_k minus the mean of all.
    deviation = (effects - mean) * (n / (n - 1))
    terms = deviation[:, None] * (drops - drop_prob[None]) / drop_prob[None]
    # The influence of one mask also holds its share in the mean of delta.
    influence = deviation[:, None] * drops / drop_prob[None]
    return Estimate(
        mean + terms.mean(0),
        standard_error(influence),
        contrast_error(influence, used),
    )


def standard_error(terms: Float[Array, "n cells"]) -> Float[Array, " cells"]:
    """Standard error of the mean over runs."""
    return root(terms.var(0, ddof=1)) / jnp.sqrt(jnp.asarray(terms.shape[0], terms.dtype))


def root(square: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Square root whose derivative at zero is zero.

    Cells that mask nothing have a variance of exactly zero. The square root's own derivative is
    infinite there, and nan once a later `where` multiplies it by zero.
    """
    zero = square == 0
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, square)))


def contrasts(terms: Float[Array, "n cells"], used: Bool[Array, " cells"]) -> Array:
    """Each run's terms less their mean over the used cells."""
    weight = used.astype(terms.dtype)
    mean = matmul(terms, weight) / jnp.maximum(weight.sum(), 1.0)
    return terms - mean[:, None]


def contrast_error(
    terms: Float[Array, "n cells"],
    used: Bool[Array, " cells"],
    balanced: Float[Array, "n cells"] | None = None,
) -> Float[Array, " cells"]:
    """Standard error of the mean of each run's terms less their mean over the used cells.

    Balanced masks are i.i.d. ones under the condition that each cell is dropped a given number of
    times. So what the terms share linearly with the runs' drops is held fixed, and no error. That
    share of a variance is the sum over cells of squared correlations, each less its own sampling
    variance. Where cells are many and runs are few it is mostly noise, and shrunk towards none.

    Args:
        terms: What each run, or group of runs, adds to the scores.
        used: Cells that masked anything.
        balanced: Drop bits less their mean over the runs, where the design holds that mean fixed;
            sums over the runs of a group. None with i.i.d. masks.
    """
    terms = contrasts(terms, used)
    if balanced is None:
        return standard_error(terms)
    n = terms.shape[0]
    terms = terms - terms.mean(0)[None]
    square = jnp.square(balanced)
    size = square.mean(0)[None]

    def shared(own: Float[Array, "n some"]) -> Float[Array, " some"]:
        covariance = jnp.square(matmul(own.T, balanced) / n)
        noise = (matmul(jnp.square(own).T, square) / n - covariance) / (n - 1)
        return _ratio(covariance - noise, size, 0.0).sum(1)

    fixed = _some_at_a_time(shared, terms)
    variance = jnp.square(terms).sum(0) / (n - 1)
    share = _ratio(fixed, variance, 0.0)
    weight = used.astype(terms.dtype)
    spread = (jnp.square(share) * weight).sum() / jnp.maximum(weight.sum(), 1.0)
    # Of Gaussian terms the share has this variance; runs with a few large ones scatter twice that.
    scatter = SCATTER * 2.0 * weight.sum() / n**2
    trust = jnp.clip(1.0 - _ratio(scatter, spread, jnp.inf), 0.0, 1.0)
    left = 1.0 - jnp.clip(trust * share, -0.5, 0.95)
    return root(variance * left / n)


def _ratio(part: Array, whole: Array, empty: float) -> Array:
    """part / whole, and `empty` where the whole is zero, there with a derivative of zero."""
    there = whole > 0
    return jnp.where(there, part / jnp.where(there, whole, 1.0), empty)


def _group_mean(drops: Array, effects: Array, used: Array, *, balanced: bool) -> Estimate:
    """Mean effect over the masks that drop a cell; where none does, the mean over all masks."""
    n = effects.shape[0]
    mean = effects.mean()
    deviation = effects - mean
    count = drops.sum(0)
    shift = matmul(deviation, drops) / jnp.maximum(count, 1.0)
    residual = (deviation[:, None] - shift[None]) * drops
    variance = jnp.square(residual).sum(0) / jnp.maximum(count - 1.0, 1.0)
    spread = variance / jnp.maximum(count, 1.0)
    known = count >= 2.0
    if balanced:
        # Of a cell's own main effect, shift / (1 - q), a run with drop bit d holds (d - q) times
        # as much. Times d - q that is its constant share and (1 - 2q) (d - q), which sums to zero.
        share = count / n
        own = shift * (1.0 - 2.0 * share) / jnp.where(share < 1.0, 1.0 - share, 1.0)
        luck = drops - share[None]
        influence = (deviation[:, None] - own[None]) * luck / jnp.where(count > 0, share, 1.0)[None]
        contrast = contrast_error(influence, used & known, luck)
    else:
        influence = residual * (n / jnp.maximum(count, 1.0))[None]
        contrast = contrast_error(influence, used & known)
    if balanced:
        # The masks that drop cell i hold every other cell's drops in numbers that vary like draws
        # without replacement: of the variance that main effects cause, the finite-population
        # fraction (count - 1) / (n - 1) is gone. What main effects cause is itself estimated.
        explained = jnp.clip(_main_effects(drops, deviation), 0.0, variance)
        spread = spread - explained * (count - 1.0) / ((n - 1) * jnp.maximum(count, 1.0))
    stderr = root(jnp.where(known, spread, 1.0))
    return Estimate(mean + shift, *(jnp.where(known, x, jnp.inf) for x in (stderr, contrast)))


def _main_effects(drops: Array, deviation: Array) -> Array:
    """Variance of the effect due to the other cells' main effects, among masks that drop a cell.

    For cell i, the sum over j of q_j (1 - q_j) b_ij^2, b_ij the difference of the mean effect with
    and without j. Each square is taken less its own sampling variance, hence unbiased.
    """
    share = drops.mean(0)[None]

    def of(own: Float[Array, "n some"]) -> Float[Array, " some"]:
        first, second = deviation[:, None] * own, jnp.square(deviation)[:, None] * own
        both = matmul(own.T, drops)
        count = own.sum(0)[:, None]
        groups = []
        for size, total, squares in (
            (both, matmul(first.T, drops), matmul(second.T, drops)),
            (
                count - both,
                first.sum(0)[:, None] - matmul(first.T, drops),
                second.sum(0)[:, None] - matmul(second.T, drops),
            ),
        ):
            mean = total / jnp.maximum(size, 1.0)
            variance = (squares - mean * total) / jnp.maximum(size - 1.0, 1.0)
            groups.append((size, mean, variance / jnp.maximum(size, 1.0)))
        (dropped, mean_dropped, error_dropped), (kept, mean_kept, error_kept) = groups
        square = jnp.square(mean_dropped - mean_kept) - error_dropped - error_kept
        enough = (dropped >= 2.0) & (kept >= 2.0)
        return jnp.where(enough, square * (share * (1.0 - share)), 0.0).sum(1)

    return _some_at_a_time(of, drops)


def _some_at_a_time(
    each: Callable[[Array], Float[Array, " some"]], columns: Float[Array, "n cells"]
) -> Float[Array, " cells"]:
    """`each` of all columns, which meets every cell with every other: a block of cells at a time.

    Memory grows with the cells and not with their square.
    """
    n, cells = columns.shape
    if cells <= BLOCK:
        return each(columns)
    blocks = -(-cells // BLOCK)
    filled = jnp.pad(columns, ((0, 0), (0, blocks * BLOCK - cells)))
    parts = jnp.swapaxes(filled.reshape(n, blocks, BLOCK), 0, 1)
    return jax.lax.map(each, parts).reshape(-1)[:cells]


def _ridge(drops: Array, effects: Array, drop_prob: Array, used: Array) -> Estimate:
    n = effects.shape[0]
    centre = drops.mean(0)
    x = drops - centre[None]
    mean = effects.mean()
    y = effects - mean
    eigenvalues, vectors = jnp.linalg.eigh(matmul(x, x.T))
    eigenvalues = jnp.maximum(eigenvalues, 0.0)
    scale = jnp.maximum(eigenvalues.mean(), jnp.finfo(effects.dtype).tiny)
    penalties = jnp.asarray(PENALTIES, effects.dtype) * scale
    left = penalties[:, None] / (eigenvalues[None] + penalties[:, None])
    projected = matmul(vectors.T, y)
    # The constant is fitted too: one degree of freedom beside the penalised ones, and its own
    # direction, an eigenvector of eigenvalue zero, already has no residual.
    freedom = jnp.maximum(left.sum(1) - 1.0, 1e-6 * n)
    loss = jnp.square(left * projected[None]).sum(1) / jnp.square(freedom)
    penalty = penalties[jnp.argmin(loss)]
    inverse = matmul(vectors / (eigenvalues + penalty)[None], vectors.T)
    slopes = matmul(x.T, inverse)
    # Psi_i = (mean effect at the design's own drop probability) + (1 - q_i) slope_i, all linear in
    # the effects: one row of weights a cell.
    weights = (
        1.0 / n - matmul(centre - drop_prob, slopes)[None] + (1.0 - drop_prob)[:, None] * slopes
    )
    annihilator = jnp.eye(n, dtype=effects.dtype) - 1.0 / n - matmul(x, slopes)
    # A residual's variance is this share of the noise's: White's correction (HC2) for a smoother.
    share = jnp.maximum(jnp.square(annihilator).sum(1), 1e-6)
    noise = jnp.square(matmul(annihilator, y)) / share
    errors = (
        root(matmul(jnp.square(rows), noise)) for rows in (weights, contrasts(weights.T, used).T)
    )
    return Estimate(matmul(weights, effects), *errors)


def matmul(a: Array, b: Array) -> Array:
    """a @ b in full float32; accelerators multiply in fewer bits unless told otherwise."""
    return jnp.matmul(a, b, precision="highest")
