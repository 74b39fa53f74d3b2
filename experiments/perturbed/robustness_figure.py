"""How stable explanations are beside how stable the actions are: the paper's Figure 4."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MEASURES = {"cosine": "cosine of the maps", "pearson": "Pearson's r of the maps"}


def robustness_figure(shares: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> Figure:
    """A column for each share of the episodes, a row for each similarity of maps.

    The x axis is inverted, so that the top right is best, as in the paper.

    Args:
        shares: `share`, `episodes`, `action_error` and, by method, `methods` with the measures;
            each number with `value`, `low` and `high`.
        labels: method to the name that it has in the legend.

    Returns:
        The figure, not yet saved or shown.
    """
    size = (3.2 * len(shares) + 1.8, 5.6)
    figure = Figure(figsize=size, dpi=130, layout="constrained")
    grid = figure.subplots(len(MEASURES), len(shares), squeeze=False, sharey="row")
    for column, share in enumerate(shares):
        for axes, measure in zip(grid[:, column], MEASURES, strict=True):
            _points(axes, share, measure, labels)
        grid[0, column].set_title(f"{share['share']:.0%}: {share['episodes']} episodes", fontsize=9)
        grid[-1, column].set_xlabel("ΔA, action MSE", fontsize=8)
    for axes, label in zip(grid[:, 0], MEASURES.values(), strict=True):
        axes.set_ylabel(label, fontsize=8)
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", fontsize=8, frameon=False)
    return figure


def _points(axes: Axes, share: Mapping[str, Any], measure: str, labels: Mapping[str, str]) -> None:
    error = share["action_error"]
    for index, (method, found) in enumerate(share["methods"].items()):
        own = found[measure]
        if own["value"] is None:
            continue
        axes.errorbar(
            [error["value"]],
            [own["value"]],
            xerr=_ends(error),
            yerr=_ends(own),
            fmt="*" if method == "iss" else "osD^vP"[index % 6],
            markersize=11 if method == "iss" else 5,
            color=f"C{index}",
            label=labels[method],
            linewidth=1,
        )
    axes.invert_xaxis()
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, -3))
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _ends(found: Mapping[str, Any]) -> np.ndarray:
    """Lengths of the error bars below and above; none where there is no interval."""
    low, high = found["low"], found["high"]
    if low is None or not np.isfinite([low, high]).all():
        return np.zeros((2, 1))
    ends = np.array([[found["value"] - low], [high - found["value"]]])
    return np.maximum(ends, 0.0)
