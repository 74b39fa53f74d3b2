"""Interventional saliency of a π0-FAST: how far the distribution of its action tokens moves.

The policy answers in tokens, so that the paper's own divergence can be computed (Eq. 6): of each
token of the greedy answer to the unmasked frames, KL(p(· | frames, tokens before) ‖ p(· | masked
frames, tokens before)). Their sum is the KL of answers along that one. No squared error stands in
for it, and nothing is decoded but once.
"""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from iss_jax import sharding
from iss_jax.config import ISSConfig
from iss_jax.effects_config import EffectsConfig
from iss_jax.keys import batch_key
from iss_jax.masked_runs import check_masks, draw_masks, masked_saliency
from iss_jax.pi0_fast import model
from iss_jax.pi0_fast.observation import FastInputs, fast_inputs, fitted_frames
from iss_jax.pi0_fast.params import fast_sizes_of
from iss_jax.pi05.model import compute_dtype
from iss_jax.pi05.params import Params
from iss_jax.pi05.prepare import checked_valid, picture_pixels
from iss_jax.results import Saliency
from iss_jax.sampling import Sampling

# An answer is cut to a multiple of this: its length varies from frame to frame, and every length is
# a compilation.
ANSWER_MULTIPLE = 16
NO_TOKEN = -1


def check_whole_tokens(config: ISSConfig | EffectsConfig) -> None:
    """Says that parts of a chunk were asked for, which an answer in tokens has not.

    Raises:
        ValueError: Dimensions, weights or a horizon.
    """
    if (config.action_dims, config.action_weights, config.horizon) != (None, None, None):
        raise ValueError(
            "config.action_dims, action_weights, horizon: a π0-FAST's effect is of whole answers, "
            "whose tokens are no steps and have no dimensions; wanted None"
        )


class Question(NamedTuple):
    """What masked copies of one observation share.

    Attributes:
        present: View -> whether it is there.
        prompt: Ids.
        prompt_mask: Valid ones.
        causal: openpi's `token_ar_mask`.
        answer: The greedy answer to the unmasked frames.
        weight: Of each of its tokens; 0 behind its end.
        wanted: Logits of the unmasked frames.
    """

    present: dict[str, Bool[Array, ""]]
    prompt: Int[Array, " l"]
    prompt_mask: Bool[Array, " l"]
    causal: Int[Array, " l"]
    answer: Int[Array, " t"]
    weight: Float[Array, " t"]
    wanted: Float[Array, "t v"]


def fast_saliency(
    params: Params,
    obs: Any,
    *,
    key: Any,
    config: ISSConfig,
    masks: Any,
    mesh: jax.sharding.Mesh | None,
    valid: Any,
    sampling: Sampling,
) -> Saliency:
    """`iss_jax.saliency` of a π0-FAST; arguments and errors are documented there.

    Returns:
        `Saliency`. Effects are nats: their mean over the tokens of the answer, or their sum.
        `actions` [b, t, 1] are the ids of the greedy answer, -1 behind its end.
    """
    sizes = fast_sizes_of(params)
    check_whole_tokens(config)
    if config.noise_draws != 1:
        raise ValueError(
            f"config.noise_draws: {config.noise_draws} given, a π0-FAST draws no noise; 1 wanted"
        )
    valid = checked_valid(valid, obs.images)
    inputs = fast_inputs(obs, sizes.vocab, trim=sampling.savings.trim_prompt)
    batch = inputs.prompt.shape[0]
    config = config.resolved(differentiable=True)
    if masks is None:
        masks = draw_masks(batch_key(key, batch), len(inputs.images), config)
    masks = jnp.asarray(masks)
    check_masks(masks, tuple(inputs.images), batch, config)
    sampling = sampling.resolved(compute_dtype(params))
    size = sizes.image.image_size
    answer, counted = counted_answer(params, inputs, size, sampling)
    arrays = (params, inputs, answer, counted, masks, valid)
    if mesh is not None:
        arrays = sharding.replicate(arrays, mesh)
    return _saliency(*arrays, config=config, mesh=mesh, image_size=size, sampling=sampling)


@partial(jax.jit, static_argnames=("image_size", "sampling"))
def greedy_answer(
    params: Params, inputs: FastInputs, image_size: int, sampling: Sampling
) -> Int[Array, "b t"]:
    """What a π0-FAST answers at temperature 0, `sampling.answer_tokens` long.

    Args:
        params: the tree.
        inputs: from `fast_inputs`.
        image_size: the model's, pixels.
        sampling: its dtype and number of tokens.
    """
    frames = fitted_frames(inputs.images, image_size)
    embedded = model.embed_inputs(
        params,
        frames,
        inputs.image_masks,
        inputs.prompt,
        inputs.prompt_mask,
        inputs.causal,
        sampling,
    )
    return model.decode(params, model.prefill(params, embedded), sampling.answer_tokens)


