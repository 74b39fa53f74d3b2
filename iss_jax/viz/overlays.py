"""Saliency maps over camera frames, with the outlines of the regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8

from iss_jax.extras import imports_of
from iss_jax.viz.picture import Figure

with imports_of("viz"):
    import matplotlib

# Outline of each region: support and action-critical in the colours of the paper's Figure 8.
OUTLINES = {1: (51, 136, 255), 2: (0, 220, 90)}
CRITICAL_OUTLINE = (255, 255, 255)


def overlay(
    image: UInt8[np.ndarray, "h w 3"],
    saliency: Float[np.ndarray, "h w"],
    regions: UInt8[np.ndarray, "h w"] | None = None,
    *,
    limits: tuple[float, float] | None = None,
    opacity: float | Float[np.ndarray, "h w"] = 0.5,
    colormap: str = "inferno",
    critical: Bool[np.ndarray, "h w"] | None = None,
    critical_colour: tuple[int, int, int] = CRITICAL_OUTLINE,
    width: int = 1,
) -> UInt8[np.ndarray, "h w 3"]:
    """A frame blended with its saliency map's colours, regions outlined.

    Args:
        image: the frame.
        saliency: its map.
        regions: its labels; no outlines when None.
        limits: saliency of the colour map's ends; the map's own extremes when None. Views of one
            observation should share them.
        opacity: weight of the colours, in [0, 1]; one for all pixels or one each.
        colormap: any of matplotlib's.
        critical: the critical pixels, outlined; none when None.
        critical_colour: of their outline, white where not said otherwise.
        width: of the outlines, pixels.

    Returns:
        The blend.

    Raises:
        ValueError: the sizes differ.
    """
    for name, array in (("saliency", saliency), ("regions", regions), ("critical", critical)):
        if array is not None and array.shape != image.shape[:2]:
            raise ValueError(f"{name} is {list(array.shape)}, the image is {list(image.shape[:2])}")
    low, high = limits if limits is not None else (saliency.min(), saliency.max())
    span = high - low
    level = (saliency - low) / span if span > 0 else np.zeros(saliency.shape)
    colours = matplotlib.colormaps[colormap](np.clip(level, 0, 1))[..., :3] * 255
    weight = np.broadcast_to(opacity, image.shape[:2])[..., None]
    blended = (1 - weight) * image + weight * colours
    if regions is not None:
        for label, colour in OUTLINES.items():
            blended[outline(regions == label, width)] = colour
    if critical is not None:
        blended[outline(critical, width)] = critical_colour
    return np.round(blended).astype(np.uint8)


def outline(inside: Bool[np.ndarray, "h w"], width: int = 1) -> Bool[np.ndarray, "h w"]:
    """Pixels of a region within `width` steps, by edges, of one outside it; the frame has no edge.

    >>> import numpy as np
    >>> outline(np.array([[False, True, True, True]])).astype(int)
    array([[0, 1, 0, 0]])
    """
    core = inside
    for _ in range(width):
        padded = np.pad(core, 1, mode="edge")
        core = core & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inside & ~core


def grey(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """A frame without its colours (luma of ITU-R BT.601), so that those of a map stand out."""
    luma = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.repeat(np.round(luma).astype(np.uint8)[..., None], 3, axis=2)


def magnify(array: Shaped[np.ndarray, "h w *c"], factor: int) -> Shaped[np.ndarray, "H W *c"]:
    """Every pixel as a square of `factor` pixels a side: outlines of a small frame become thin.

    Raises:
        ValueError: a factor below one.
    """
    if factor < 1:
        raise ValueError(f"factor must be at least 1, got {factor}")
    return array.repeat(factor, axis=0).repeat(factor, axis=1)


def overlay_figure(
    rows: Sequence[Mapping[str, UInt8[np.ndarray, "h w 3"]]],
    labels: Sequence[str],
) -> Figure:
    """Frames in a grid: a row per observation, a column per view.

    Args:
        rows: view to frame (see `overlay`), the same views in every row.
        labels: a label per row.

    Returns:
        The figure, not yet saved or shown.
    """
    views = list(rows[0])
    figure = Figure(
        figsize=(2.2 * len(views) + 1, 2.2 * len(rows) + 0.3), dpi=130, layout="constrained"
    )
    grid = figure.subplots(len(rows), len(views), squeeze=False)
    for axes_row, frames, label in zip(grid, rows, labels, strict=True):
        for axes, view in zip(axes_row, views, strict=True):
            axes.imshow(frames[view], interpolation="antialiased")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        axes_row[0].set_ylabel(label, fontsize=7)
    for axes, view in zip(grid[0], views, strict=True):
        axes.set_title(view, fontsize=8)
    return figure
