"""The sampled action chunk as a function of the frames, for baselines that differentiate it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float

from iss_jax.baselines.explanation import Call, Frames, checked_call
from iss_jax.checks import check_count
from iss_jax.pi05 import model
from iss_jax.pi05.observation import Observation
from iss_jax.pi05.params import Params, warn_if_constant
from iss_jax.pi05.prepare import flow_noise
from iss_jax.sampling import Sampling

Images = dict[str, Float[Array, "h w 3"]]
Sample = Callable[[Images], Float[Array, "draws horizon dims"]]


class Draws(NamedTuple):
    """Flow noise where none is given: how many draws, and how long a chunk."""

    count: int
    action_horizon: int | None


class Chosen(NamedTuple):
    """The entries of the action chunk that count, see `iss_jax.divergence.select`."""

    action_dims: int | tuple[int, ...] | None
    horizon: int | None


def checked_policy_call(params: Any, obs: Any, valid: Any, sampling: Sampling) -> Call:
    """`checked_call` for a baseline that runs the policy, which must not ignore its input."""
    call = checked_call(params, obs, valid, sampling)
    with jax.ensure_compile_time_eval():
        warn_if_constant(call.params)
    return call


def noise_options(noise_draws: int, action_horizon: int | None) -> Draws:
    """`Draws` of which there is at least one."""
    check_count("noise_draws", noise_draws)
    return Draws(noise_draws, action_horizon)


def chosen_entries(action_dims: int | Sequence[int] | None, horizon: int | None) -> Chosen:
    """`Chosen` that can be a static argument of a compiled function."""
    if action_dims is None or isinstance(action_dims, int):
        return Chosen(action_dims, horizon)
    return Chosen(tuple(action_dims), horizon)


def each_example(
    explain: Callable[[Sample, Images, dict[str, Array]], Any],
    params: Params,
    frames: Frames,
    noise: Float[Array, "b draws horizon dims"],
    sampling: Sampling,
) -> Any:
    """`explain(sample, images, picture)` of one example after the other, which bounds memory."""

    def one(example: tuple[Observation, dict[str, Array], Array]) -> Any:
        obs, picture, draws = example
        alone = jax.tree.map(lambda x: x[None], obs)

        def sample(images: Images) -> Array:
            rows = {view: image[None] for view, image in images.items()}
            prefix = model.embed_prefix(params, dataclasses.replace(alone, images=rows), sampling)
            cache = model.prefill(params, prefix, sampling)

            def denoise(draw: Array) -> Array:
                return model.denoise(params, cache, prefix.mask, draw[None], sampling)[0]

            return jax.lax.map(denoise, draws)

        return explain(sample, obs.images, picture)

    return jax.lax.map(one, (frames.obs, frames.picture, noise))


def drawn_noise(noise: Any, key: Array, params: Params, obs: Observation, draws: Draws) -> Array:
    """Flow noise [b, draws, horizon, dims]: that given, or that which `saliency` would draw."""
    assert obs.tokenized_prompt is not None  # `preprocess` has checked it
    batch, action_dim = obs.tokenized_prompt.shape[0], params["action_in_proj"]["kernel"].shape[0]
    return flow_noise(noise, key, batch, draws.count, draws.action_horizon, action_dim)
