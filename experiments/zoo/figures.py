"""Three figures of the zoo: predicted against shifted success, axes, and pairs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.zoo.design import CUES, NO_CUE
from experiments.zoo.shifts import AXES
from experiments.zoo.table import TITLES, Zoo

Rows = Sequence[Mapping[str, Any]]

_COLOURS = dict(zip((*CUES, NO_CUE), ("C3", "C2", "C0", "0.5"), strict=True))


def predicted_figure(zoo: Zoo, correlations: Rows) -> Figure:
    """A panel a predictor against mean shifted success, a point a policy."""
    success = zoo.shifted()
    of = {row["predictor"]: row for row in correlations if row["target"] == "all axes"}
    columns = 3
    lines = -(-len(of) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.6 * lines), dpi=130, layout="constrained")
    grid = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axes, (name, row) in zip(grid, of.items(), strict=False):
        for cue, colour in _COLOURS.items():
            own = np.array([one.cue == cue for one in zoo.recipes])
            axes.scatter(zoo.measures[name][own], success[own], s=16, color=colour, label=cue)
        axes.set_title(f"{row['r']:.2f} [{row['low']:.2f}, {row['high']:.2f}]", fontsize=8)
        axes.set_xlabel(TITLES[name], fontsize=8)
        axes.tick_params(labelsize=7)
    for axes in grid[len(of) :]:
        axes.set_axis_off()
    for axes in grid[:: columns or 1]:
        axes.set_ylabel("mean shifted success", fontsize=8)
    grid[0].legend(fontsize=6, frameon=False, title="cue", title_fontsize=6)
    return figure


def axes_figure(zoo: Zoo, breaks: Rows) -> Figure:
    """A panel an axis: what it touches of a policy against what the policy loses."""
    of = {row["axis"]: row for row in breaks}
    figure = Figure(figsize=(11.0, 5.0), dpi=130, layout="constrained")
    grid = figure.subplots(2, 4, sharey=True).ravel()
    for axes, axis in zip(grid, AXES, strict=True):
        touched, loss = zoo.touched(axis), zoo.loss(axis)
        for cue, colour in _COLOURS.items():
            own = np.array([one.cue == cue for one in zoo.recipes]) & np.isfinite(touched)
            axes.scatter(touched[own], loss[own], s=16, color=colour, label=cue)
        row = of.get(axis)
        text = "" if row is None else f": {row['r']:.2f}, ceiling {row['ceiling']:.2f}"
        axes.set_title(f"{axis}{text}", fontsize=8)
        axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        axes.tick_params(labelsize=7)
    for axes in grid[::4]:
        axes.set_ylabel("success lost", fontsize=8)
    for axes in grid[4:]:
        axes.set_xlabel("what the axis touches", fontsize=8)
    grid[0].legend(fontsize=6, frameon=False)
    return figure


def pairs_figure(picks: Rows) -> Figure:
    """How often each predictor picks the better of two policies, with intervals."""
    figure = Figure(figsize=(6.4, 0.38 * len(picks) + 1.2), dpi=130, layout="constrained")
    axes = figure.subplots()
    order = sorted(picks, key=lambda row: row["picked"])
    for place, row in enumerate(order):
        axes.plot([row["low"], row["high"]], [place, place], color="0.6", linewidth=2)
        axes.plot(row["picked"], place, "o", color="C0")
    axes.axvline(0.5, color="0.5", linestyle=":", linewidth=1)
    axes.axvline(0.85, color="C2", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(order)), [TITLES[row["predictor"]] for row in order], fontsize=8)
    pairs = order[0]["pairs"] if order else 0
    axes.set_xlabel(f"share of {pairs} pairs whose better policy is picked", fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
    return figure
