"""A frame with its regions shown on it."""

import numpy as np

from iss_jax.nmr import Region
from iss_jax.viz.overlays import OUTLINES, outline


def labelled(image: np.ndarray, regions: np.ndarray, dim: float) -> np.ndarray:
    """A frame with its nuisance darkened by a factor and the other regions outlined."""
    out = image.astype(np.float32)
    out[regions == Region.NUISANCE] *= dim
    for label, colour in OUTLINES.items():
        out[outline(regions == label)] = colour
    return out.astype(np.uint8)
