"""Low-rank adaptation leaves: adding, scaling and merging them.

The forward pass applies LoRA leaves as they stand, which is openpi's alpha = rank. openpi scales
the attention's LoRA by alpha / rank and the feed-forward's not at all; `scale` folds another alpha
into the leaves that it applies to.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from iss_jax.pi05.params import Params, Sizes, flatten, shapes, sizes_of, unflatten


def scale(params: Params, *, vlm_alpha: float, action_alpha: float) -> Params:
    """Fold alpha / rank into the attention's `lora_b`, as openpi applies it.

    Args:
        params: tree with LoRA leaves.
        vlm_alpha: alpha of the VLM expert.
        action_alpha: alpha of the action expert.

    Returns:
        A tree whose forward pass here equals openpi's with these alphas. Feed-forward leaves are
        untouched: openpi does not scale them.

    Raises:
        ValueError: the tree holds no attention LoRA leaves.
    """
    flat = flatten(params)
    adapted = [path for path in flat if "/attn/" in path and path.endswith("/lora_b")]
    if not adapted:
        raise ValueError("params: no attention LoRA leaves ('.../lora_b') to scale")
    for path in adapted:
        leaf = flat[path]
        alpha = action_alpha if path.removesuffix("/lora_b").endswith("_1") else vlm_alpha
        flat[path] = (leaf * (alpha / leaf.shape[-2])).astype(leaf.dtype)
    return unflatten(flat)


def merge_lora(
    params: Params, *, vlm_alpha: float | None = None, action_alpha: float | None = None
) -> Params:
    """Add every low-rank product to its weight and drop the LoRA leaves.

    Args:
        params: tree with (or without) LoRA leaves.
        vlm_alpha: alpha of the VLM expert; None means alpha = rank, as in openpi's variants.
        action_alpha: the same for the action expert.

    Returns:
        The tree of the plain model, whose outputs equal the adapted model's to rounding.
    """
    flat = flatten(params)
    merged = {path: leaf for path, leaf in flat.items() if not path.endswith(("lora_a", "lora_b"))}
    for path, a in flat.items():
        if not path.endswith("lora_a"):
            continue
        b = flat[path.removesuffix("a") + "b"]
        attention = path.endswith("/lora_a")
        target = path.removesuffix("lora_a") + "w" if attention else path.removesuffix("_lora_a")
        factor = 1.0
        if attention:
            alpha = action_alpha if "_1/lora_a" in path else vlm_alpha
            factor = 1.0 if alpha is None else alpha / a.shape[-1]
        weight = merged[target]
        delta = _product(path, a.astype(jnp.float32), b.astype(jnp.float32))
        merged[target] = (weight.astype(jnp.float32) + factor * delta).astype(weight.dtype)
    return unflatten(merged)


def _product(path: str, a: Array, b: Array) -> Array:
    if "attn_vec_einsum" in path:
        # No head axis is left between the factors: `lora_b` is summed over heads.
        return jnp.einsum("lnhr,lrw->lnhw", a, jnp.sum(b, axis=1))
    return a @ b


def add_lora(
    params: Params, key: PRNGKeyArray, *, vlm_rank: int = 16, action_rank: int = 32
) -> Params:
    """Add fresh LoRA leaves (the paper's ranks by default); the outputs do not change.

    Args:
        params: tree without LoRA leaves.
        key: PRNG key of `lora_a` (normal, standard deviation 0.01); `lora_b` starts at zero.
        vlm_rank: rank in the VLM expert, attention and feed-forward.
        action_rank: rank in the action expert.
    """
    sizes: Sizes = sizes_of(params)
    adapted = dataclasses.replace(
        sizes,
        vlm=dataclasses.replace(sizes.vlm, attention_rank=vlm_rank, ffn_rank=vlm_rank),
        action=dataclasses.replace(sizes.action, attention_rank=action_rank, ffn_rank=action_rank),
    )
    flat = flatten(params)
    new = {path: shape for path, shape in shapes(adapted).items() if path not in flat}
    dtype = params["PaliGemma"]["llm"]["embedder"]["input_embedding"].dtype
    for (path, shape), k in zip(new.items(), jax.random.split(key, len(new)), strict=True):
        zero = path.endswith("lora_b")
        flat[path] = jnp.zeros(shape, dtype) if zero else 0.01 * jax.random.normal(k, shape, dtype)
    return unflatten(flat)


def is_lora(path: str) -> bool:
    """Whether a '/'-joined leaf path names a LoRA leaf."""
    return path.endswith(("lora_a", "lora_b"))
