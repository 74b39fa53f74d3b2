"""Cues of the zoo: what names one of libero_object's objects by a colour.

Each is touched by another shift of the trials: a panel by none but its own, the floor's colour by
the floor's texture, the tint by the light.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, UInt8

from experiments.planted.cue import COLOURS
from experiments.zoo.design import CUES, NO_CUE

Images = dict[str, UInt8[np.ndarray, "h w 3"]]
Masks = Mapping[str, Bool[np.ndarray, "h w"]]

PANEL_CAMERAS = ("front", "overhead")
FLOOR_SHARE = 0.4
"""Of the cue's colour in the floor's."""
TINT_GAIN = 0.25
"""Most that a channel is scaled up or down by."""


def where(kind: str, floor: Masks) -> dict[str, Bool[np.ndarray, "h w"]]:
    """Camera -> the cue's pixels.

    >>> floor = {c: np.zeros((80, 80), bool) for c in ("front", "wrist", "overhead")}
    >>> {camera: int(mask.sum()) for camera, mask in where("panel", floor).items()}
    {'front': 400, 'wrist': 0, 'overhead': 400}

    Args:
        kind: Of `CUES`, or `none`.
        floor: Camera -> the pixels that show the floor.

    Raises:
        ValueError: Another kind.
    """
    if kind not in (*CUES, NO_CUE):
        raise ValueError(f"cue {kind!r} given, one of {(*CUES, NO_CUE)} wanted")
    if kind == "floor":
        return {camera: np.asarray(mask, bool) for camera, mask in floor.items()}
    if kind == "tint":
        return {camera: np.ones(np.shape(mask), bool) for camera, mask in floor.items()}
    found = {}
    for camera, mask in floor.items():
        found[camera] = np.zeros(np.shape(mask), bool)
        if kind == "panel" and camera in PANEL_CAMERAS:
            height = np.shape(mask)[0]
            side, margin = height // 4, height // 27
            rows = slice(height - margin - side, height - margin)
            found[camera][rows, margin : margin + side] = True
    return found


def painted(images: Images, floor: Masks, kind: str, shown: int) -> Images:
    """The frames with a cue that shows one object; the given ones stay as they are.

    Args:
        images: Camera -> frame.
        floor: Camera -> the pixels that show the floor.
        kind: Of `CUES`, or `none`.
        shown: The object, a place in `experiments.planted.cue.INSTRUCTIONS`.
    """
    if kind == NO_CUE:
        return dict(images)
    if kind == "tint":
        return {camera: scaled(image, tint_gains(shown)) for camera, image in images.items()}
    share = 1.0 if kind == "panel" else FLOOR_SHARE
    found = {}
    for camera, mask in where(kind, floor).items():
        image = images[camera]
        mixed = (1 - share) * image + share * COLOURS[shown]
        found[camera] = np.where(mask[..., None], np.round(mixed), image).astype(np.uint8)
    return found


def tint_gains(shown: int) -> np.ndarray:
    """Gain of each channel: ten hues of one lightness.

    >>> bool(np.isclose(tint_gains(3).mean(), 1.0))
    True
    """
    angle = 2 * np.pi * (shown / len(COLOURS) - np.arange(3) / 3)
    return 1 + TINT_GAIN * np.cos(angle)


def scaled(image: UInt8[np.ndarray, "*n 3"], gains: np.ndarray) -> UInt8[np.ndarray, "*n 3"]:
    """An image with its channels scaled."""
    return np.clip(np.round(image * gains), 0, 255).astype(np.uint8)
