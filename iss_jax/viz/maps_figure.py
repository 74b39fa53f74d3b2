"""Maps of which no error is known: what baselines, tokens and critical sets say, as it is.

The colour map is `inferno`: perceptually uniform, dark low and bright high.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from iss_jax.extras import imports_of
from iss_jax.viz.frames import displayed, magnified
from iss_jax.viz.overlays import overlay
from iss_jax.viz.picture import Picture

with imports_of("viz"):
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

COLORMAP = "inferno"


def maps_figure(
    maps: Mapping[str, Float[np.ndarray, "h w"]],
    *,
    valid: Mapping[str, Bool[np.ndarray, "h w"]] | None = None,
    frames: Mapping[str, Any] | None = None,
    label: str = "",
    note: str = "",
) -> Picture:
    """A panel a view, all with one scale of colours.

    Args:
        maps: View -> its map.
        valid: View -> pixels that took part; views without any are left out.
        frames: View -> frame under the map, of its size; plain colours when None.
        label: Of the colour bar, with the unit.
        note: Below the panels.

    Raises:
        ValueError: Frames of another size, or of unknown range.
    """
    there = {v: np.ones(np.shape(m), bool) if valid is None else valid[v] for v, m in maps.items()}
    views = [view for view, inside in there.items() if np.asarray(inside).any()] or list(maps)
    shown = {view: np.asarray(maps[view], np.float32) for view in views}
    inside = [shown[view][np.asarray(there[view])] for view in views]
    scores = np.concatenate([part for part in inside if part.size] or [np.zeros(1)])
    low, high = float(np.nanmin(scores)), float(np.nanmax(scores))
    under = None if frames is None else displayed({view: frames[view] for view in views})
    figure = Picture(figsize=(2.5 * len(views) + 1.2, 3.0), dpi=96, layout="constrained")
    grid = figure.subplots(1, len(views), squeeze=False)[0]
    for axes, view in zip(grid, views, strict=True):
        saliency = np.nan_to_num(shown[view], nan=low)
        frame = np.zeros((*saliency.shape, 3), np.uint8) if under is None else under[view]
        opacity = np.where(np.asarray(there[view]), 1.0 if under is None else 0.6, 0.0)
        blended = overlay(frame, saliency, limits=(low, high), opacity=opacity, colormap=COLORMAP)
        axes.imshow(magnified(blended), interpolation="antialiased")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_title(textwrap.fill(view, 28), fontsize=9)
    colours = ScalarMappable(Normalize(low, high), colormaps[COLORMAP])
    bar = figure.colorbar(colours, ax=grid, shrink=0.8, aspect=16, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    bar.set_label(textwrap.fill(label, 40), fontsize=7)
    if note:
        figure.supxlabel(note, fontsize=7.5, x=0.01, ha="left")
    return figure
