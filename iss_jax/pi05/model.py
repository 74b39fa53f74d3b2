"""The forward pass of π0.5 and π0: observation and flow noise -> action chunk.

The two differ in the suffix alone. π0.5 reads the state in its prompt and the flow time through
adaRMS. π0 reads the state as a token of its own, which does not see the actions, and mixes the time
into every action token. The leaves tell which one a tree is.
"""

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
    """Embedded images and prompt, and the state that π0 reads beside them (`state_of`)."""

    tokens: Float[Array, "b s w"]
    mask: Bool[Array, "b s"]
    state: Float[Array, "b A"] | None = None


def compute_dtype(params: Params) -> jnp.dtype:
    """The dtype a tree computes in unless told otherwise: that of its embedding table."""
    return jnp.dtype(params["PaliGemma"]["llm"]["embedder"]["input_embedding"].dtype)


def reads_state(params: Params) -> bool:
    """Whether a tree is a π0, which reads the state as a token."""
    return "state_proj" in params


def state_of(
    params: Params, state: Float[Array, "b s"], rows: int | None = None
) -> Float[Array, "b A"] | None:
    """The state as π0's token reads it, zeros up to the action dimensions; None for π0.5.

    Args:
        params: the tree.
        state: normalised.
        rows: how many there are to be; any number when None.

    Raises:
        ValueError: it has another number of axes or rows, no dimension or more than there are.
    """
    if not reads_state(params):
        return None
    wanted = params["state_proj"]["kernel"].shape[0]
    fits = state.ndim == 2 and rows in (None, state.shape[0]) and 1 <= state.shape[1] <= wanted
    if not fits:
        given = "b" if rows is None else rows
        raise ValueError(
            f"obs.state: got shape {list(state.shape)}, wanted [{given}, s], s from 1 to {wanted}"
        )
    return jnp.pad(state.astype(jnp.float32), ((0, 0), (0, wanted - state.shape[1])))


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
    rows = obs.tokenized_prompt.shape[0]
    state = state_of(params, jnp.asarray(obs.state), rows) if reads_state(params) else None
    return Prefix(jnp.concatenate(tokens, axis=1), jnp.concatenate(masks, axis=1), state)


def prefill(params: Params, prefix: Prefix, sampling: Sampling = Sampling()) -> Cache:
    """Fill the KV cache from the prefix and the state; the cache's dtype is the prefix's."""
    cache = gemma.prefill(
        params["PaliGemma"]["llm"],
        prefix.tokens,
        prefix.mask,
        last_layer_keys_only=sampling.savings.last_layer_keys_only,
        rematerialise=sampling.rematerialise,
    )
    return with_state(params, cache, prefix)


def with_state(params: Params, cache: Cache, prefix: Prefix) -> Cache:
    """The cache of a prefix, of a π0 with the state's keys and values behind it.

    Every denoising step reads the same ones, since the state does not see the actions.

    Raises:
        ValueError: the tree is a π0 and the prefix has no state.
    """
    if not reads_state(params):
        return cache
    if prefix.state is None:
        raise ValueError("prefix.state: a π0 reads the state, and None was given")
    token = _linear(params["state_proj"], prefix.state)[:, None].astype(cache.k.dtype)
    return gemma.extended(params["PaliGemma"]["llm"], cache, prefix.mask, token)


def time_embedding(time: Float[Array, " c"], width: int) -> Float[Array, "c w"]:
    """Flow time in [0, 1] as sines and cosines."""
    fraction = jnp.linspace(0.0, 1.0, width // 2, dtype=jnp.float32)
    period = MIN_PERIOD * (MAX_PERIOD / MIN_PERIOD) ** fraction
    # Angles reach 1,570 rad, where float32 resolves 1e-4: this order of operations is the
    # reference's.
    angles = time.astype(jnp.float32)[:, None] * (1.0 / period * 2.0 * jnp.pi)[None]
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


def time_condition(params: Params, time: Float[Array, " c"]) -> Float[Array, "c w"]:
    """Flow time in [0, 1] -> π0.5's adaRMS condition (two swish layers)."""
    x = time_embedding(time, params["time_mlp_in"]["kernel"].shape[0])
    for name in ("time_mlp_in", "time_mlp_out"):
        x = jax.nn.swish(_linear(params[name], x))
    return x


def embed_actions(
    params: Params, x_t: Float[Array, "b H A"], time: Float[Array, " c"]
) -> tuple[Float[Array, "b H w"], Float[Array, "c w"] | None]:
    """Noisy actions as tokens, and π0.5's adaRMS condition; π0 has the time in its tokens."""
    tokens = _linear(params["action_in_proj"], x_t)
    if not reads_state(params):
        return tokens, time_condition(params, time)
    times = time_embedding(time, tokens.shape[-1])[:, None]
    tokens = jnp.concatenate([tokens, jnp.broadcast_to(times, tokens.shape)], axis=-1)
    hidden = jax.nn.swish(_linear(params["action_time_mlp_in"], tokens))
    return _linear(params["action_time_mlp_out"], hidden), None


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
    tokens, condition = embed_actions(params, x_t, time)
    tokens = tokens.astype(cache.k.dtype)
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
    # These projections follow their inputs: float32 with float32, never below.
    wide = jnp.float32 in (x.dtype, leaf["kernel"].dtype)
    dtype = jnp.float32 if wide else x.dtype
    bias = leaf["bias"].astype(dtype).reshape((1,) * (x.ndim - 1) + (-1,))
    return x.astype(dtype) @ leaf["kernel"].astype(dtype) + bias
