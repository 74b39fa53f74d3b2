"""Perturbed frames and their saliency, side by side: the paper's Figure 6."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure


class Panel(NamedTuple):
    """One perturbed frame of one view.

    Attributes:
        view: of the policy.
        perturbation: its column.
        strength: its row within the view.
        frame: the perturbed frame.
        overlay: the same with its saliency over it.
        caption: written above it.
    """

    view: str
    perturbation: str
    strength: float
    frame: UInt8[np.ndarray, "h w 3"]
    overlay: UInt8[np.ndarray, "h w 3"]
    caption: str


def perturbation_figure(panels: Sequence[Panel], columns: Sequence[str], title: str) -> Figure:
    """A column a perturbation; for each view a row a strength, the frame beside its overlay.

    A perturbation of a single strength, such as none at all, stands in the first row of each view.

    Args:
        panels: any number of views, perturbations and strengths.
        columns: the perturbations, in order.
        title: of the figure.

    Returns:
        The figure, not yet saved or shown.
    """
    views = list(dict.fromkeys(panel.view for panel in panels))
    strengths = {
        column: sorted({p.strength for p in panels if p.perturbation == column})
        for column in columns
    }
    rows = max(map(len, strengths.values()))
    size = (2.5 * len(columns) + 0.4, 1.45 * rows * len(views) + 0.5)
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(rows * len(views), len(columns), squeeze=False)
    for axes in grid.ravel():
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for panel in panels:
        column = list(columns).index(panel.perturbation)
        row = strengths[panel.perturbation].index(panel.strength)
        axes = grid[views.index(panel.view) * rows + row, column]
        axes.imshow(np.concatenate([panel.frame, panel.overlay], axis=1), interpolation="nearest")
        label = f"{panel.perturbation}, λ = {panel.strength:g}" if panel.strength else "clean"
        axes.set_title(f"{label}: {panel.caption}", fontsize=7, pad=2)
        if column == 0:
            axes.set_ylabel(panel.view, fontsize=7)
    return figure
