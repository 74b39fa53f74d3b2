"""Scatter plots of a saliency measure against success: the paper's Figures 3 and 10."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from iss_jax.extras import imports_of
from iss_jax.stats.correlation import Correlation
from iss_jax.viz.picture import Figure

with imports_of("viz"):
    from matplotlib.axes import Axes


def correlation_figure(
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, " n"],
    groups: Sequence[str],
    correlation: Correlation,
    *,
    xlabel: str,
    ylabel: str = "success rate",
    unit: str = "tasks",
) -> Figure:
    """One scatter with its linear fit and its correlation, as Figure 3.

    Args:
        x: one value a point.
        y: one value a point.
        groups: a name a point; points of a group share a colour.
        correlation: of x and y, written above the panel.
        xlabel: label of the x axis.
        ylabel: label of the y axis.
        unit: what the correlation's clusters are.

    Returns:
        The figure, not yet saved or shown.
    """
    figure = Figure(figsize=(6.4, 4.8), dpi=150, layout="constrained")
    axes = figure.subplots()
    _scatter(axes, x, y, groups, correlation, unit)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    _legend(figure, axes)
    return figure


def correlation_grid(
    panels: Mapping[str, tuple[Float[np.ndarray, " n"], Correlation]],
    y: Float[np.ndarray, " n"],
    groups: Sequence[str],
    *,
    ylabel: str = "success rate",
    columns: int = 2,
    unit: str = "tasks",
) -> Figure:
    """A scatter per panel against the same y, as Figure 10.

    Args:
        panels: label of the x axis to x and its correlation with y.
        y: one value a point.
        groups: a name a point.
        ylabel: label of the y axes.
        columns: panels in a row.
        unit: what the correlations' clusters are.

    Returns:
        The figure, not yet saved or shown.
    """
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows), dpi=150, layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes, (xlabel, (x, correlation)) in zip(grid, panels.items(), strict=False):
        _scatter(axes, x, y, groups, correlation, unit)
        axes.set(xlabel=xlabel)
    for axes in grid[::columns]:
        axes.set(ylabel=ylabel)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    _legend(figure, grid[0])
    return figure


def _scatter(axes: Axes, x, y, groups: Sequence[str], correlation: Correlation, unit: str) -> None:
    names = list(dict.fromkeys(groups))
    labels = np.asarray([names.index(group) for group in groups])
    for index, name in enumerate(names):
        chosen = labels == index
        # Ten colours repeat, so the marker tells the tens apart.
        axes.scatter(
            x[chosen],
            y[chosen],
            s=22,
            alpha=0.75,
            color=f"C{index % 10}",
            marker="osD^v"[index // 10 % 5],
            label=name,
            linewidths=0,
        )
    there = np.isfinite(x)
    if there.any() and np.ptp(x[there]) > 0:
        slope, intercept = np.polyfit(x[there], y[there], 1)
        ends = np.array([x[there].min(), x[there].max()])
        axes.plot(ends, slope * ends + intercept, color="0.3", linewidth=1)
    axes.set_ylim(-0.05, 1.05)
    axes.set_title(_said(correlation, unit), loc="left", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _said(found: Correlation, unit: str) -> str:
    """What stands above a panel: no nan, but the reason."""
    if np.isnan(found.r):
        return textwrap.fill(found.reason or "no correlation", 60) + f"\nn = {found.n}"
    low, high = found.bootstrap
    interval = "" if np.isnan(low) else f"  [{low:.2f}, {high:.2f}]"
    line = f"r = {found.r:.2f}{interval},  p = {found.p_value:.2g}\n"
    line += f"{found.clusters} {unit}, n = {found.n}"
    return line + (f"; {found.reason.split(':')[0]}" if found.reason else "")


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if 1 < len(labels) <= 20:
        figure.legend(handles, labels, loc="outside right center", fontsize=7, frameon=False)
