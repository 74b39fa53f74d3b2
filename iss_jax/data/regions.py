"""Labels in the geometry of the policy's input."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Integer

from iss_jax.pi05.observation import label_sources


def fit_regions(
    regions: Integer[np.ndarray, "*b h w"], height: int, width: int, *, padding: int = 0
) -> tuple[Integer[np.ndarray, "*b height width"], Bool[np.ndarray, "height width"]]:
    """Brings labels to the policy's image size as `resize_with_pad` brings the images.

    Labels cannot be averaged, so every pixel takes the label of the source pixel under its centre.

    Args:
        regions: labels in the geometry of the camera, of regions or of instances.
        height: target, pixels.
        width: target, pixels.
        padding: label of the pixels that are no picture.

    Returns:
        The labels, `padding` in the padding, and which pixels are picture rather than padding.
    """
    h, w = regions.shape[-2:]
    rows, columns, from_rows, from_columns = label_sources(h, w, height, width)
    fitted = np.full((*regions.shape[:-2], height, width), padding, regions.dtype)
    fitted[..., rows, columns] = regions[..., from_rows[:, None], from_columns[None]]
    valid = np.zeros((height, width), bool)
    valid[rows, columns] = True
    return fitted, valid
