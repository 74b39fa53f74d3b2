"""What a policy acts on in several frames: a row each with its own colours, a column a view."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np

from iss_jax.effects import Effects
from iss_jax.viz.effects_figure import (
    FADED,
    number,
    players_panels,
    present_views,
    share_bars,
    show,
    shown,
)
from iss_jax.viz.picture import Figure, Picture

WIDTH = 26  # characters of a label's line
INCHES = 2.1  # side of a panel
BARS = 5  # players of a row


def effects_rows(
    rows: Sequence[Effects],
    labels: Sequence[str],
    *,
    title: str = "",
    notes: Sequence[str] = (),
    most: int = BARS,
) -> Figure:
    """Frames with their players in the colours of their shares, and the largest shares.

    Args:
        rows: One observation each, without batch axes, of the same views.
        labels: What stands to the left of each row; lines are wrapped.
        title: Above the figure.
        notes: Below it, a line each, before what the fading means.
        most: Bars of a row.

    Returns:
        The figure, not yet saved or shown.

    Raises:
        ValueError: No row, or frames of unknown range.
    """
    if not rows:
        raise ValueError("rows: one observation at least wanted, got none")
    views = present_views(rows[0])
    widths = [1.7, *[INCHES] * len(views), 3.1]
    figure = Picture(
        figsize=(sum(widths) + 0.3, INCHES * len(rows) + 0.9), dpi=110, layout="constrained"
    )
    grid = figure.subplots(len(rows), len(widths), squeeze=False, width_ratios=widths)
    for row, (axes_row, found, label) in enumerate(zip(grid, rows, labels, strict=True)):
        text, *panel_axes, bar_axes = axes_row
        what = shown(found)
        panels = players_panels(found, what)
        for axes, view in zip(panel_axes, views, strict=True):
            axes.axis("off")
            if view in panels:
                show(axes, panels[view])
                number(axes, np.asarray(found.players.labels[view]), what, most)
            if row == 0:
                axes.set_title(textwrap.fill(found.cameras.get(view) or view, 28), fontsize=9)
        wrapped = "\n".join(textwrap.fill(line, WIDTH) for line in label.splitlines())
        text.text(0.0, 0.5, wrapped, fontsize=8, va="center", transform=text.transAxes)
        text.axis("off")
        share_bars(bar_axes, found, what, most)
        if row < len(rows) - 1:
            bar_axes.set_xlabel("")
    if title:
        figure.suptitle(textwrap.fill(title, 110), fontsize=10, x=0.01, ha="left")
    figure.supxlabel("\n".join([*notes, FADED]), fontsize=7.5, x=0.01, ha="left")
    return figure
