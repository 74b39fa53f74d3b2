"""Pictures of an explained episode show what they say."""

import types
from typing import cast

import numpy as np

from iss_jax.explain.overlays import critical_pixels, draw_overlays, saliency_of
from iss_jax.policies.frames import Seen
from iss_jax.viz.saliency_figure import CRITICAL


def test_the_outline_encloses_the_most_salient_pixels():
    """Two cells side by side: saliency rises between their centres, columns 80 and 240 of 320.

    The highest quarter of the pixels is all that lies right of 240, in the rows that are picture.
    """
    inside = np.zeros((1, 320, 320), bool)
    inside[:, 40:280] = True
    seen = cast(
        Seen,
        types.SimpleNamespace(
            images={"front": np.zeros((1, 320, 320, 3), np.uint8)},
            valid={"front": inside},
            cameras={"front": "front"},
        ),
    )
    cells = np.array([[[[0.0, 1.0]]]], np.float32)
    found = saliency_of(seen, cells, np.zeros_like(cells), np.array([0]), "action")
    regions = {"front": np.zeros((1, 320, 320), np.uint8)}
    drawn, _ = draw_overlays(found, regions, critical_pixels(found, 25))
    wanted = np.zeros((320, 320), bool)
    wanted[40:280, 240] = True
    wanted[[40, 279], 240:] = True
    np.testing.assert_array_equal((drawn["front"][0] == CRITICAL).all(-1), wanted)
