"""What the policy sees: openpi's observation, brought to the model's range and size."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from iss_jax.few import few

VIEWS = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")
"""π0.5's views, in the order of the prefix."""

DEFAULT_CAMERAS: dict[str, str] = {
    "base_0_rgb": "front",
    "left_wrist_0_rgb": "wrist",
    "right_wrist_0_rgb": "overhead",
}
"""Which camera of a dataset feeds which view."""


# Not `flax.struct`: importing flax would double the time that importing this package takes.
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Observation:
    """A batch of observations, with openpi's names.

    Attributes:
        images: view -> float32 [b, h, w, 3] in [-1, 1], or uint8.
        image_masks: view -> bool [b]; False where the view is absent.
        state: [b, s]; π0.5 reads it through the prompt only.
        tokenized_prompt: int32 [b, l].
        tokenized_prompt_mask: bool [b, l]; False at padding.
    """

    images: dict[str, Array]
    image_masks: dict[str, Bool[Array, " b"]]
    state: Float[Array, "b s"]
    tokenized_prompt: Int[Array, "b l"] | None = None
    tokenized_prompt_mask: Bool[Array, "b l"] | None = None

    def replace(self, **changes: Any) -> "Observation":
        """The same observation with other fields."""
        return dataclasses.replace(self, **changes)


def require_prompt(obs: Any) -> None:
    """Raises ValueError where an observation has no tokenised prompt, or no mask of it."""
    if obs.tokenized_prompt is None or obs.tokenized_prompt_mask is None:
        raise ValueError("obs: tokenized_prompt and tokenized_prompt_mask are needed by π0.5")


def preprocess(obs: Any, image_size: int = 224) -> Observation:
    """openpi's evaluation-time preprocessing.

    Views are taken in the order of `VIEWS`, others are dropped, uint8 pixels become x/255·2 − 1,
    and images of another size are resized with padding. A `image_size` image is unchanged.

    Args:
        obs: anything with openpi's `Observation` attributes, batched.
        image_size: the model's (`Sizes.image.image_size`), pixels.

    Raises:
        ValueError: a view, the prompt or a mask is missing or misshapen.
    """
    missing = [view for view in VIEWS if view not in obs.images]
    if missing:
        raise ValueError(
            f"obs.images: lacks {missing}; has {few(sorted(obs.images))}, wants {list(VIEWS)}"
        )
    require_prompt(obs)
    b = obs.tokenized_prompt.shape[0]
    if (
        obs.tokenized_prompt.ndim != 2
        or obs.tokenized_prompt_mask.shape != obs.tokenized_prompt.shape
    ):
        raise ValueError(
            f"obs.tokenized_prompt: got shape {obs.tokenized_prompt.shape} with mask "
            f"{obs.tokenized_prompt_mask.shape}, wanted [b, l] twice"
        )
    images, masks = {}, {}
    for view in VIEWS:
        image = jnp.asarray(obs.images[view])
        if image.ndim != 4 or image.shape[-1] != 3 or image.shape[0] != b:
            raise ValueError(
                f"obs.images[{view!r}]: got shape {image.shape}, wanted [{b}, h, w, 3]"
            )
        images[view] = resize_with_pad(to_unit_range(image), image_size, image_size)
        mask = obs.image_masks.get(view) if obs.image_masks else None
        masks[view] = jnp.ones((b,), bool) if mask is None else jnp.asarray(mask, bool)
        if masks[view].shape != (b,):
            raise ValueError(
                f"obs.image_masks[{view!r}]: got shape {masks[view].shape}, wanted [{b}]"
            )
    return Observation(
        images=images,
        image_masks=masks,
        state=jnp.asarray(obs.state),
        tokenized_prompt=jnp.asarray(obs.tokenized_prompt, jnp.int32),
        tokenized_prompt_mask=jnp.asarray(obs.tokenized_prompt_mask, bool),
    )


def to_unit_range(image: Array) -> Float[Array, "..."]:
    """uint8 x -> x/255·2 − 1 in float32; float images pass as float32."""
    if image.dtype == jnp.uint8:
        return image.astype(jnp.float32) / 255.0 * 2.0 - 1.0
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise ValueError(f"image: got dtype {image.dtype}, wanted uint8 or float in [-1, 1]")
    return image.astype(jnp.float32)


def padded_extent(height: int, width: int, to_height: int, to_width: int) -> tuple[slice, slice]:
    """Rows and columns that hold image after `resize_with_pad`; the rest is padding."""
    ratio = max(width / to_width, height / to_height)
    h, w = int(height / ratio), int(width / ratio)
    top, left = (to_height - h) // 2, (to_width - w) // 2
    return slice(top, top + h), slice(left, left + w)


def label_sources(
    height: int, width: int, to_height: int, to_width: int
) -> tuple[slice, slice, np.ndarray, np.ndarray]:
    """Where labels land that are resized as `resize_with_pad` resizes images.

    Labels cannot be averaged: every pixel takes the label of the source pixel under its centre.

    Returns:
        Rows and columns that hold picture, and the source row and column of each of them.
    """
    rows, columns = padded_extent(height, width, to_height, to_width)

    def sources(inner: slice, size: int) -> np.ndarray:
        count = inner.stop - inner.start
        return ((np.arange(count) + 0.5) * size / count).astype(np.int64)

    return rows, columns, sources(rows, height), sources(columns, width)


def resize_with_pad(images: Array, height: int, width: int) -> Array:
    """Resize without distortion (linear, antialiased) and pad centrally with black.

    Args:
        images: [b, h, w, c], uint8, or float in [-1, 1].
        height: target, pixels.
        width: target, pixels.

    Returns:
        [b, height, width, c] of the same dtype; padding is 0 (uint8) or −1 (float).
    """
    b, h, w, channels = images.shape
    if (h, w) == (height, width):
        return images
    rows, columns = padded_extent(h, w, height, width)
    shape = (b, rows.stop - rows.start, columns.stop - columns.start, channels)
    resized = jax.image.resize(images.astype(jnp.float32), shape, method="linear")
    if images.dtype == jnp.uint8:
        resized = jnp.clip(jnp.round(resized), 0, 255).astype(jnp.uint8)
        fill = 0
    else:
        resized = jnp.clip(resized, -1.0, 1.0).astype(images.dtype)
        fill = -1
    padding = (
        (0, 0),
        (rows.start, height - rows.stop),
        (columns.start, width - columns.stop),
        (0, 0),
    )
    return jnp.pad(resized, padding, constant_values=fill)
