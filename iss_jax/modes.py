"""How far a distribution of action chunks moved, for policies that act in more than one way.

A squared error pairs the draws that share their flow noise. Where a policy has several modes, a
mask may hand the same noise to another mode and leave the distribution as it was: the error is
large and nothing has changed. The energy distance (Székely and Rizzo, 2013) compares the draws as
sets:

    D(P, Q) = 2 E‖X − Y‖ − E‖X − X'‖ − E‖Y − Y'‖

over all pairs of draws, a draw with itself too. It is 0 exactly where both sets are the same, and
never negative.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from iss_jax.divergence import flattened

DIVERGENCES = ("error", "energy", "within", "weights")
# Of Lloyd's algorithm, from the two draws that lie farthest apart.
ITERATIONS = 8


def energy_distance(
    actions: Float[Array, "*n draws horizon dims"],
    baseline: Float[Array, "draws horizon dims"],
    *,
    reduction: str = "mean",
    action_dims: int | Sequence[int] | None = None,
    horizon: int | None = None,
    weights: Sequence[float] | None = None,
) -> Float[Array, "*n"]:
    """Energy distance of each run's draws to the baseline's.

    >>> import jax.numpy as jnp
    >>> from iss_jax.modes import energy_distance
    >>> two = jnp.array([1.0, 1.0, 1.0, -1.0])[:, None, None]  # a mode at 1, another at -1
    >>> float(energy_distance(two[::-1], two)), float(energy_distance(-two, two))
    (0.0, 1.0)

    Args:
        actions: Chunks of every draw of each run.
        baseline: Chunks of the unmasked run, in the same draws.
        reduction: The norm of a difference is the root of its squares' `mean` or `sum`.
        action_dims: As for `iss_jax.divergence.effects`, like the rest.
        horizon: Likewise.
        weights: Likewise.

    Returns:
        One number a run, in units of the actions.

    Raises:
        ValueError: Runs and baseline of other draws or chunks; dimensions, steps or weights that
            the chunk does not have.
    """
    x, y = _draws(
        actions,
        baseline,
        reduction=reduction,
        action_dims=action_dims,
        horizon=horizon,
        weights=weights,
    )
    x = _lifted(x, y.ndim)
    return _energy(x, y, _even(x), _even(y))


def mode_split(
    actions: Float[Array, "*n draws horizon dims"],
    baseline: Float[Array, "draws horizon dims"],
    *,
    reduction: str = "mean",
    action_dims: int | Sequence[int] | None = None,
    horizon: int | None = None,
    weights: Sequence[float] | None = None,
) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """Energy distance within two modes, and of their weights alone.

    The modes are two groups of the baseline's draws (k-means); every draw belongs to the nearer. In
    the second number all draws stand at the common mean of their mode, so that only the share of
    draws in each mode counts. In the first each mode's draws are compared with its own, as often as
    both runs have them. A policy of one mode is cut in two, and the split says little then.

    >>> import jax.numpy as jnp
    >>> from iss_jax.modes import mode_split
    >>> two = jnp.array([1.0, 1.0, -1.0, -1.0])[:, None, None]
    >>> within, share = mode_split(jnp.stack([two + 0.1, two.at[1].set(-1.0)]), two)
    >>> [round(float(one), 3) for one in (*within, *share)]
    [0.2, 0.0, 0.0, 0.25]

    Args:
        actions: Chunks of every draw of each run.
        baseline: Chunks of the unmasked run, in the same draws.
        reduction: As for `energy_distance`, like the rest.
        action_dims: Likewise.
        horizon: Likewise.
        weights: Likewise.

    Returns:
        Within, and of the weights.

    Raises:
        ValueError: As for `energy_distance`.
    """
    x, y = _draws(
        actions,
        baseline,
        reduction=reduction,
        action_dims=action_dims,
        horizon=horizon,
        weights=weights,
    )
    centres = _two_means(x)
    x = _lifted(x, y.ndim)
    own_x, own_y = (jax.nn.one_hot(_nearest(z, centres), 2, dtype=x.dtype) for z in (x, y))
    share_x, share_y = own_x.mean(-2), own_y.mean(-2)
    total = own_x.sum(-2) + own_y.sum(-2)
    sums = _of_modes(own_x, x) + _of_modes(own_y, y)
    common = sums / jnp.maximum(total, 1.0)[..., None]
    apart = _norm(common[..., :1, :] - common[..., 1:, :])[..., 0]
    moved = jnp.square(share_x[..., 0] - share_y[..., 0])
    within = jnp.zeros(moved.shape, x.dtype)
    for mode in range(2):
        weight_x, weight_y = own_x[..., mode], own_y[..., mode]
        both = (weight_x.sum(-1) > 0) & (weight_y.sum(-1) > 0)
        distance = _energy(x, y, _normed(weight_x), _normed(weight_y))
        common_share = jnp.minimum(share_x[..., mode], share_y[..., mode])
        within = within + jnp.where(both, common_share * distance, 0.0)
    return within, 2.0 * apart * moved


def _draws(actions: Array, baseline: Array, **chosen: Any) -> tuple[Array, Array]:
    """Draws of the baseline [k, d] and of the runs [*n, k, d] as vectors."""
    if baseline.ndim != 3 or actions.ndim < 3 or actions.shape[-3:] != baseline.shape:
        raise ValueError(
            f"actions must be [..., draws, H, A] and baseline [draws, H, A] of the same, got "
            f"{list(actions.shape)} and {list(baseline.shape)}"
        )
    return flattened(baseline, **chosen), flattened(actions, **chosen)


def _energy(x: Array, y: Array, weight_x: Array, weight_y: Array) -> Array:
    """Of weighted draws x [k, d] and y [*n, k, d]; weights sum to one."""

    def mean(a: Array, b: Array, of_a: Array, of_b: Array) -> Array:
        distances = _norm(a[..., :, None, :] - b[..., None, :, :])
        return jnp.einsum("...ij,...i,...j->...", distances, of_a, of_b, precision="highest")

    between = 2.0 * mean(y, x, weight_y, weight_x)
    found = between - mean(x, x, weight_x, weight_x) - mean(y, y, weight_y, weight_y)
    return jnp.maximum(found, 0.0)


def _lifted(x: Array, ndim: int) -> Array:
    """The baseline's draws with the leading axes of the runs."""
    return x.reshape((1,) * (ndim - x.ndim) + x.shape)


