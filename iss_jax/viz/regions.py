"""Regions over an episode: their masks on some frames (Figure 8), and the saliency on each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8

from iss_jax.viz.picture import Figure

# Nuisance, support, action-critical: red, blue and green as in the paper's Figure 8, in tones that
# stay apart without red-green vision.
NAMES = ("nuisance", "support", "robot")
COLOURS = ("#d1495b", "#3388ff", "#00a651")


def paint_regions(
    image: UInt8[np.ndarray, "h w 3"],
    regions: UInt8[np.ndarray, "h w"],
    *,
    opacity: float = 0.45,
) -> UInt8[np.ndarray, "h w 3"]:
    """A frame with every region tinted in its colour.

    Raises:
        ValueError: the sizes differ.
    """
    if regions.shape != image.shape[:2]:
        raise ValueError(f"regions is {list(regions.shape)}, the image is {list(image.shape[:2])}")
    tints = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in COLOURS], np.float32)
    blended = (1 - opacity) * image + opacity * tints[regions]
    return np.round(blended).astype(np.uint8)


def masks_figure(
    images: Sequence[UInt8[np.ndarray, "h w 3"]],
    regions: Sequence[UInt8[np.ndarray, "h w"]],
    times: Sequence[float],
    *,
    title: str,
) -> Figure:
    """Some frames of one camera with their regions tinted, as Figure 8.

    Args:
        images: the frames.
        regions: their labels.
        times: of the frames, seconds.
        title: above the figure.

    Returns:
        The figure, not yet saved or shown.
    """
    figure = Figure(figsize=(max(1.7 * len(images), 6.0), 2.5), dpi=150, layout="constrained")
    grid = figure.subplots(1, len(images), squeeze=False)[0]
    for axes, image, labels, time in zip(grid, images, regions, times, strict=True):
        axes.imshow(paint_regions(image, labels), interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.set_xlabel(f"{time:.1f} s", fontsize=8)
        axes.spines[:].set_visible(False)
    figure.suptitle(title, fontsize=8)
    handles = [
        grid[0].plot([], [], "s", color=c, label=n)[0] for c, n in zip(COLOURS, NAMES, strict=True)
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(NAMES), fontsize=7, frameon=False
    )
    return figure


def regions_figure(
    times: Float[np.ndarray, " t"],
    above_mean: Float[np.ndarray, "t 3"],
    critical: Float[np.ndarray, "t 3"],
    area: Float[np.ndarray, "t 3"],
    computed: Bool[np.ndarray, " t"],
    *,
    percent: float,
    title: str,
) -> Figure:
    """Where the saliency lies over an episode, beside where the pixels are.

    Args:
        times: of the frames, seconds.
        above_mean: of the saliency above the frame's mean, the share of nuisance, support and
            robot.
        critical: their share of the critical pixels.
        area: their share of all pixels: what a map without information has.
        computed: frames whose saliency was computed; the others lie between.
        percent: k of the critical pixels.
        title: above the panels.

    Returns:
        The figure, not yet saved or shown.
    """
    figure = Figure(figsize=(7.2, 4.6), dpi=150, layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    named = (
        (f"share of the top {percent:g} % of pixels", critical),
        ("share of saliency above its mean", above_mean),
    )
    for axes, (label, shares) in zip(panels, named, strict=True):
        for column, (name, colour) in enumerate(zip(NAMES, COLOURS, strict=True)):
            axes.plot(times, shares[:, column], color=colour, linewidth=1.6, label=name)
            axes.plot(times[computed], shares[computed, column], "o", color=colour, markersize=2.5)
            axes.plot(times, area[:, column], color=colour, linewidth=1, linestyle=":")
        axes.set(ylim=(0, 1), ylabel=label)
        axes.yaxis.label.set_size(8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].plot([], [], color="0.4", linestyle=":", linewidth=1, label="share of area")
    panels[1].set(xlabel="time (s)", xlim=(times[0], times[-1]) if len(times) > 1 else None)
    panels[0].set_title(title, loc="left", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=7, frameon=False)
    return figure
