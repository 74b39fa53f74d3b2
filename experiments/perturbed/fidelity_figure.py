"""How the change of explanations goes with that of the actions: the paper's Figures 5 and 11."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Row = Mapping[str, Any]


def fidelity_bars(correlations: Sequence[Row], labels: Mapping[str, str]) -> Figure:
    """Pearson's correlation of each method under each perturbation, on all tasks (Figure 5).

    Args:
        correlations: rows with `method`, `perturbation`, `split`, `change`, `kind`, `r` and
            `bootstrap`. One panel for each measure of change.
        labels: method to the name that it has in the legend.

    Returns:
        The figure, not yet saved or shown.
    """
    changes = list(dict.fromkeys(row["change"] for row in correlations))
    figure = Figure(figsize=(4.6 * len(changes) + 1.6, 3.4), dpi=130, layout="constrained")
    grid = figure.subplots(1, len(changes), squeeze=False, sharey=True)[0]
    for axes, change in zip(grid, changes, strict=True):
        _bars(axes, _chosen(correlations, "all", change), labels)
        axes.set_title(f"change: 1 − {change} of the maps", fontsize=9)
    grid[0].set_ylabel("Pearson r with ΔA", fontsize=8)
    _legend(figure, grid[0])
    return figure


def fidelity_grid(
    correlations: Sequence[Row],
    rows: Sequence[Row],
    in_split: Callable[[Row, str], bool],
    labels: Mapping[str, str],
    *,
    change: str = "cosine",
) -> Figure:
    """A row a split: its bars, then a scatter for each perturbation with linear fits (Figure 11).

    Args:
        correlations: as for `fidelity_bars`.
        rows: one an episode and perturbation, with `action_error` and `<method>_<change>_change`.
            Each method's change is drawn over its largest, since their scales differ by far.
        in_split: whether a row is of a split.
        labels: method to the name that it has in the legend.
        change: the measure of change that is drawn.

    Returns:
        The figure, not yet saved or shown.
    """
    splits = list(dict.fromkeys(row["split"] for row in correlations))
    names = list(dict.fromkeys(row["perturbation"] for row in correlations))
    size = (3.1 * (1 + len(names)) + 1.6, 2.7 * len(splits))
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    grid = figure.subplots(len(splits), 1 + len(names), squeeze=False)
    for line, split in zip(grid, splits, strict=True):
        _bars(line[0], _chosen(correlations, split, change), labels)
        line[0].set_ylabel(f"{split}\nPearson r with ΔA", fontsize=8)
        for axes, name in zip(line[1:], names, strict=True):
            own = [row for row in rows if row["perturbation"] == name and in_split(row, split)]
            _scatter(axes, own, list(labels), change)
            axes.set_title(f"{name}, n = {len(own)}", fontsize=8)
        line[1].set_ylabel(f"1 − {change}, over its largest", fontsize=7)
    for axes in grid[-1, 1:]:
        axes.set_xlabel("ΔA, action MSE", fontsize=8)
    _legend(figure, grid[0, 0])
    return figure


def _chosen(correlations: Sequence[Row], split: str, change: str) -> list[Row]:
    wanted = ("pearson", split, change)
    return [row for row in correlations if (row["kind"], row["split"], row["change"]) == wanted]


def _bars(axes: Axes, rows: Sequence[Row], labels: Mapping[str, str]) -> None:
    names = list(dict.fromkeys(row["perturbation"] for row in rows))
    methods = [method for method in labels if any(row["method"] == method for row in rows)]
    width = 0.84 / max(len(methods), 1)
    for index, method in enumerate(methods):
        own = {row["perturbation"]: row for row in rows if row["method"] == method}
        there = [place for place, name in enumerate(names) if name in own]
        r = np.nan_to_num([own[names[place]]["r"] for place in there])
        ends = np.array([own[names[place]]["bootstrap"] for place in there]).reshape(-1, 2).T
        bars = np.nan_to_num(np.maximum([r - ends[0], ends[1] - r], 0.0))
        axes.bar(
            np.array(there) + width * (index - (len(methods) - 1) / 2),
            r,
            width,
            yerr=bars,
            color=_colour(labels, method),
            label=labels[method],
            error_kw={"linewidth": 0.7},
        )
    axes.axhline(0.0, color="0.3", linewidth=0.7)
    axes.set_xticks(np.arange(len(names)), names, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _scatter(axes: Axes, rows: Sequence[Row], methods: Sequence[str], change: str) -> None:
    x = np.array([row["action_error"] for row in rows])
    for index, method in enumerate(methods):
        if not rows or f"{method}_{change}_change" not in rows[0]:
            continue
        y = np.array([row[f"{method}_{change}_change"] for row in rows], np.float64)
        there = np.isfinite(y)
        largest = np.abs(y[there]).max() if there.any() else 0.0
        if largest == 0 or there.sum() < 2:
            continue
        y = y / largest
        axes.scatter(x[there], y[there], s=5, color=f"C{index}", alpha=0.5, linewidths=0)
        if np.ptp(x[there]) > 0:
            slope, intercept = np.polyfit(x[there], y[there], 1)
            ends = np.array([x[there].min(), x[there].max()])
            axes.plot(ends, slope * ends + intercept, color=f"C{index}", linewidth=1)
    axes.tick_params(labelsize=6)
    axes.spines[["top", "right"]].set_visible(False)


def _colour(labels: Mapping[str, str], method: str) -> str:
    return f"C{list(labels).index(method)}"


def _legend(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", fontsize=8, frameon=False)
