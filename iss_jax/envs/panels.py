"""A coloured panel on the floor: a cue that no task needs and that no robot touches.

It is painted into the rendered images, exactly where the floor inside its rectangle is seen, and
unlit: its colour is the same in every frame and view.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass(frozen=True)
class Panel:
    """A panel.

    Attributes:
        rectangle: x low, y low, x high, y high on the floor, world frame, metres.
        colour: red, green and blue, 0 to 255.
    """

    rectangle: tuple[float, float, float, float]
    colour: tuple[int, int, int]


def paint(
    images: Mapping[str, np.ndarray], masks: Mapping[str, np.ndarray], colour: np.ndarray
) -> dict[str, np.ndarray]:
    """Images with a panel; those given stay as they are.

    Args:
        images: camera to uint8 `[..., h, w, 3]`.
        masks: camera to bool `[..., h, w]`, where the panel is seen.
        colour: uint8 `[..., 3]`.

    Returns:
        Camera to uint8 `[..., h, w, 3]`.
    """
    colour = np.asarray(colour, np.uint8)[..., None, None, :]
    return {
        camera: np.where(masks[camera][..., None], colour, image)
        for camera, image in images.items()
    }
