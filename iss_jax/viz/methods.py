"""Explanations side by side: a row a method, a column a view (Figure 12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from iss_jax.viz.overlays import magnify, overlay
from iss_jax.viz.picture import Figure

PIXELS = 320  # height that frames are magnified to, at least


class Panel(NamedTuple):
    """One explanation of one view.

    Attributes:
        saliency: its map.
        critical: its critical pixels, of this view alone.
        nmr: the share of them that is nuisance.
        measure: what `nmr` is called where it is another share.
    """

    saliency: Float[np.ndarray, "h w"]
    critical: Bool[np.ndarray, "h w"]
    nmr: float
    measure: str = ""


def methods_figure(
    images: Mapping[str, UInt8[np.ndarray, "h w 3"]],
    regions: Mapping[str, UInt8[np.ndarray, "h w"]],
    methods: Mapping[str, Mapping[str, Panel]],
    chance: Mapping[str, float],
    *,
    percent: float,
    title: str,
) -> Figure:
    """The frame, then every method on every view; colours span each map's own range.

    Args:
        images: view to frame.
        regions: view to labels.
        methods: name to its panel of each view.
        chance: view to the nuisance share of its area.
        percent: k of the critical pixels.
        title: above the figure.

    Returns:
        The figure, not yet saved or shown.
    """
    views = list(images)
    figure = Figure(
        figsize=(2.1 * len(views) + 0.8, 2.3 * (len(methods) + 1) + 0.6),
        dpi=130,
        layout="constrained",
    )
    grid = figure.subplots(len(methods) + 1, len(views), squeeze=False)
    for column, view in enumerate(views):
        factor = max(1, -(-PIXELS // images[view].shape[0]))
        image, labels = magnify(images[view], factor), magnify(regions[view], factor)
        flat = np.zeros(labels.shape)
        shown = [(overlay(image, flat, labels, opacity=0.0), f"nuisance area {chance[view]:.2f}")]
        for panels in methods.values():
            panel = panels[view]
            frame = overlay(
                image,
                magnify(panel.saliency, factor),
                labels,
                limits=tuple(np.quantile(panel.saliency, (0.01, 0.99))),
                critical=magnify(panel.critical, factor),
            )
            shown.append((frame, f"{panel.measure or f'nmr@{percent:g}'} {panel.nmr:.2f}"))
        for axes, (frame, note) in zip(grid[:, column], shown, strict=True):
            axes.imshow(frame, interpolation="antialiased")
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(note, fontsize=8)
            axes.spines[:].set_visible(False)
        grid[0, column].set_title(view, fontsize=9)
    for axes, name in zip(grid[:, 0], ["frame", *methods], strict=True):
        axes.set_ylabel(name, fontsize=9)
    figure.suptitle(title, fontsize=8)
    figure.supxlabel(
        f"support outlined in blue, robot in green, each view's top {percent:g} % in white",
        fontsize=7,
    )
    return figure
