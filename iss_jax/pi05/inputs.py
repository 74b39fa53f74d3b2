"""From what a robot or a dataset holds to what the policy takes."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from iss_jax.checks import check_text
from iss_jax.few import few
from iss_jax.pi05.normalize import NormStats, normalize
from iss_jax.pi05.observation import DEFAULT_CAMERAS, Observation
from iss_jax.pi05.tokenizer import tokenize_prompts


def make_observation(
    images: Mapping[str, Any],
    state: Any,
    prompts: Sequence[str],
    *,
    tokenizer: Any,
    norm_stats: Mapping[str, NormStats],
    max_token_len: int,
    cameras: Mapping[str, str] = DEFAULT_CAMERAS,
    discrete_state_input: bool = True,
    normalisation: str = "quantiles",
) -> Observation:
    """A batch of camera frames, robot states and instructions as the policy's observation.

    Args:
        images: camera -> [b, h, w, 3], uint8, or float in [-1, 1] as the policy takes them.
        state: [b, s] in robot units.
        prompts: b instructions.
        tokenizer: sentencepiece model.
        norm_stats: {"state": …}.
        max_token_len: prompts are padded or cut to this.
        cameras: view -> camera. A view whose camera is not in `images` is absent: zeros, mask
            False.
        discrete_state_input: False leaves the state out of the prompt (pi05_libero, π0).
        normalisation: of the state: `quantiles`, or `mean_std` as π0 has it.

    Raises:
        ValueError: none of the cameras is there, batch sizes differ, the state is not finite or has
            more dimensions than its statistics, or a prompt is no text.
    """
    prompts = [check_text(f"prompts[{i}]", prompt) for i, prompt in enumerate(prompts)]
    state = normalize(state, norm_stats["state"], normalisation)
    present = {view: images[camera] for view, camera in cameras.items() if camera in images}
    if not present:
        raise ValueError(
            f"images: has {few(sorted(images))}, wanted any of {sorted(cameras.values())}"
        )
    for view, image in present.items():
        if image.shape[0] != len(prompts) or state.shape[0] != len(prompts):
            raise ValueError(
                f"images[{cameras[view]!r}]: {image.shape[0]} frames for {state.shape[0]} states "
                f"and {len(prompts)} prompts"
            )
    shape = next(iter(present.values())).shape
    states = state if discrete_state_input else None
    tokens, mask = tokenize_prompts(tokenizer, prompts, states, max_token_len)
    return Observation(
        images={
            view: jnp.asarray(present[view]) if view in present else jnp.zeros(shape, jnp.uint8)
            for view in cameras
        },
        image_masks={view: jnp.full((shape[0],), view in present) for view in cameras},
        state=jnp.asarray(state),
        tokenized_prompt=jnp.asarray(tokens),
        tokenized_prompt_mask=jnp.asarray(mask),
    )
