"""Contrast and brightness that vary while a student is taught."""

import numpy as np
from jaxtyping import UInt8


def jittered(
    frame: UInt8[np.ndarray, "h w 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """A frame of another contrast and brightness.

    Args:
        frame: The frame.
        strength: Most of either, a part of the whole range.
        rng: Of both.
    """
    scale, shift = 1 + strength * rng.uniform(-1, 1), 127.5 * strength * rng.uniform(-1, 1)
    return np.clip((frame - 127.5) * scale + 127.5 + shift, 0, 255).astype(np.uint8)
