"""π0.5's forward pass: observation and flow noise -> action chunk, and the flow-matching loss."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from iss_jax.pi05 import gemma, siglip
from iss_jax.pi05.gemma import Cache
from iss_jax.pi05.observation import VIEWS, Observation, require_prompt
from iss_jax.pi05.params import Params
from iss_jax.sampling import Sampling

MIN_PERIOD, MAX_PERIOD = 4e-3, 4.0


class Prefix(NamedTuple):
    """Embedded images and prompt."""

    tokens: Float[Array, "b s w"]
    mask: Bool[Array, "b s"]


def compute_dtype(params: Params) -> jnp.dtype:
    """The dtype a tree computes in unless told otherwise: that of its embedding table."""
    return jnp.dtype(params["PaliGemma"]["llm"]["embedder"]["input_embedding"].dtype)


def embed_images(
    params: Params,
    images: Float[Array, "b h w 3"],
    sampling: Sampling = Sampling(),
) -> Float[Array, "b t w"]:
    """One view's images -> prefix tokens."""
    dtype = sampling.resolved(compute_dtype(params)).dtype
    img = params["PaliGemma"]["img"]
    return siglip.encode(img, images, dtype, rematerialise=sampling.rematerialise).tokens


def embed_prompt(
    params: Params, tokens: Int[Array, "b l"], sampling: Sampling = Sampling()
) -> Array:
    """Prompt ids -> prefix tokens: table rows times √width."""
    table = params["PaliGemma"]["llm"]["embedder"]["input_embedding"]
    dtype = sampling.resolved(compute_dtype(params)).dtype
    scale = jnp.sqrt(jnp.float32(table.shape[-1])).astype(table.dtype)
    return (table[tokens] * scale).astype(dtype)


def embed_prefix(params: Params, obs: Observation, sampling: Sampling = Sampling()) -> Prefix:
    """Embed a preprocessed observation: its views in the order of `VIEWS`, then the prompt."""
    require_prompt(obs)
    assert obs.tokenized_prompt is not None and obs.tokenized_prompt_mask is not None
    tokens, masks = [], []
    for view in (view for view in VIEWS if view in obs.images):
        embedded = embed_images(params, obs.images[view], sampling)
        tokens.append(embedded)
        masks.append(jnp.broadcast_to(obs.image_masks[view][:, None], embedded.shape[:2]))
    tokens.append(embed_prompt(params, obs.tokenized_prompt, sampling))
    masks.append(obs.tokenized_prompt_mask)
    return Prefix(jnp.concatenate(tokens, axis=1), jnp.concatenate(masks, axis=1))


def prefill(params: Params, prefix: Prefix, sampling: Sampling = Sampling()) -> Cache:
    """Fill the KV cache from the prefix; the cache's dtype is the prefix's."""
    return gemma.prefill(
        params["PaliGemma"]["llm"],
        prefix.tokens,
        prefix.mask,
        last_layer_keys_only=sampling.savings.last_layer_keys_only,
        rematerialise=sampling.rematerialise,
    )


def time_condition(params: Params, time: Float[Array, " c"]) -> Float[Array, "c w"]:
    """Flow time in [0, 1] -> adaRMS condition (sine-cosine embedding, two swish layers)."""
    width = params["time_mlp_in"]["kernel"].shape[0]
    fraction = jnp.linspace(0.0, 1.0, width // 2, dtype=jnp.float32)
    period = MIN_PERIOD * (MAX_PERIOD / MIN_PERIOD) ** fraction
    # Angles reach 1,570 rad, where float32 resolves 1e-4: this order of operations is the
    # reference's.
    angles = time.astype(jnp.float32)[:, None] * (1.0 / period * 2.0 * jnp.pi)[None]
    x = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    for name in ("time_mlp_in", "time_mlp_out"):
        x = jax.nn.swish(_linear(params[name], x))
    return x


def velocity(
    params: Params,
    cache: Cache,
    prefix_mask: Bool[Array, "b s"],
    x_t: Float[Array, "b H A"],
    time: Float[Array, " c"],
) -> Float[Array, "b H A"]:
    """The flow's velocity at x_t = t·noise + (1 − t)·action; its target is noise − action.

    Args:
        params: the tree.
        cache: from `prefill`; its dtype is the compute dtype.
        prefix_mask: validity of the prefix tokens.
        x_t: noisy actions, float32.
        time: flow time, one an example or one for the whole batch.
    """
    tokens = _linear(params["action_in_proj"], x_t).astype(cache.k.dtype)
    condition = time_condition(params, time)
    out = gemma.suffix(params["PaliGemma"]["llm"], cache, prefix_mask, tokens, condition)
    return _linear(params["action_out_proj"], out)


def denoise(
    params: Params,
    cache: Cache,
    prefix_mask: Bool[Array, "b s"],
    noise: Float[Array, "b H A"],
    sampling: Sampling = Sampling(),
) -> Float[Array, "b H A"]:
    """Integrate the flow from noise (t = 1) to actions (t = 0) in equal Euler steps.

    Args:
        params: the tree.
        cache: from `prefill`.
        prefix_mask: validity of the prefix tokens.
        noise: standard normal.
        sampling: its steps, its saving `modulate_once`, and whether a derivative computes each step
            again; the dtype is the cache's.
    """
    dt = -1.0 / sampling.num_steps
    times = 1 if sampling.savings.modulate_once else noise.shape[0]

    def step(carry, _):
        x_t, time = carry
        v = velocity(params, cache, prefix_mask, x_t, jnp.broadcast_to(time[None], (times,)))
        return (x_t + dt * v.astype(jnp.float32), time + dt), None

    if sampling.rematerialise:
        step = jax.checkpoint(step, prevent_cse=False)
    start = (noise.astype(jnp.float32), jnp.ones((), jnp.float32))
    (actions, _), _ = jax.lax.scan(step, start, None, length=sampling.num_steps)
    return actions


def sample_actions(
    params: Params,
    obs: Observation,
    noise: Float[Array, "b H A"],
    sampling: Sampling = Sampling(),
) -> Float[Array, "b H A"]:
    """Sample one action chunk an observation.

    Args:
        params: nested dict, with or without LoRA leaves (`params.as_params` makes one).
        obs: preprocessed observation (`observation.preprocess`). A view it does not hold takes no
            tokens, which equals one whose mask is False.
        noise: standard normal, float32; its H is the action horizon.
        sampling: steps, dtype, rematerialisation, and the savings of the last prefix layer and of
            the modulation; with `Savings.none()` all is computed that openpi's plain pass computes.

    Returns:
        Actions in the policy's normalised space, float32.
    """
    prefix = embed_prefix(params, obs, sampling)
    cache = prefill(params, prefix, sampling)
    return denoise(params, cache, prefix.mask, noise, sampling)


def _linear(leaf: dict[str, Any], x: Array) -> Array:
    # These four projections follow their inputs: float32 with float32, never below.
    wide = jnp.float32 in (x.dtype, leaf["kernel"].dtype)
    dtype = jnp.float32 if wide else x.dtype
    bias = leaf["bias"].astype(dtype).reshape((1,) * (x.ndim - 1) + (-1,))
    return x.astype(dtype) @ leaf["kernel"].astype(dtype) + bias
