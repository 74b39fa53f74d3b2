"""SigLIP, π0.5's image encoder: image -> tokens at the language model's width."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float


class Encoding(NamedTuple):
    """What the encoder computes on the way to its tokens."""

    tokens: Float[Array, "b t d"]
    """After the head, at the language model's width: what the prefix holds."""
    encoded: Float[Array, "b t w"]
    """After the final LayerNorm, at the encoder's width."""
    last_block_input: Float[Array, "b t w"]
    """Input of the last transformer block, from which its attention can be recomputed."""
    last_block_output: Float[Array, "b t w"]


def patch_embeddings(img: dict[str, Any], images: Float[Array, "b h w 3"]) -> Float[Array, "b t w"]:
    """Non-overlapping patches through the patch kernel, in float32 whatever the compute dtype."""
    kernel = img["embedding"]["kernel"].astype(jnp.float32)
    height, width, _, _ = kernel.shape
    patches = rearrange(
        images.astype(jnp.float32),
        "b (rows height) (columns width) c -> b (rows columns) (height width c)",
        height=height,
        width=width,
    )
    bias = img["embedding"]["bias"].astype(jnp.float32)
    return patches @ rearrange(kernel, "height width c d -> (height width c) d") + bias[None, None]


def attention_weights(
    block: dict[str, Any], x: Float[Array, "b t w"]
) -> Float[Array, "b heads t t"]:
    """Softmax attention of one encoder block, from that block's input (float32).

    Source: App. E.2 (the ATT baseline takes the last block's).
    """
    y = layer_norm(block["LayerNorm_0"], x)
    q, k, _ = _project(block["MultiHeadDotProductAttention_0"], y)
    logits = jnp.einsum("bqhd,bkhd->bhqk", q, k, preferred_element_type=jnp.float32)
    return jax.nn.softmax(logits, axis=-1)


def encode(
    img: dict[str, Any],
    images: Float[Array, "b h w 3"],
    dtype: jnp.dtype | type = jnp.float32,
    *,
    rematerialise: bool = False,
) -> Encoding:
    """Encode images.

    Args:
        img: the tree under "PaliGemma/img".
        images: pixels in [-1, 1], at the size the position table was made for.
        dtype: compute dtype after patch embedding and positions (those stay float32).
        rematerialise: whether a derivative computes each block again instead of keeping its
            activations.

    Returns:
        `Encoding`; arrays in `dtype`.
    """
    x = patch_embeddings(img, images) + img["pos_embedding"].astype(jnp.float32)
    x = x.astype(dtype)

    def step(carry, block):
        x, _ = carry
        return (_block(block, x), x), None

    if rematerialise:
        step = jax.checkpoint(step, prevent_cse=False)
    blocks = img["Transformer"]["encoderblock"]
    (x, last_input), _ = jax.lax.scan(step, (x, x), blocks)
    encoded = layer_norm(img["Transformer"]["encoder_norm"], x)
    return Encoding(_dense(img["head"], encoded), encoded, last_input, x)


def _block(block: dict[str, Any], x: Array) -> Array:
    attention = block["MultiHeadDotProductAttention_0"]
    q, k, v = _project(attention, layer_norm(block["LayerNorm_0"], x))
    weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", q, k), axis=-1)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, v)
    out = attention["out"]
    y = jnp.einsum("bqhd,hdw->bqw", mixed, out["kernel"].astype(x.dtype))
    x = x + y + out["bias"].astype(x.dtype)[None, None]
    y = layer_norm(block["LayerNorm_1"], x)
    y = jax.nn.gelu(_dense(block["MlpBlock_0"]["Dense_0"], y), approximate=True)
    return x + _dense(block["MlpBlock_0"]["Dense_1"], y)


def _project(attention: dict[str, Any], y: Array) -> tuple[Array, Array, Array]:
    def heads(name: str) -> Array:
        leaf = attention[name]
        projected = jnp.einsum("btw,whd->bthd", y, leaf["kernel"].astype(y.dtype))
        return projected + leaf["bias"].astype(y.dtype)[None, None]

    q = heads("query")
    return q * jnp.asarray(q.shape[-1] ** -0.5, q.dtype), heads("key"), heads("value")


def layer_norm(leaf: dict[str, Any], x: Array) -> Array:
    """LayerNorm with ε = 1e-6; statistics in float32, output in the input's dtype."""
    x32 = x.astype(jnp.float32)
    mean = jnp.mean(x32, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(x32 - mean), axis=-1, keepdims=True)
    normed = (x32 - mean) * jax.lax.rsqrt(variance + 1e-6)
    scale, bias = (leaf[name].astype(jnp.float32)[None, None] for name in ("scale", "bias"))
    return (normed * scale + bias).astype(x.dtype)


def _dense(leaf: dict[str, Any], x: Array) -> Array:
    return x @ leaf["kernel"].astype(x.dtype) + leaf["bias"].astype(x.dtype)[None, None]
