"""Pictures of an explained episode show what they say."""

import types

import numpy as np

from experiments.explain.files import draw_overlays, upsampled
from iss_jax.viz.overlays import CRITICAL_OUTLINE


def test_the_white_outline_encloses_the_most_salient_pixels():
    """Two cells side by side: saliency rises between their centres, columns 80 and 240 of 320.

    The highest quarter of the pixels is all that lies right of 240, in the rows that are picture.
    """
    inside = np.zeros((1, 320, 320), bool)
    inside[:, 40:280] = True
    seen = types.SimpleNamespace(
        images={"front": np.zeros((1, 320, 320, 3), np.uint8)},
        regions={"front": np.zeros((1, 320, 320), np.uint8)},
        valid={"front": inside},
    )
    cells = np.array([[[[0.0, 1.0]]]], np.float32)
    found = types.SimpleNamespace(seen=seen, cells=cells, percents=(25,))
    maps = {"front": np.where(inside, upsampled(cells[:, 0], (320, 320)), 0.0)}
    drawn = draw_overlays(found, maps)["front"][0]
    wanted = np.zeros((320, 320), bool)
    wanted[40:280, 240] = True
    wanted[[40, 279], 240:] = True
    np.testing.assert_array_equal((drawn == CRITICAL_OUTLINE).all(-1), wanted)
