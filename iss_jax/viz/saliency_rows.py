"""Several maps in one figure, a row each with its own colours, a column a view."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from iss_jax.extras import imports_of
from iss_jax.results import Saliency, told
from iss_jax.viz.picture import Picture
from iss_jax.viz.saliency_figure import FADED, colour_bar, faded_panels, legend, present_views

with imports_of("viz"):
    from matplotlib.figure import Figure

# What is said of maps that an older version stored, which knew the errors of scores alone.
ERRORS_OF_SCORES = (
    "Errors here are those of the scores, which hold the mean's and are far too large: these maps "
    "were stored without those of contrasts."
)
WIDTH = 27  # characters of a label's line
INCHES = 2.3  # side of a panel


def saliency_rows(
    rows: Sequence[Saliency],
    labels: Sequence[str],
    *,
    regions: Sequence[Mapping[str, Any]] | None = None,
    critical: Sequence[Mapping[str, Any]] | None = None,
    critical_name: str = "",
    title: str = "",
    notes: Sequence[str] = (),
) -> Figure:
    """Frames under their maps as far as the maps' errors support them.

    Args:
        rows: One observation each, of the same views.
        labels: What stands to the left of each row; lines are wrapped, and how much of the map can
            be told from noise is added.
        regions: Of each row, view -> labels at the map's size, outlined; none when None.
        critical: Of each row, view -> critical pixels, outlined; none when None.
        critical_name: What the legend calls them.
        title: Above the figure.
        notes: Below it, a line each, before what the fading means.

    Returns:
        The figure, not yet saved or shown.
    """
    views = present_views(rows[0])
    bar = 0.95
    figure = Picture(
        figsize=(1.9 + INCHES * len(views) + bar, INCHES * len(rows) + 0.9),
        dpi=110,
        layout="constrained",
    )
    widths = [1.8, *[INCHES] * len(views), bar]
    grid = figure.subplots(len(rows), len(widths), squeeze=False, width_ratios=widths)
    for index, (found, label) in enumerate(zip(rows, labels, strict=True)):
        text, *panel_axes, bar_axes = grid[index]
        panels, limit = faded_panels(
            found,
            regions=None if regions is None else regions[index],
            critical=None if critical is None else critical[index],
        )
        for axes, view in zip(panel_axes, views, strict=True):
            axes.imshow(panels[view], interpolation="antialiased")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if index == 0:
                axes.set_title(textwrap.fill(found.names()[view], 28), fontsize=9)
        lines = [*label.splitlines(), told(found, brief=True)]
        wrapped = "\n".join(textwrap.fill(line, WIDTH) for line in lines)
        text.text(0.0, 0.5, wrapped, fontsize=8, va="center", transform=text.transAxes)
        text.axis("off")
        bar_axes.axis("off")
        colour_bar(figure, bar_axes, limit, found.unit, inside=True)
    if regions is not None or critical is not None:
        legend(figure, regions=regions is not None, critical=critical_name if critical else "")
    if title:
        # The legend stands on the first line.
        figure.suptitle("\n" + textwrap.fill(title, 110), fontsize=9, x=0.01, ha="left")
    figure.supxlabel("\n".join([*notes, FADED]), fontsize=7.5, x=0.01, ha="left")
    return figure
