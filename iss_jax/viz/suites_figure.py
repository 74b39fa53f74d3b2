"""Measures against success, a colour a suite, the suites' means on top of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from iss_jax.viz.picture import Figure


def suites_figure(
    panels: Mapping[str, tuple[Float[np.ndarray, " n"], str]],
    success: Float[np.ndarray, " n"],
    suites: Sequence[str],
) -> Figure:
    """A panel a measure, all against the same success.

    Args:
        panels: label of the x axis to one value a row and what stands above the panel.
        success: rate of each row.
        suites: of each row; the unit in which success varies.

    Returns:
        The figure, not yet saved or shown.
    """
    names = list(dict.fromkeys(suites))
    member = np.asarray(suites)
    # Best suite first, in the legend too.
    names.sort(key=lambda name: -float(success[member == name].mean()))
    figure = Figure(figsize=(3.3 * len(panels) + 1.5, 3.4), dpi=150, layout="constrained")
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (label, (x, title)) in zip(grid, panels.items(), strict=True):
        for index, name in enumerate(names):
            own = member == name
            colour, marker = f"C{index % 10}", "osD^v"[index // 10 % 5]
            alpha = 0.35 if name else 0.8
            axes.scatter(x[own], success[own], s=12, alpha=alpha, color=colour, linewidths=0)
            there = own & np.isfinite(x)
            # Rows of no suite have no mean to show.
            if not name or not there.any():
                continue
            axes.scatter(
                x[there].mean(),
                success[own].mean(),
                s=70,
                color=colour,
                marker=marker,
                edgecolors="black",
                linewidths=0.8,
                label=name,
                zorder=3,
            )
        axes.set_xlabel(label, fontsize=9)
        axes.set_title(title, loc="left", fontsize=8)
        axes.set_ylim(-0.05, 1.05)
        axes.spines[["top", "right"]].set_visible(False)
    grid[0].set_ylabel("success rate")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=7, frameon=False)
    return figure
