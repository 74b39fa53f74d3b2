"""Masks split over devices: each device loops over its own micro-batches, only effects meet."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from jaxtyping import Array

MASK_AXIS = "masks"


def mask_mesh(devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh with one axis, `masks`, over all devices or those given."""
    chosen = jax.devices() if devices is None else list(devices)
    return Mesh(np.asarray(chosen), (MASK_AXIS,))


def split_masks(local: Callable[..., tuple[Any, Array]], mesh: Mesh) -> Callable[..., Any]:
    """Splits the last argument, masks [n, ...], over the mesh's `masks` axis.

    Every device runs `local` on its share; what came of each mask is gathered along the masks. A
    count that the axis does not divide is filled up with all-keep masks, whose results are dropped.
    Any other mesh axis is left to the compiler, so that parameters may be sharded over it.

    Args:
        local: `local(*replicated, masks) -> (runs, actions [b, H, A])`, `runs` a pytree of [b, n,
            ...].
        mesh: Mesh with an axis named `masks`.

    Raises:
        ValueError: The mesh has no such axis.
    """
    if MASK_AXIS not in mesh.axis_names:
        raise ValueError(f"mesh needs an axis {MASK_AXIS!r}, got axes {mesh.axis_names}")
    shards = mesh.shape[MASK_AXIS]

    def split(*args: Any) -> tuple[Any, Array]:
        *replicated, masks = args
        n = masks.shape[0]
        fill = jnp.ones((-n % shards, *masks.shape[1:]), masks.dtype)
        runs, actions = _shard_map(
            local,
            mesh,
            in_specs=(*(P() for _ in replicated), P(MASK_AXIS)),
            out_specs=(P(None, MASK_AXIS), P()),
        )(*replicated, jnp.concatenate([masks, fill]))
        return jax.tree.map(lambda leaf: leaf[:, :n], runs), actions

    return split


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Copies to every device of the mesh what does not lie on it yet.

    Traced leaves stay as they are. Leaves that already span the mesh's devices, such as sharded
    parameters, keep their sharding.
    """
    devices = set(mesh.devices.flat)
    everywhere = NamedSharding(mesh, P())

    def place(leaf: Any) -> Any:
        if isinstance(leaf, Tracer):
            return leaf
        if isinstance(leaf, jax.Array) and leaf.sharding.device_set == devices:
            return leaf
        return jax.device_put(leaf, everywhere)

    return jax.tree.map(place, tree)


def _shard_map(fn: Callable[..., Any], mesh: Mesh, in_specs: Any, out_specs: Any) -> Any:
    # The baseline is computed alike on every device, which the replication check cannot see.
    others = frozenset(mesh.axis_names) - {MASK_AXIS}
    if hasattr(jax, "shard_map"):
        split = partial(jax.shard_map, check_vma=False, axis_names=frozenset({MASK_AXIS}))
    else:
        from jax.experimental.shard_map import shard_map

        split = partial(shard_map, check_rep=False, auto=others)  # pyright: ignore[reportCallIssue]
    return split(fn, mesh=mesh, in_specs=in_specs, out_specs=out_specs)