def _of_modes(own: Array, z: Array) -> Array:
    return jnp.einsum("...km,...kd->...md", own, z, precision="highest")


def _even(z: Array) -> Array:
    return jnp.full(z.shape[:-1], 1.0 / z.shape[-2], z.dtype)


def _normed(weight: Array) -> Array:
    return weight / jnp.maximum(weight.sum(-1, keepdims=True), 1.0)


def _norm(z: Array) -> Array:
    """Euclidean, with derivative 0 at 0."""
    squared = jnp.square(z).sum(-1)
    # NaN is no zero, and stays what it is.
    still = squared == 0.0
    return jnp.where(still, 0.0, jnp.sqrt(jnp.where(still, 1.0, squared)))


def _nearest(z: Array, centres: Float[Array, "2 d"]) -> Int[Array, "*n k"]:
    first, second = (_norm(z - _lifted(centre, z.ndim)) for centre in centres)
    return (second < first).astype(jnp.int32)


def _two_means(x: Float[Array, "k d"]) -> Float[Array, "2 d"]:
    apart = _norm(x[:, None] - x[None])
    start = jnp.stack(jnp.unravel_index(jnp.argmax(apart), apart.shape))

    def step(_: int, centres: Array) -> Array:
        own = jax.nn.one_hot(_nearest(x, centres), 2, dtype=x.dtype)
        means = own.T @ x / jnp.maximum(own.sum(0), 1.0)[:, None]
        return jnp.where(own.sum(0)[:, None] > 0, means, centres)

    centres = jax.lax.fori_loop(0, ITERATIONS, step, x[start])
    return jax.lax.stop_gradient(centres)