@partial(jax.jit, static_argnames=("config", "mesh", "image_size", "sampling"))
def _saliency(
    params: Params,
    inputs: FastInputs,
    answer: Int[Array, "b t"],
    counted: Bool[Array, "b t"],
    masks: Array,
    valid: dict[str, Array],
    *,
    config: ISSConfig,
    mesh: jax.sharding.Mesh | None,
    image_size: int,
    sampling: Sampling,
) -> Saliency:
    views = tuple(inputs.images)
    frames = fitted_frames(inputs.images, image_size)
    picture = picture_pixels(inputs.images, valid, views, image_size)
    weight = token_weights(counted, config.reduction)
    found = masked_saliency(
        partial(distances, sampling=sampling),
        params,
        asked(params, inputs, frames, answer, weight, sampling),
        frames,
        masks,
        inputs.image_masks,
        picture,
        config,
        mesh,
        sampling.savings,
    )
    return dataclasses.replace(
        found, actions=as_actions(answer, counted), unit=kl_unit(config.reduction)
    )


def token_weights(counted: Bool[Array, "b t"], reduction: str) -> Float[Array, "b t"]:
    """What each token's KL counts, where the engine takes the mean or the sum over all of them."""
    weight = counted.astype(jnp.float32)
    if reduction == "sum":
        return weight
    # Some of the tokens stand behind the answer's end.
    return weight * (counted.shape[1] / weight.sum(1, keepdims=True))


def as_actions(answer: Int[Array, "b t"], counted: Bool[Array, "b t"]) -> Float[Array, "b t 1"]:
    """An answer in the place of a chunk of actions: ids of its tokens, -1 behind its end."""
    return jnp.where(counted, answer, NO_TOKEN).astype(jnp.float32)[..., None]


def kl_unit(reduction: str) -> str:
    """What an effect is, in words."""
    kind = "mean over tokens" if reduction == "mean" else "sum"
    return f"KL of action tokens, nats, {kind}"


def counted_answer(
    params: Params, inputs: FastInputs, image_size: int, sampling: Sampling
) -> tuple[Int[Array, "b t"], Bool[Array, "b t"]]:
    """The greedy answer and which of its tokens count; where they are known, little behind them."""
    answer = greedy_answer(params, inputs, image_size, sampling)
    counted = model.answered(answer)
    if isinstance(counted, Tracer):
        return answer, counted
    longest = int(np.asarray(counted).sum(1).max())
    length = min(-(-longest // ANSWER_MULTIPLE) * ANSWER_MULTIPLE, answer.shape[1])
    return answer[:, :length], counted[:, :length]


def asked(
    params: Params,
    inputs: FastInputs,
    frames: dict[str, Float[Array, "b h w 3"]],
    answer: Int[Array, "b t"],
    weight: Float[Array, "b t"],
    sampling: Sampling,
) -> Question:
    """What altered copies of each observation share, with axis b.

    Args:
        params: the tree.
        inputs: from `fast_inputs`.
        frames: unmasked, at the model's size.
        answer: greedy.
        weight: from `token_weights`.
        sampling: its dtype and rematerialisation.
    """
    logits = partial(_answer_logits, params, sampling=sampling)
    given = (inputs.image_masks, inputs.prompt, inputs.prompt_mask, inputs.causal, answer)
    wanted = jax.lax.map(
        lambda one: logits(jax.tree.map(lambda leaf: leaf[None], one[0]), *one[1:])[0],
        (frames, *given),
    )
    return Question(*given, weight, wanted)


def _answer_logits(
    params: Params,
    rows: dict[str, Float[Array, "n h w 3"]],
    present: dict[str, Bool[Array, ""]],
    prompt: Int[Array, " l"],
    prompt_mask: Bool[Array, " l"],
    causal: Int[Array, " l"],
    answer: Int[Array, " t"],
    *,
    sampling: Sampling,
) -> Float[Array, "n t v"]:
    """Logits of an answer's tokens on copies of one observation's frames."""
    count = next(iter(rows.values())).shape[0]

    def copies(array: Array) -> Array:
        return jnp.broadcast_to(array[None], (count, *array.shape))

    inputs = model.embed_inputs(
        params,
        rows,
        {view: copies(there) for view, there in present.items()},
        copies(prompt),
        copies(prompt_mask),
        copies(causal),
        sampling,
    )
    return model.answer_logits(params, model.prefill(params, inputs), copies(answer))


def distances(
    params: Params,
    example: Question,
    rows: dict[str, Float[Array, "n h w 3"]],
    *,
    sampling: Sampling,
) -> Float[Array, "n 1 t 1"]:
    """Roots of each token's KL, whose squares the engine sums: 0 on the unmasked frames.

    Args:
        params: the tree.
        example: one observation's.
        rows: copies of its frames.
        sampling: its dtype and rematerialisation.
    """
    given = _answer_logits(
        params,
        rows,
        example.present,
        example.prompt,
        example.prompt_mask,
        example.causal,
        example.answer,
        sampling=sampling,
    )
    kl = model.token_kl(example.wanted[None], given) * example.weight[None]
    # Rounding may leave a little below 0. The root has no derivative at 0; NaN stays what it is.
    kl = jnp.maximum(kl, 0.0)
    still = kl == 0.0
    return jnp.where(still, 0.0, jnp.sqrt(jnp.where(still, 1.0, kl)))[:, None, :, None]
