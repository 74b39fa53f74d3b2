"""Runs split over devices: each loops over its own masks and frames, only effects meet.

A mesh may have three axes: `masks` and `frames` split the runs of one call, `params` the parameters
of a model that is too large for one device. `device_mesh` makes one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P, Sharding
from jaxtyping import Array

MASK_AXIS, FRAME_AXIS, PARAM_AXIS = "masks", "frames", "params"
SMALL_LEAF = 1 << 20  # elements; not worth the messages that splitting costs


def device_mesh(
    *,
    masks: int | None = None,
    frames: int = 1,
    params: int = 1,
    devices: Sequence[Any] | None = None,
) -> Mesh:
    """A mesh over which `saliency` and `attribute` split their runs.

    >>> import jax
    >>> from iss_jax import device_mesh
    >>> dict(device_mesh(devices=jax.devices()[:1]).shape)
    {'masks': 1}

    Args:
        masks: Devices along the masks; as many as the other axes leave when None.
        frames: Devices along the batch of observations.
        params: Devices along the parameters, see `fsdp`.
        devices: All of this process's when None.

    Returns:
        A mesh with the axis `masks` and those of the others that are longer than one, in the order
        frames, masks, params: devices of one copy of the parameters are neighbours.

    Raises:
        ValueError: The sizes do not multiply to the number of devices.
    """
    chosen = jax.local_devices() if devices is None else list(devices)
    least = frames * params
    masks = max(len(chosen) // least, 1) if masks is None else masks
    if min(masks, frames, params) < 1 or masks * least != len(chosen):
        raise ValueError(
            f"mesh of {frames} frames x {masks} masks x {params} params needs "
            f"{masks * least} devices, got {len(chosen)}"
        )
    axes = {FRAME_AXIS: frames, MASK_AXIS: masks, PARAM_AXIS: params}
    axes = {name: size for name, size in axes.items() if size > 1 or name == MASK_AXIS}
    return Mesh(np.asarray(chosen).reshape(tuple(axes.values())), tuple(axes))


def split_runs(
    local: Callable[..., tuple[Any, Array]], mesh: Mesh, *, by_frame: bool = False
) -> Callable[..., Any]:
    """Splits masks over the mesh's axis `masks` and examples over `frames`, where it has them.

    Every device runs `local` on its share. What came of each run is gathered on all devices, the
    one collective. A count that its axis does not divide is filled up, masks with all-keep ones and
    examples with the last one, and the results of the filling dropped. Any other mesh axis is left
    to the compiler, so that parameters may be sharded over it.

    Args:
        local: `local(shared, examples, masks) -> (runs, actions [b, H, A])`, `shared` any pytree,
            `examples` one of [b, ...], `masks` [n, ...], `runs` a pytree of [b, n, ...].
        mesh: Mesh with at least one of the two axes.
        by_frame: Whether every example has masks of its own, [n, b, ...].

    Raises:
        ValueError: The mesh has neither axis.
    """
    own = tuple(name for name in (FRAME_AXIS, MASK_AXIS) if name in mesh.axis_names)
    if not own:
        raise ValueError(
            f"mesh needs an axis {MASK_AXIS!r} or {FRAME_AXIS!r}, got axes {mesh.axis_names}"
        )
    frames, masks_axis = (name if name in own else None for name in (FRAME_AXIS, MASK_AXIS))
    everywhere = NamedSharding(mesh, P())

    def fill(leaf: Array, axis: str | None) -> Array:
        short = -leaf.shape[0] % mesh.shape[axis] if axis else 0
        last = jnp.broadcast_to(leaf[-1:], (short, *leaf.shape[1:]))
        return jnp.concatenate([leaf, last]) if short else leaf

    def split(shared: Any, examples: Any, masks: Array) -> tuple[Any, Array]:
        n, batch = masks.shape[0], jax.tree.leaves(examples)[0].shape[0]
        short = -n % mesh.shape[MASK_AXIS] if masks_axis else 0
        masks = jnp.concatenate([masks, jnp.ones((short, *masks.shape[1:]), masks.dtype)])
        if by_frame:
            masks = jnp.swapaxes(fill(jnp.swapaxes(masks, 0, 1), frames), 0, 1)
        found = _shard_map(
            local,
            mesh,
            own,
            in_specs=(P(), P(frames), P(masks_axis, frames) if by_frame else P(masks_axis)),
            out_specs=(P(frames, masks_axis), P(frames)),
        )(shared, jax.tree.map(lambda leaf: fill(leaf, frames), examples), masks)
        # Left split, the sums over masks would each become a collective of their own.
        runs, actions = jax.lax.with_sharding_constraint(found, everywhere)
        return jax.tree.map(lambda leaf: leaf[:batch, :n], runs), actions[:batch]

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


# One sharding for all leaves, one for each, or a rule from a leaf's path and shape.
LeafShardings = (
    Sharding | Mapping[str, Any] | Callable[[str, tuple[int, ...]], Sharding | None] | None
)


def fsdp(
    mesh: Mesh, axis: str = PARAM_AXIS, *, small: int = SMALL_LEAF
) -> Callable[[str, tuple[int, ...]], NamedSharding]:
    """A rule that splits parameters over a mesh axis, for `restore_params(sharding=)`.

    A leaf is split along the longest of its dimensions that the axis divides; layers are stacked
    along the first dimension and looped over, so that this one is never split. Small leaves and
    those that nothing divides are copied to every device.

    >>> import jax
    >>> import numpy as np
    >>> from iss_jax import fsdp
    >>> mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:1]), ("params",))
    >>> rule = fsdp(mesh, small=1000)
    >>> tuple(rule("PaliGemma/llm/layers/mlp/linear", (18, 512, 64)).spec)
    (None, 'params', None)
    >>> tuple(rule("time_mlp_in/bias", (64,)).spec)
    ()

    Args:
        mesh: Mesh with the axis, such as `device_mesh(params=4)`.
        axis: Its name.
        small: Leaves of fewer elements are not split.

    Returns:
        rule(path, shape) -> sharding.

    Raises:
        ValueError: The mesh has no such axis.
    """
    if axis not in mesh.axis_names:
        raise ValueError(f"mesh needs an axis {axis!r}, got axes {mesh.axis_names}")

    def rule(path: str, shape: tuple[int, ...]) -> NamedSharding:
        del path
        first = 1 if len(shape) > 2 else 0
        even = [d for d in range(first, len(shape)) if shape[d] % mesh.shape[axis] == 0]
        if math.prod(shape) < small or not even:
            return NamedSharding(mesh, P())
        longest = max(even, key=lambda d: shape[d])
        return NamedSharding(mesh, P(*(axis if d == longest else None for d in range(len(shape)))))

    return rule


def _shard_map(
    fn: Callable[..., Any], mesh: Mesh, own: tuple[str, ...], in_specs: Any, out_specs: Any
) -> Any:
    # The baseline is computed alike on every device, which the replication check cannot see.
    if hasattr(jax, "shard_map"):
        split = partial(jax.shard_map, check_vma=False, axis_names=frozenset(own))
    else:
        from jax.experimental.shard_map import shard_map

        others = frozenset(mesh.axis_names) - set(own)
        split = partial(shard_map, check_rep=False, auto=others)  # pyright: ignore[reportCallIssue]
    return split(fn, mesh=mesh, in_specs=in_specs, out_specs=out_specs)
