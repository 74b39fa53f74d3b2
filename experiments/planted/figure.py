"""The figure of the planted shortcuts: what the policies do, and which explanation tells."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_CONDITIONS = {
    "matched": "panel agrees: success",
    "shuffled": "panel shows another object: success",
    "followed": "panel shows another object: that one taken",
}
Row = Mapping[str, Any]


def planted_figure(content: Mapping[str, Sequence[Row]]) -> Figure:
    """Four panels over rho, how reliable the cue was in training.

    Args:
        content: `success`, rows with rho, condition, rate, low and high; `shares`, rows with rho,
            measure, value, low and high; `auc`, likewise. Points of one rho are its policies.

    Returns:
        The figure, not yet saved or shown.
    """
    figure = Figure(figsize=(11.0, 7.6), dpi=120, layout="constrained")
    ((behaviour, effect), (ranks, areas)) = figure.subplots(2, 2)
    for index, (condition, label) in enumerate(_CONDITIONS.items()):
        rows = [row for row in content["success"] if row["condition"] == condition]
        _points(behaviour, rows, "rate", label, f"C{index}", 0.012 * (index - 1))
    behaviour.set(ylabel="share of trials", ylim=(-0.03, 1.03), title="closed loop")
    behaviour.legend(fontsize=7, frameon=False)
    rows = [row for row in content["shares"] if row["measure"] == "panel_share"]
    _points(effect, rows, "value", "", "C3", 0.0)
    effect.set(ylabel="panel / (panel + instruction)", ylim=(-0.03, 1.03))
    effect.set_title("what changing the panel does to the actions")
    methods = [
        row["measure"].removesuffix("_rank")
        for row in content["shares"]
        if row["measure"].endswith("_rank")
    ]
    methods = list(dict.fromkeys(methods))
    for index, method in enumerate(methods):
        rows = [row for row in content["shares"] if row["measure"] == f"{method}_rank"]
        offset = 0.012 * (index - (len(methods) - 1) / 2)
        _points(ranks, rows, "value", method.replace("_", " "), f"C{index}", offset)
    ranks.axhline(0.5, color="0.6", linewidth=0.8, zorder=0)
    ranks.set(ylabel="a pixel of the panel outranks another", title="explanations")
    ranks.legend(fontsize=7, frameon=False, ncols=2)
    _bars(areas, content["auc"], methods)
    for axes in (behaviour, effect, ranks):
        axes.set_xlabel("ρ, probability that the panel showed the wanted object in training")
    for axes in (behaviour, effect, ranks, areas):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _points(
    axes: Axes, rows: Sequence[Row], key: str, label: str, colour: str, offset: float
) -> None:
    x = np.array([row["rho"] for row in rows]) + offset
    y = np.array([row[key] for row in rows])
    errors = np.abs(np.array([[row["low"], row["high"]] for row in rows]).T - y)
    axes.errorbar(x, y, errors, fmt="o", markersize=4, color=colour, label=label, linewidth=1)
    levels = sorted({row["rho"] for row in rows})
    means = [np.mean([row[key] for row in rows if row["rho"] == level]) for level in levels]
    axes.plot(np.array(levels) + offset, means, color=colour, linewidth=0.8)


def _bars(axes: Axes, rows: Sequence[Row], methods: Sequence[str]) -> None:
    levels = sorted({row["rho"] for row in rows})
    names = ["panel_share", *(f"{method}_rank" for method in methods)]
    width = 0.8 / max(len(levels), 1)
    for index, level in enumerate(levels):
        found = {row["measure"]: row for row in rows if row["rho"] == level}
        own = [found[name] for name in names]
        y = np.array([row["value"] for row in own])
        errors = np.abs(np.array([[row["low"], row["high"]] for row in own]).T - y)
        places = np.arange(len(names)) + width * (index - (len(levels) - 1) / 2)
        axes.bar(places, y, width, yerr=errors, label=f"ρ = {level:g}", error_kw={"linewidth": 0.8})
    axes.axhline(0.5, color="0.4", linewidth=0.8)
    labels = [name.removesuffix("_rank").replace("_", "\n") for name in names]
    axes.set_xticks(np.arange(len(names)), labels, fontsize=7)
    axes.set(ylim=(0, 1.03), ylabel="AUC", title="telling frames from those of ρ = 0")
    axes.legend(fontsize=7, frameon=False)
