"""Frames as pictures: uint8, and large enough for thin outlines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8

from iss_jax.viz.overlays import magnify

PIXELS = 320  # height that frames are magnified to, at least


def displayed(frames: Mapping[str, Any]) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """View -> frame as uint8.

    uint8 frames are taken as they are. Floats are in [0, 1], [-1, 1] or [0, 255]: the first of
    these that holds the frames of all views.

    >>> import numpy as np
    >>> found = displayed({"front": np.full((1, 1, 3), -1.0), "wrist": np.ones((1, 1, 3))})
    >>> found["front"].ravel().tolist()
    [0, 0, 0]

    Raises:
        ValueError: Floats that lie in none of them.
    """
    arrays = {view: np.asarray(frame) for view, frame in frames.items()}
    if all(frame.dtype == np.uint8 for frame in arrays.values()):
        return arrays
    arrays = {view: frame.astype(np.float32) for view, frame in arrays.items()}
    low = min(float(frame.min()) for frame in arrays.values())
    high = max(float(frame.max()) for frame in arrays.values())
    for start, end in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        scale = 255.0 / (end - start)
        # Within rounding: uint8 frames brought to [-1, 1] may end just outside.
        if start <= low + 0.1 / scale and high - 0.1 / scale <= end:
            return {
                view: np.clip(np.round((frame - start) * scale), 0, 255).astype(np.uint8)
                for view, frame in arrays.items()
            }
    raise ValueError(
        f"frames lie in [{low:g}, {high:g}], wanted [0, 1], [-1, 1] or [0, 255] to be shown"
    )


def factor(height: int) -> int:
    """By how much a frame of this height is magnified.

    >>> factor(80), factor(224), factor(400)
    (4, 2, 1)
    """
    return max(1, -(-PIXELS // height))


def magnified(frame: Shaped[np.ndarray, "h w *c"]) -> Shaped[np.ndarray, "H W *c"]:
    """A frame at `PIXELS` at least, pixel by pixel."""
    return magnify(frame, factor(frame.shape[0]))
