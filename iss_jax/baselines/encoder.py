"""ATT and NORM, the paper's baselines: what the image encoder alone says (App. E.2, E.3)."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float

from iss_jax import masks as mask_designs
from iss_jax.baselines.explanation import (
    Explanation,
    Shape,
    checked_call,
    explanation_of,
    present_frames,
)
from iss_jax.pi05 import siglip
from iss_jax.pi05.observation import Observation
from iss_jax.pi05.params import Params
from iss_jax.sampling import Sampling


def attention(
    params: Any,
    obs: Any,
    *,
    valid: Mapping[str, Bool[Array, "b h w"]] | None = None,
    dtype: Any = None,
) -> Explanation:
    """ATT: attention that each image token receives in SigLIP's last block (App. E.2).

    Mean over heads, sum over queries, bilinear to pixels. The tokens' scores of a view have mean 1.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> from iss_jax import baselines
    >>> baselines.attention(policy.params, obs).maps["base_0_rgb"].shape
    (1, 80, 80)

    Args:
        params: openpi's parameter tree, as for `saliency`.
        obs: Batched object with openpi's `Observation` attributes.
        valid: View -> pixels that are picture, as for `saliency`.
        dtype: Compute dtype; that of the embedding table when None. The softmax is float32.

    Raises:
        ValueError: A leaf, view or array that is missing or of the wrong shape, by name.
    """
    unit = "attention received by a token, 1 on average"
    return _from_tokens(params, obs, valid, dtype, _attention_received, unit)


def token_norm(
    params: Any,
    obs: Any,
    *,
    after_head: bool = True,
    valid: Mapping[str, Bool[Array, "b h w"]] | None = None,
    dtype: Any = None,
) -> Explanation:
    """NORM: L2 norm of SigLIP's final image tokens, bilinear to pixels (App. E.3).

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> from iss_jax import baselines
    >>> baselines.token_norm(policy.params, obs).maps["base_0_rgb"].shape
    (1, 80, 80)

    Args:
        params: openpi's parameter tree, as for `saliency`.
        obs: Batched object with openpi's `Observation` attributes.
        after_head: True takes the tokens that the prefix holds, at the language model's width.
            False those before the head, which a LayerNorm has just made nearly equal in norm.
        valid: View -> pixels that are picture, as for `saliency`.
        dtype: Compute dtype; that of the embedding table when None. The norm is float32.

    Raises:
        ValueError: A leaf, view or array that is missing or of the wrong shape, by name.
    """
    score = _head_norm if after_head else _encoder_norm
    unit = f"L2 norm of a token, {'after' if after_head else 'before'} the head"
    return _from_tokens(params, obs, valid, dtype, score, unit)


TokenScore = Callable[[Params, Float[Array, "b h w 3"], jnp.dtype], Float[Array, "b t"]]


def _from_tokens(
    params: Any, obs: Any, valid: Any, dtype: Any, score: TokenScore, unit: str
) -> Explanation:
    call = checked_call(params, obs, valid, Sampling(dtype=dtype))
    image_tower = call.params["PaliGemma"]["img"]
    return _token_maps(image_tower, call.obs, call.valid, call.shape, score, unit)


@partial(jax.jit, static_argnames=("shape", "score", "unit"))
def _token_maps(
    img: Params,
    obs: Observation,
    valid: dict[str, Array],
    shape: Shape,
    score: TokenScore,
    unit: str,
) -> Explanation:
    frames = present_frames(obs, valid, shape)
    maps = {}
    for view, images in frames.obs.images.items():
        scores = score(img, images, shape.sampling.dtype)
        side = math.isqrt(scores.shape[-1])
        cells = rearrange(scores, "b (rows columns) -> b rows columns", rows=side)
        maps[view] = mask_designs.upsample(cells, (shape.image_size, shape.image_size))
    return explanation_of(maps, frames, unit)


def _attention_received(img: Params, images: Array, dtype: jnp.dtype) -> Array:
    last = jax.tree.map(lambda leaf: leaf[-1], img["Transformer"]["encoderblock"])
    block_input = siglip.encode(img, images, dtype).last_block_input
    return siglip.attention_weights(last, block_input).mean(1).sum(1)


def _head_norm(img: Params, images: Array, dtype: jnp.dtype) -> Array:
    tokens = siglip.encode(img, images, dtype).tokens
    return jnp.linalg.norm(tokens.astype(jnp.float32), axis=-1)


def _encoder_norm(img: Params, images: Array, dtype: jnp.dtype) -> Array:
    encoded = siglip.encode(img, images, dtype).encoded
    return jnp.linalg.norm(encoded.astype(jnp.float32), axis=-1)
