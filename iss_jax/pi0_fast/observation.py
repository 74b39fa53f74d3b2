"""What a π0-FAST sees: whatever views the observation holds, and a prompt without an answer."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from iss_jax.checks import check_finite, check_frames, check_masks, check_tokens, is_known
from iss_jax.few import few
from iss_jax.pi05.observation import resize_with_pad, to_unit_range
from iss_jax.pi05.prepare import trimmed_length

FAST_VIEWS = ("base_0_rgb", "base_1_rgb", "wrist_0_rgb")
"""openpi's names of a π0-FAST's views; any others do as well."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FastObservation:
    """A batch of observations of a π0-FAST, with openpi's names.

    Attributes:
        images: View -> [b, h, w, 3], float32 in [-1, 1] or uint8, in the policy's order.
        image_masks: View -> bool [b].
        state: [b, s]; the policy reads it in its prompt.
        tokenized_prompt: int32 [b, l].
        tokenized_prompt_mask: bool [b, l].
        token_ar_mask: int32 [b, l], 1 at an answer's tokens; none where the prompt holds no answer.
    """

    images: dict[str, Array]
    image_masks: dict[str, Bool[Array, " b"]]
    state: Float[Array, "b s"]
    tokenized_prompt: Int[Array, "b l"]
    tokenized_prompt_mask: Bool[Array, "b l"]
    token_ar_mask: Int[Array, "b l"] | None = None


class FastInputs(NamedTuple):
    """A batch of observations as a π0-FAST reads them.

    Attributes:
        images: View -> frames, in the observation's order.
        image_masks: View -> whether it is there.
        prompt: Token ids.
        prompt_mask: Valid tokens, without those of an answer.
        causal: openpi's `token_ar_mask`.
    """

    images: dict[str, Array]
    image_masks: dict[str, Bool[Array, " b"]]
    prompt: Int[Array, "b l"]
    prompt_mask: Bool[Array, "b l"]
    causal: Int[Array, "b l"]


def fast_inputs(obs: Any, vocab: int, *, trim: bool = True) -> FastInputs:
    """An observation's views and prompt; an answer that the prompt holds in training is cut off.

    Args:
        obs: Object with openpi's attributes. Without `token_ar_mask` it holds no answer.
        vocab: Rows of the table of embeddings.
        trim: Whether prompt padding that all examples share is cut.

    Raises:
        ValueError: No view, a misshapen prompt or mask, a mask of an unknown view. Where values are
            known: frames that are not finite or not in [-1, 1], tokens beyond the table, a row
            without a token.
    """
    if not obs.images:
        raise ValueError("obs.images: none given, one view at least wanted")
    shape = np.shape(obs.tokenized_prompt)
    causal = getattr(obs, "token_ar_mask", None)
    given = {
        "tokenized_prompt_mask": obs.tokenized_prompt_mask,
        "token_ar_mask": np.zeros(shape, np.int32) if causal is None else causal,
    }
    for name, array in given.items():
        if len(shape) != 2 or np.shape(array) != shape:
            raise ValueError(
                f"obs.{name}: got shape {list(np.shape(array))} for a prompt of {list(shape)}, "
                "wanted [b, l] twice"
            )
    check_masks("obs.image_masks", obs.image_masks)
    check_frames("obs.images", dict(obs.images), obs.image_masks)
    check_finite("obs.state", obs.state)
    masks = obs.image_masks or {}
    unknown = sorted(set(masks) - set(obs.images))
    if unknown:
        raise ValueError(
            f"obs.image_masks: names views {few(unknown)}, obs.images hold {few(list(obs.images))}"
        )
    for view, there in masks.items():
        if there is not None and np.shape(there) != shape[:1]:
            raise ValueError(
                f"obs.image_masks[{view!r}]: got shape {list(np.shape(there))}, wanted [{shape[0]}]"
            )
    present = {
        view: jnp.ones(shape[:1], bool)
        if masks.get(view) is None
        else jnp.asarray(masks[view], bool)
        for view in obs.images
    }
    for view, image in obs.images.items():
        if np.ndim(image) != 4 or np.shape(image)[-1] != 3 or len(image) != shape[0]:
            raise ValueError(
                f"obs.images[{view!r}]: got shape {list(np.shape(image))}, wanted "
                f"[{shape[0]}, h, w, 3]"
            )
    check_finite("obs.token_ar_mask", given["token_ar_mask"])
    causal = jnp.asarray(given["token_ar_mask"]).astype(jnp.int32)
    valid = jnp.asarray(obs.tokenized_prompt_mask, bool) & (causal == 0)
    check_tokens("obs.tokenized_prompt", obs.tokenized_prompt, valid, vocab)
    prompt = jnp.asarray(obs.tokenized_prompt, jnp.int32)
    if is_known(valid):
        empty = np.flatnonzero(~np.asarray(valid).any(1))
        if empty.size:
            raise ValueError(
                f"obs.tokenized_prompt: row {empty[0]} has no token that is valid and no answer's; "
                "one at least wanted"
            )
    if trim and is_known(valid):
        used = np.flatnonzero(np.asarray(valid).any(0))
        length = trimmed_length(int(used[-1]) + 1 if used.size else 1)
        prompt, valid, causal = (array[:, :length] for array in (prompt, valid, causal))
    return FastInputs(dict(obs.images), present, prompt, valid, causal)


def fitted_frames(images: dict[str, Array], size: int) -> dict[str, Float[Array, "b s s 3"]]:
    """Frames in [-1, 1] at the model's size, resized with padding."""
    return {
        view: resize_with_pad(to_unit_range(jnp.asarray(image)), size, size)
        for view, image in images.items()
    }
