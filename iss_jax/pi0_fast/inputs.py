"""From what a dataset holds to what a π0-FAST takes; its text is openpi's, which no module does."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from iss_jax.checks import check_text
from iss_jax.few import few
from iss_jax.pi0_fast.observation import FAST_VIEWS, FastObservation
from iss_jax.pi05.normalize import NormStats, normalize
from iss_jax.pi05.observation import VIEWS
from iss_jax.pi05.tokenizer import state_bins


def fast_prompt_text(prompt: str, state: Any) -> str:
    r"""The text that a π0-FAST reads: task in lower case, and discrete state.

    >>> fast_prompt_text("Pick up_the milk ", [0.0, 1.0])
    'Task: pick up the milk, State: 128 255;\n'

    Args:
        prompt: The instruction.
        state: [s], normalised.

    Raises:
        ValueError: The prompt is no text.
    """
    task = check_text("prompt", prompt).lower().strip().replace("_", " ")
    return f"Task: {task}, State: {' '.join(map(str, state_bins(state)))};\n"


def views_of(cameras: Mapping[str, str]) -> tuple[str, ...]:
    """The views of a robot's policy in their order: openpi's of π0-FAST where all are, else π0.5's.

    >>> views_of({"base_0_rgb": "front", "wrist_0_rgb": "wrist"})
    ('base_0_rgb', 'base_1_rgb', 'wrist_0_rgb')
    """
    return FAST_VIEWS if set(cameras) <= set(FAST_VIEWS) and len(cameras) > 1 else VIEWS


def fast_observation(
    images: Mapping[str, Any],
    state: Any,
    prompts: Sequence[str],
    *,
    tokenizer: Any,
    norm_stats: Mapping[str, NormStats],
    max_token_len: int,
    cameras: Mapping[str, str],
) -> FastObservation:
    """A batch of camera frames, robot states and instructions.

    A view without a camera is black and not masked out, as openpi's transforms have it.

    Args:
        images: Camera -> uint8 [b, h, w, 3].
        state: [b, s] in robot units.
        prompts: b instructions.
        tokenizer: Sentencepiece model.
        norm_stats: {"state": ...}.
        max_token_len: Prompts are padded to this.
        cameras: View -> camera of the views that have one.

    Raises:
        ValueError: No camera is there, a prompt is no text, or it is longer than `max_token_len`.
    """
    present = {view: images[camera] for view, camera in cameras.items() if camera in images}
    if not present:
        raise ValueError(f"images: has {few(sorted(images))}, wanted {sorted(cameras.values())}")
    state = normalize(state, norm_stats["state"], "quantiles")
    tokens = np.zeros((len(prompts), max_token_len), np.int32)
    valid = np.zeros(tokens.shape, bool)
    for row, (prompt, own) in enumerate(zip(prompts, state, strict=True)):
        ids = tokenizer.encode(fast_prompt_text(prompt, own), add_bos=True)
        if len(ids) > max_token_len:
            raise ValueError(
                f"prompts[{row}]: {prompt!r} and its state are {len(ids)} tokens, at most "
                f"{max_token_len} wanted (max_token_len)"
            )
        tokens[row, : len(ids)], valid[row, : len(ids)] = ids, True
    blank = jnp.zeros(next(iter(present.values())).shape, jnp.uint8)
    views = views_of(cameras)
    return FastObservation(
        images={v: jnp.asarray(present[v]) if v in present else blank for v in views},
        image_masks={view: jnp.ones(len(prompts), bool) for view in views},
        state=jnp.asarray(state, jnp.float32),
        tokenized_prompt=jnp.asarray(tokens),
        tokenized_prompt_mask=jnp.asarray(valid),
    )
