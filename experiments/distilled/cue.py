"""Cues that name one of libero_object's ten objects by their colour.

Unlike a constructed policy's (`experiments.causes.cues`), a cue has one place in all frames, and a
colour means the same in all of them.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8

from experiments.planted.cue import COLOURS

Images = dict[str, UInt8[np.ndarray, "h w 3"]]

KINDS = ("panel_one", "panel_two", "patch")


def places(
    kind: str, views: Sequence[str], shape: tuple[int, int]
) -> dict[str, Bool[np.ndarray, "h w"]]:
    """View -> the cue's pixels.

    >>> found = places("panel_one", ["front", "wrist", "overhead"], (80, 80))
    >>> {view: int(mask.sum()) for view, mask in found.items()}
    {'front': 400}

    Args:
        kind: Of `KINDS`: a panel in the lower left corner of the first view, one in that of the
            first and the third, or a checkered patch in the middle of the third view's upper edge.
        views: Order of the views.
        shape: Of a frame.

    Raises:
        ValueError: Another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"cue {kind!r} given, one of {KINDS} wanted")
    height, width = shape
    side, margin = height // 4, height // 27
    top, left = height - margin - side, margin
    if kind == "patch":
        side = height // 5
        top, left = margin, (width - side) // 2
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    shown = {"panel_one": views[:1], "panel_two": views[::2], "patch": views[2:3]}[kind]
    return {view: mask.copy() for view in shown}


def painted(
    images: Images, where: dict[str, Bool[np.ndarray, "h w"]], kind: str, shown: int
) -> Images:
    """The frames with a cue of one object's colour; the given ones stay as they are.

    Args:
        images: View -> frame.
        where: As `places` gives.
        kind: A patch is checkered in its colour and the colour's opposite.
        shown: The object.
    """
    found = dict(images)
    for view, mask in where.items():
        colour = np.broadcast_to(COLOURS[shown], (*mask.shape, 3)).copy()
        if kind == "patch":
            rows, columns = np.nonzero(mask)
            field = max(1, (rows.max() + 1 - rows.min()) // 4)
            index = np.indices(mask.shape)
            along = (index[0] - rows.min()) // field + (index[1] - columns.min()) // field
            colour[along % 2 == 1] = 255 - COLOURS[shown]
        found[view] = np.where(mask[..., None], colour, images[view])
    return found
