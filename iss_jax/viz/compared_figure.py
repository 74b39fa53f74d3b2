"""What two policies act on, side by side: shares on the left, their differences on the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from iss_jax.viz.picture import Figure

COLOURS = ("#1f77b4", "#d95f02")
_ROW = 0.3  # inches
_MOST = 16


def compared_figure(
    rows: Sequence[Mapping[str, Any]], names: tuple[str, str], *, note: str = ""
) -> Figure:
    """A row a player, the largest difference first; bars are the intervals of the differences.

    Args:
        rows: as `iss_jax.side_by_side.differences.row_of` makes them; a row without an interval has
            NaN, and one without shares is left out.
        names: of the two policies.
        note: stands below, such as what was compared.

    Returns:
        The figure, not yet saved or shown.
    """
    there = [row for row in rows if np.isfinite(row["difference"])]
    ranked = sorted(there, key=lambda row: -abs(row["difference"]))
    shown, left = ranked[:_MOST], len(ranked) - _MOST
    height = 1.5 + _ROW * max(len(shown), 2)
    figure = Figure(figsize=(9.0, height), dpi=150, layout="constrained")
    shares, differences = figure.subplots(1, 2, sharey=True, width_ratios=(1.0, 1.0))
    place = np.arange(len(shown))[::-1]
    a, b, difference, low, high = (
        100 * np.array([row[name] for row in shown], float)
        for name in ("share_a", "share_b", "difference", "low", "high")
    )
    shares.hlines(place, a, b, color="0.75", linewidth=2, zorder=1)
    for values, name, colour, marker in zip((a, b), names, COLOURS, ("o", "D"), strict=True):
        shares.scatter(values, place, s=28, color=colour, marker=marker, label=name, zorder=2)
    shares.set_yticks(place, [str(row["player"]) for row in shown])
    shares.set(xlabel="share of the effects, %", xlim=(-2, max([10.0, *a, *b]) + 5))
    shares.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    known = np.isfinite(low)
    told = known & ((low > 0) | (high < 0))
    for own, colour in ((known & ~told, "0.55"), (told, "black")):
        differences.errorbar(
            difference[own],
            place[own],
            # Of a constant difference the ends may lie on its wrong side by a rounding.
            xerr=np.maximum([difference[own] - low[own], high[own] - difference[own]], 0.0),
            fmt="o",
            markersize=4,
            color=colour,
            capsize=2,
        )
    draws = 200 * np.array([row["stderr_of_draws"] for row in shown], float)
    differences.errorbar(
        difference[~known],
        place[~known],
        xerr=np.where(np.isfinite(draws), draws, 0.0)[~known],
        fmt="o",
        markersize=4,
        markerfacecolor="none",
        color="0.55",
    )
    differences.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    differences.set_xlabel(f"{names[1]} less {names[0]}, points")
    for axes in (shares, differences):
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylim(-0.7, max(len(shown), 2) - 0.3)
    notes = [note] if note else []
    notes += [f"{left} smaller differences are in the table."] if left > 0 else []
    if (~known).any():
        notes.append("Open circles: no interval; bars are two errors of the draws.")
    if notes:
        figure.supxlabel(" ".join(notes), fontsize=7.5, x=0.01, ha="left")
    return figure
