"""What every analysis of a policy does first: values, prompt, views, picture, flow noise."""

import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from iss_jax.checks import check_count, check_finite, check_frames, check_masks, check_tokens
from iss_jax.few import few
from iss_jax.pi05.observation import VIEWS, Observation, padded_extent, require_prompt

ACTION_HORIZON = 50
# Steps of a chunk at most: a policy of a minute at 50 Hz has 3,000.
LONGEST = 10_000

# A prompt is trimmed to a multiple of this: its length varies from frame to frame with the state's
# digits, and every length is a compilation.
PROMPT_MULTIPLE = 16


def policy_observation(obs: Any, vocab: int, *, trim: bool = True) -> Observation:
    """openpi's observation as a pytree of this package: π0.5's views, and a trimmed prompt.

    Args:
        obs: Object with openpi's attributes.
        vocab: Rows of the policy's table of embeddings.
        trim: Whether shared prompt padding is cut.

    Raises:
        ValueError: A view is missing, or no tokenised prompt. Where values are known: frames or a
            state that are not finite, floats that are not in [-1, 1], masks that are NaN, tokens
            beyond the table.
    """
    missing = [view for view in VIEWS if view not in obs.images]
    if missing:
        raise ValueError(
            f"obs.images: lacks {missing}; has {few(sorted(obs.images))}, wants {list(VIEWS)}"
        )
    require_prompt(obs)
    shapes = [np.shape(obs.tokenized_prompt), np.shape(obs.tokenized_prompt_mask)]
    if len(shapes[0]) != 2 or shapes[0] != shapes[1]:
        raise ValueError(
            f"obs.tokenized_prompt: got shape {list(shapes[0])} with mask {list(shapes[1])}, "
            "wanted [b, l] twice"
        )
    check_masks("obs.image_masks", obs.image_masks)
    check_frames("obs.images", {view: obs.images[view] for view in VIEWS}, obs.image_masks)
    check_finite("obs.state", obs.state)
    check_tokens("obs.tokenized_prompt", obs.tokenized_prompt, obs.tokenized_prompt_mask, vocab)
    prompt, prompt_mask = obs.tokenized_prompt, obs.tokenized_prompt_mask
    if trim:
        prompt, prompt_mask = trim_prompt(prompt, prompt_mask)
    return Observation(
        images={view: image for view, image in obs.images.items() if view in VIEWS},
        image_masks={v: m for v, m in (obs.image_masks or {}).items() if v in VIEWS},
        state=obs.state,
        tokenized_prompt=prompt,
        tokenized_prompt_mask=prompt_mask,
    )


def trim_prompt(prompt: Any, mask: Any) -> tuple[Any, Any]:
    """Cuts the padding that all examples share, up to a multiple of `PROMPT_MULTIPLE` tokens.

    Traced masks are unknown, and nothing is cut.
    """
    if mask is None or isinstance(mask, Tracer) or np.ndim(mask) != 2:
        return prompt, mask
    used = np.flatnonzero(np.asarray(mask).any(0))
    longest = int(used[-1]) + 1 if used.size else 1
    length = trimmed_length(longest)
    return prompt[:, :length], mask[:, :length]


def trimmed_length(longest: int) -> int:
    """Length to which prompts are trimmed of which the longest has so many valid tokens."""
    return -(-longest // PROMPT_MULTIPLE) * PROMPT_MULTIPLE


def possible_views(obs: Observation) -> tuple[str, ...]:
    """Views that are not known to be absent from every example; all when all are."""
    return tuple(v for v in VIEWS if _may_be_present(obs.image_masks.get(v))) or VIEWS


def _may_be_present(mask: Any) -> bool:
    return mask is None or isinstance(mask, Tracer) or bool(np.asarray(mask).any())


def checked_valid(valid: Any, images: Mapping[str, Any]) -> dict[str, Bool[Array, "b h w"]]:
    """The caller's view -> pixels that are picture, as arrays.

    Raises:
        ValueError: An unknown view, a shape other than its images', or NaN.
    """
    check_masks("valid", valid)
    unknown = sorted(set(valid or {}) - set(images))
    if unknown:
        raise ValueError(f"valid names views {few(unknown)}, obs.images hold {few(sorted(images))}")
    checked = {view: jnp.asarray(inside, bool) for view, inside in (valid or {}).items()}
    for view, inside in checked.items():
        if inside.shape != images[view].shape[:3]:
            raise ValueError(
                f"valid[{view!r}] must be {list(images[view].shape[:3])} like its images, got "
                f"{list(inside.shape)}"
            )
    return checked


def picture_pixels(
    images: Mapping[str, Any], valid: dict[str, Array], views: tuple[str, ...], image_size: int
) -> dict[str, Bool[Array, "b h w"]] | None:
    """Pixels that hold picture after `preprocess`, for the views that have others."""
    picture = {}
    for view in views:
        batch, height, width = images[view].shape[:3]
        rows, columns = padded_extent(height, width, image_size, image_size)
        inside = np.zeros((image_size, image_size), bool)
        inside[rows, columns] = True
        if view in valid:
            shape = (batch, rows.stop - rows.start, columns.stop - columns.start)
            # A pixel is picture when all that the resizing blends into it is.
            share = jax.image.resize(valid[view].astype(jnp.float32), shape, method="linear")
            whole = jnp.zeros((batch, *inside.shape), bool)
            picture[view] = whole.at[:, rows, columns].set(share > 1.0 - 1e-3)
        elif not inside.all():
            picture[view] = jnp.broadcast_to(jnp.asarray(inside)[None], (batch, *inside.shape))
    return picture or None


def flow_noise(
    noise: Any, key: Array, batch: int, draws: int, action_horizon: int | None, action_dim: int
) -> Float[Array, "b draws horizon dims"]:
    """The noise given, or drawn: [b, draws, H, A] float32.

    What a frame's noise is does not depend on where it stands in the batch: all rows of one key
    have the same.

    Args:
        noise: [b, draws, H, A], or [b, H, A] of one draw; drawn when None.
        key: One key, or one a row.
        batch: b.
        draws: A row.
        action_horizon: H; openpi's default, or the noise's own, when None.
        action_dim: A.

    Raises:
        ValueError: Noise of another shape, or that is not finite.

    Warns:
        UserWarning: Noise is drawn for a horizon that nobody named.
    """
    if noise is None:
        if action_horizon is None:
            warnings.warn(
                f"action_horizon is not given, and parameters do not tell it: {ACTION_HORIZON} is "
                "taken, openpi's default. Another chunk length than the policy was trained with "
                "gives other actions, and another map",
                stacklevel=4,
            )
        horizon = ACTION_HORIZON if action_horizon is None else action_horizon
        check_count("action_horizon", horizon, most=LONGEST)
        draw = partial(jax.random.normal, shape=(draws, horizon, action_dim), dtype=jnp.float32)
        if key.ndim:
            return jax.vmap(draw)(key)
        return jnp.broadcast_to(draw(key), (batch, draws, horizon, action_dim))
    check_finite("noise", noise)
    noise = jnp.asarray(noise, jnp.float32)
    given = noise.shape
    if noise.ndim == 3:
        noise = noise[:, None]
    horizon = noise.shape[-2] if action_horizon is None else action_horizon
    if noise.shape != (batch, draws, horizon, action_dim):
        raise ValueError(
            f"noise must be [{batch}, {horizon}, {action_dim}] with noise_draws = 1, else "
            f"[{batch}, {draws}, {horizon}, {action_dim}]; got {list(given)}"
        )
    return noise
