"""What errors of the region masks do to NMR, as one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from iss_jax.viz.picture import Figure

_NAMES = {
    "dilate": "grown",
    "erode": "shrunk",
    "jitter": "moved",
    "drop": "pieces overlooked",
}


def mask_error_figure(rows: Sequence[Mapping[str, Any]], percent: float) -> Figure:
    """A column per kind of error: nmr and its excess above, rank correlations below.

    Args:
        rows: a mapping per kind and size of error, as `experiments.mask_sensitivity` writes them;
            that of `none` is the left end of every curve.
        percent: the k of nmr@k.

    Returns:
        The figure, not yet saved or shown.
    """
    kinds = [kind for kind in _NAMES if any(row["error"] == kind for row in rows)]
    figure = Figure(figsize=(3.1 * len(kinds), 5.6), dpi=150, layout="constrained")
    grid = figure.subplots(2, len(kinds), sharey="row", squeeze=False)
    for column, kind in enumerate(kinds):
        own = [row for row in rows if row["error"] in ("none", kind)]
        x = np.array([row["size"] for row in own])
        above, below = grid[:, column]
        _curve(above, x, own, "nmr", f"nmr@{percent:g}", "C0")
        _curve(above, x, own, "excess", "excess over chance", "C1")
        _curve(above, x, own, "random_excess", "excess, random maps", "0.6")
        above.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        above.set_title(_NAMES[kind], fontsize=10)
        _curve(below, x, own, "rank_tasks", "tasks by nmr", "C0")
        _curve(below, x, own, "excess_rank_tasks", "tasks by excess", "C1")
        _curve(below, x, own, "rank_frames", "frames by nmr", "C2")
        below.plot(x, [row["overlap"] for row in own], "k:", label="overlap of the masks")
        unit = "pieces a view" if kind == "drop" else "% of the image's height"
        below.set(xlabel=unit, ylim=(-0.05, 1.05))
        for axes in (above, below):
            axes.spines[["top", "right"]].set_visible(False)
    grid[0, 0].set_ylabel("mean over frames")
    grid[1, 0].set_ylabel("Spearman with right masks")
    for axes in grid[:, 0]:
        axes.legend(fontsize=7, frameon=False)
    return figure


def _curve(axes: Axes, x, rows: Sequence[Mapping[str, Any]], name: str, label: str, color: str):
    low, high = (np.array([row[f"{name}_{end}"] for row in rows], float) for end in ("low", "high"))
    axes.plot(x, [row[name] for row in rows], "o-", markersize=3, color=color, label=label)
    axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
