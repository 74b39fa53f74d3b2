"""Cues that are painted into frames, in values of which a policy may act on one.

A cue has a place and a size, drawn for each frame, and several values. The value that the frame
shows is the one that a constructed policy acts on; donors show values of their own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8

from experiments.planted.cue import COLOURS

Images = dict[str, UInt8[np.ndarray, "h w 3"]]

SIZES = ("small", "large")

# Pixels of a frame of 80.
PANEL_SIDE = {"small": 10, "large": 20}
TWO_PANELS_SIDE = {"small": 14, "large": 26}
PATCH_SIDE = {"small": 8, "large": 12}
BORDER_WIDTH = {"small": 2, "large": 4}
TINT_GAIN = {"small": 0.04, "large": 0.08}
SHADOW_LIGHT = {"small": 0.7, "large": 0.5}
MARGIN = 3

# Two colours of the checkered patch, two tones of the texture.
CHECKER = np.array([(235, 215, 40), (110, 40, 160)], np.uint8)
TONES = np.array([(180, 140, 95), (90, 60, 35)], np.uint8)
TINTS = (1.0, 0.5, 0.0, -0.5, -1.0)
HALVES = ("left", "right", "top", "bottom", "none")
# How much of instruction 1 each slot of the patch asks for.
SLOT_WEIGHTS = (1.0, 2 / 3, 1 / 3, 0.0)


class Cue(NamedTuple):
    """A cue of one frame.

    Attributes:
        kind: Of `KINDS`.
        size: Of `SIZES`.
        own: The value that the frame shows.
        values: How many there are.
        where: View -> the pixels that show the cue when its value is `own`.
        paint: Images and a value to images with that cue; the given ones stay as they are.
    """

    kind: str
    size: str
    own: int
    values: int
    where: dict[str, Bool[np.ndarray, "h w"]]
    paint: Callable[[Images, int], Images]


def panel_one(views: Sequence[str], shape: tuple[int, int], rng: np.random.Generator) -> Cue:
    """A panel of one of ten colours in a corner of one view."""
    size = SIZES[rng.integers(2)]
    where = {views[0]: _corner(shape, PANEL_SIDE[size], rng)}
    return _coloured("panel_one", size, where, rng)


def panel_two(views: Sequence[str], shape: tuple[int, int], rng: np.random.Generator) -> Cue:
    """Panels of one colour in corners of two views."""
    size = SIZES[rng.integers(2)]
    where = {view: _corner(shape, TWO_PANELS_SIDE[size], rng) for view in views[:2]}
    return _coloured("panel_two", size, where, rng)


def border(views: Sequence[str], shape: tuple[int, int], rng: np.random.Generator) -> Cue:
    """A coloured frame around one view."""
    size = SIZES[rng.integers(2)]
    width = BORDER_WIDTH[size]
    mask = np.ones(shape, bool)
    mask[width:-width, width:-width] = False
    return _coloured("border", size, {views[0]: mask}, rng)


def patch_presence(views: Sequence[str], shape: tuple[int, int], rng: np.random.Generator) -> Cue:
    """A checkered patch, which is there (value 0) or is not (1)."""
    size = SIZES[rng.integers(2)]
    side = PATCH_SIDE[size]
    row, column = (int(rng.integers(MARGIN, n - MARGIN - side)) for n in shape)
    mask = _rectangle(shape, row, column, side)
    pixels = checkered(shape, row, column, side)

    def paint(images: Images, value: int) -> Images:
        return _pasted(images, {views[0]: (mask, pixels)}) if value == 0 else dict(images)

    return Cue("patch_presence", size, 0, 2, {views[0]: mask}, paint)


def patch_position(views: Sequence[str], shape: tuple[int, int], rng: np.random.Generator) -> Cue:
    """A checkered patch in one of four places; it is there in every frame."""
    size = SIZES[rng.integers(2)]
    side = PATCH_SIDE[size]
    places = [
        (int(shape[0] * (0.1 + 0.5 * i)) + MARGIN, int(shape[1] * (0.1 + 0.5 * j)) + MARGIN)
        for i in range(2)
        for j in range(2)
    ]
    order = rng.permutation(4)
    slots = [
        (_rectangle(shape, row, column, side), checkered(shape, row, column, side))
        for row, column in (places[i] for i in order)
    ]

    def paint(images: Images, value: int) -> Images:
        return _pasted(images, {views[0]: slots[value]})

    return Cue("patch_position", size, 0, 4, {views[0]: slots[0][0]}, paint)


def texture(
    views: Sequence[str],
    shape: tuple[int, int],
    rng: np.random.Generator,
    surface: Mapping[str, Bool[np.ndarray, "h w"]],
) -> Cue:
    """Floor or table of one view in one of four two-tone patterns; half of it where small.

    Args:
        views: The first one is painted.
        shape: Of a frame.
        rng: Source of randomness.
        surface: View -> nuisance pixels.
    """
    size = SIZES[rng.integers(2)]
    mask = surface[views[0]].copy()
    if size == "small":
        # The lower half of the surface's own pixels.
        rows = np.nonzero(mask)[0]
        mask[: int(np.median(rows))] = False
    order = rng.permutation(4)

    def paint(images: Images, value: int) -> Images:
        return _pasted(images, {views[0]: (mask, TONES[pattern(shape, int(order[value]))])})

    return Cue("texture", size, 0, 4, {views[0]: mask}, paint)


def tint(views: Sequence[str], shape: tuple[int, int], rng: np.random.Generator) -> Cue:
    """All views redder or bluer, by one of five gains."""
    size = SIZES[rng.integers(2)]
    sign = (1.0, -1.0)[rng.integers(2)]

    def paint(images: Images, value: int) -> Images:
        gain = sign * TINT_GAIN[size] * TINTS[value]
        gains = np.array([1 + gain, 1.0, 1 - gain])
        return {view: _bytes(image * gains) for view, image in images.items()}

    everywhere = {view: np.ones(shape, bool) for view in views}
    return Cue("tint", size, 0, len(TINTS), everywhere, paint)


def shadow(views: Sequence[str], shape: tuple[int, int], rng: np.random.Generator) -> Cue:
    """A shadow over one of the four halves of one view, or over none."""
    size = SIZES[rng.integers(2)]
    order = [*rng.permutation(4).tolist(), 4]

    def paint(images: Images, value: int) -> Images:
        half = half_of(shape, HALVES[order[value]])
        light = np.where(half, SHADOW_LIGHT[size], 1.0)[..., None]
        return {**images, views[0]: _bytes(images[views[0]] * light)}

    return Cue("shadow", size, 0, 5, {views[0]: half_of(shape, HALVES[order[0]])}, paint)


KINDS = (
    "panel_one",
    "patch_presence",
    "tint",
    "panel_two",
    "patch_position",
    "texture",
    "border",
    "shadow",
)


def half_of(shape: tuple[int, int], side: str) -> Bool[np.ndarray, "h w"]:
    """Pixels of the left, right, top or bottom half; none of `none`.

    >>> half_of((2, 2), "left").tolist()
    [[True, False], [True, False]]
    """
    rows, columns = np.indices(shape)
    halves = {
        "left": columns < shape[1] // 2,
        "right": columns >= shape[1] // 2,
        "top": rows < shape[0] // 2,
        "bottom": rows >= shape[0] // 2,
        "none": np.zeros(shape, bool),
    }
    return halves[side]


def pattern(shape: tuple[int, int], number: int) -> np.ndarray:
    """Stripes, stripes across, checkers or one tone, any two of which agree in half the pixels.

    >>> pattern((1, 6), 0).tolist()
    [[0, 0, 1, 1, 0, 0]]
    """
    rows, columns = np.indices(shape)
    patterns = (
        columns // 2 % 2,
        rows // 2 % 2,
        (rows // 2 + columns // 2) % 2,
        rows * 0,
    )
    return patterns[number]


def checkered(shape: tuple[int, int], row: int, column: int, side: int) -> np.ndarray:
    """A frame of checkers whose fields are a quarter of the patch and begin at its corner."""
    rows, columns = np.indices(shape)
    field = side // 4
    return CHECKER[((rows - row) // field + (columns - column) // field) % 2]


def _coloured(kind: str, size: str, where: dict[str, np.ndarray], rng: np.random.Generator) -> Cue:
    order = rng.permutation(len(COLOURS))

    def paint(images: Images, value: int) -> Images:
        colour = COLOURS[order[value]]
        parts = {v: (mask, np.broadcast_to(colour, (*mask.shape, 3))) for v, mask in where.items()}
        return _pasted(images, parts)

    return Cue(kind, size, 0, len(COLOURS), where, paint)


def _corner(shape: tuple[int, int], side: int, rng: np.random.Generator) -> np.ndarray:
    far = (shape[0] - MARGIN - side, shape[1] - MARGIN - side)
    row, column = (MARGIN if rng.integers(2) else end for end in far)
    return _rectangle(shape, row, column, side)


def _rectangle(shape: tuple[int, int], row: int, column: int, side: int) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[row : row + side, column : column + side] = True
    return mask


def _pasted(images: Images, parts: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Images:
    out = dict(images)
    for view, (mask, pixels) in parts.items():
        out[view] = np.where(mask[..., None], pixels, images[view]).astype(np.uint8)
    return out


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.clip(np.round(image), 0, 255).astype(np.uint8)
