"""How far the action chunk moved: one number for each masked run."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

REDUCTIONS = ("mean", "sum")


def effects(
    actions: Float[Array, "*n horizon dims"],
    baseline: Float[Array, "*n horizon dims"],
    *,
    reduction: str = "mean",
    action_dims: int | Sequence[int] | None = None,
    horizon: int | None = None,
    weights: Float[Array, " dims"] | Float[Array, "horizon dims"] | Sequence[float] | None = None,
) -> Float[Array, "*n"]:
    """Squared action error of each masked run (Algorithm 1, line 13; Eq. 18).

    Actions are compared in the policy's normalised action space, the whitening that App. A.2 asks
    for: in raw units the joint with the largest unit would decide.

    Args:
        actions: Action chunks of the masked runs.
        baseline: Chunk of the unmasked run; broadcasts over the leading axes.
        reduction: `mean` over the chosen steps and dimensions, or `sum` (the squared L2 norm).
        action_dims: The first k dimensions, or the indices of those that mean something; all when
            None.
        horizon: The first steps of the chunk that count; all when None.
        weights: Weight of each chosen dimension, or of each chosen step and dimension. `mean`
            divides by their sum.

    Returns:
        One number for each run, in float32 at least.

    Raises:
        ValueError: An unknown reduction, dimensions or steps that the chunk does not have, or
            weights of another shape.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {REDUCTIONS}, got {reduction!r}")
    # A policy may act in bfloat16; squared differences and their mean need more than its 8 bits.
    dtype = jnp.float32 if actions.dtype.itemsize < 4 else actions.dtype
    error = select(actions, action_dims, horizon).astype(dtype) - _broadcast_left(
        select(baseline, action_dims, horizon), actions.ndim
    ).astype(dtype)
    squared = jnp.square(error)
    if weights is None:
        return squared.mean((-2, -1)) if reduction == "mean" else squared.sum((-2, -1))
    weight = jnp.asarray(weights, squared.dtype)
    steps, dims = squared.shape[-2:]
    if weight.shape not in ((dims,), (steps, dims)):
        raise ValueError(f"weights must be [{dims}] or [{steps}, {dims}], got {weight.shape}")
    weight = jnp.broadcast_to(weight, (steps, dims))
    total = jnp.einsum("...ha,ha->...", squared, weight, precision="highest")
    return total / jnp.sum(weight) if reduction == "mean" else total


def flattened(
    actions: Float[Array, "*n horizon dims"],
    *,
    reduction: str = "mean",
    action_dims: int | Sequence[int] | None = None,
    horizon: int | None = None,
    weights: Sequence[float] | None = None,
) -> Float[Array, "*n d"]:
    """Chunks as vectors whose squared distances are `effects`, in float32 at least.

    Args:
        actions: Action chunks.
        reduction: As for `effects`, like the rest.
        action_dims: Likewise.
        horizon: Likewise.
        weights: Likewise.

    Raises:
        ValueError: As for `effects`.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {REDUCTIONS}, got {reduction!r}")
    chosen = select(actions, action_dims, horizon)
    dtype = jnp.float32 if chosen.dtype.itemsize < 4 else chosen.dtype
    chosen = chosen.astype(dtype)
    steps, dims = chosen.shape[-2:]
    weight = jnp.ones((steps, dims), dtype)
    if weights is not None:
        weight = jnp.asarray(weights, dtype)
        if weight.shape not in ((dims,), (steps, dims)):
            raise ValueError(f"weights must be [{dims}] or [{steps}, {dims}], got {weight.shape}")
        weight = jnp.broadcast_to(weight, (steps, dims))
    if reduction == "mean":
        weight = weight / jnp.sum(weight)
    scaled = chosen * jnp.sqrt(weight).reshape((1,) * (chosen.ndim - 2) + (steps, dims))
    return scaled.reshape(*chosen.shape[:-2], -1)


def gaussian_kl(
    mean_p: Float[Array, "*n horizon dims"],
    mean_q: Float[Array, "*n horizon dims"],
    sigma: float | Float[Array, " dims"],
) -> Float[Array, "*n"]:
    """KL divergence between Gaussian policies with a shared diagonal covariance (Eq. 14-16).

    With one sigma it is |mean_p - mean_q|^2 / (2 sigma^2), in nats.

    Args:
        mean_p: Mean action chunks of the first policy.
        mean_q: Mean action chunks of the second.
        sigma: Standard deviation, shared or one per action dimension.
    """
    scale = jnp.broadcast_to(jnp.asarray(sigma, mean_p.dtype), mean_p.shape[-1:])
    squared = jnp.square(mean_p - _broadcast_left(mean_q, mean_p.ndim))
    return 0.5 * jnp.einsum("...ha,a->...", squared, scale**-2, precision="highest")


def check_chosen(
    name: str, action_dims: int | tuple[int, ...] | None, weights: tuple[float, ...] | None
) -> None:
    """Says which action dimensions or weights cannot be, whatever the policy.

    Args:
        name: Of the options that hold them.
        action_dims: The first so many, or indices.
        weights: One a dimension.

    Raises:
        ValueError: No dimension, one twice, a negative one; no weight, or not one for each.
    """
    count = action_dims
    if isinstance(action_dims, tuple):
        count = len(action_dims)
        if not count or min(action_dims) < 0 or len(set(action_dims)) != count:
            raise ValueError(
                f"{name}.action_dims must be different indices from 0, one at least, got "
                f"{action_dims}"
            )
    if weights is not None and (not weights or (count is not None and len(weights) != count)):
        wanted = "one at least" if count is None else f"{count}, one a dimension"
        raise ValueError(f"{name}.action_weights: {len(weights)} given, {wanted} wanted")


def _broadcast_left(x: Array, ndim: int) -> Array:
    return x.reshape((1,) * (ndim - x.ndim) + x.shape)


def select(chunk: Array, action_dims: int | Sequence[int] | None, horizon: int | None) -> Array:
    """The first `horizon` steps of a chunk [..., H, A] and its first, or listed, dimensions.

    Raises:
        ValueError: Steps or dimensions that the chunk does not have.
    """
    steps, dims = chunk.shape[-2:]
    if horizon is not None:
        if not 1 <= horizon <= steps:
            raise ValueError(f"horizon must lie in 1..{steps} (steps of the chunk), got {horizon}")
        chunk = chunk[..., :horizon, :]
    if action_dims is None:
        return chunk
    if isinstance(action_dims, int):
        if not 1 <= action_dims <= dims:
            raise ValueError(f"action_dims must lie in 1..{dims}, got {action_dims}")
        return chunk[..., :action_dims]
    chosen = list(action_dims)
    if not chosen or min(chosen) < 0 or max(chosen) >= dims:
        raise ValueError(f"action_dims must be indices in 0..{dims - 1}, got {tuple(chosen)}")
    return chunk[..., jnp.asarray(chosen)]
