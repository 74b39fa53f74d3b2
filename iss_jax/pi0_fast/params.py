"""openpi's tree of a π0-FAST: what is no action expert in a π0.5's."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from iss_jax.pi05.params import (
    PI05,
    Expert,
    ImageTower,
    Params,
    Sizes,
    flatten,
    shapes,
    sizes_of,
    unflatten,
)


@dataclasses.dataclass(frozen=True)
class FastSizes:
    """Everything about a π0-FAST that its leaves' shapes tell."""

    image: ImageTower
    vlm: Expert
    depth: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int


PI0_FAST = FastSizes(
    PI05.image, PI05.vlm, PI05.depth, PI05.heads, PI05.kv_heads, PI05.head_dim, PI05.vocab
)
"""The released π0-FAST."""

_PROJECTIONS = ("action_in_proj/", "action_out_proj/", "time_mlp_in/", "time_mlp_out/")


def is_fast(params: Mapping[str, Any]) -> bool:
    """Whether a tree is a π0-FAST's: a PaliGemma without an action expert."""
    flat = flatten(params)
    return "PaliGemma/llm/final_norm/scale" in flat and not any(map(_of_expert, flat))


def fast_shapes(sizes: FastSizes) -> dict[str, tuple[int, ...]]:
    """Every leaf of a π0-FAST of these sizes: '/'-joined openpi path -> shape."""
    return {path: shape for path, shape in _whole(sizes).items() if not _of_expert(path)}


def fast_sizes_of(params: Params) -> FastSizes:
    """Read the model's sizes off its leaves and check every leaf against them.

    Args:
        params: nested dict of arrays or `jax.ShapeDtypeStruct`.

    Raises:
        ValueError: a leaf is missing, extra or misshapen; the message names it.
    """
    flat = flatten(params)
    layers = "PaliGemma/llm/layers"
    for path, ndim in ((f"{layers}/attn/q_einsum/w", 4), (f"{layers}/attn/kv_einsum/w", 5)):
        if path not in flat or len(flat[path].shape) != ndim:
            given = flat[path].shape if path in flat else "none"
            raise ValueError(f"params: leaf {path!r}: {ndim} axes wanted, {given} given")
    depth, heads, _, head_dim = flat[f"{layers}/attn/q_einsum/w"].shape
    kv_heads = flat[f"{layers}/attn/kv_einsum/w"].shape[2]
    # An expert of width one stands in for the one that is not there.
    stand_in = FastSizes(PI05.image, PI05.vlm, depth, heads, kv_heads, head_dim, PI05.vocab)
    expert = {
        path: jax.ShapeDtypeStruct(shape, np.float32)
        for path, shape in _whole(stand_in).items()
        if _of_expert(path)
    }
    found = sizes_of(unflatten(flat | expert))
    return FastSizes(
        **{field.name: getattr(found, field.name) for field in dataclasses.fields(FastSizes)}
    )


def _whole(sizes: FastSizes) -> dict[str, tuple[int, ...]]:
    """Leaves of a π0.5 with an action expert of width one."""
    return shapes(Sizes(**vars(sizes), action=Expert(width=1, mlp=1), action_dim=1))


def _of_expert(path: str) -> bool:
    if path.startswith("PaliGemma/llm/"):
        return any(part.endswith("_1") for part in path.split("/"))
    return path.startswith(_PROJECTIONS)
