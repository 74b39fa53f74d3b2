"""One observation's frames under its saliency map, as far as the map's own errors support it.

Colours are contrasts, a cell's score less the mean of the map: the mean effect, which all cells
share, ranks nothing. The colour map is Moreland's `coolwarm` ("Diverging Color Maps for Scientific
Visualization", 2009): perceptually uniform to both sides of its neutral middle, which lies at the
mean, and told apart without red-green vision. Frames are grey beneath, or their own colours would
mix with it. How strongly a cell is coloured says how well it is known: not at all within one of its
errors, fully beyond two (`iss_jax.contrasts.support`). Towards the mean colours thin out as well,
for a veil in the neutral colour would hide the frame and say nothing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from iss_jax import contrasts
from iss_jax.extras import imports_of
from iss_jax.few import few
from iss_jax.masks import upsample
from iss_jax.results import Saliency, told
from iss_jax.viz.frames import displayed, factor, magnified
from iss_jax.viz.overlays import OUTLINES, grey, magnify, overlay
from iss_jax.viz.picture import Picture
from iss_jax.viz.regions import NAMES

with imports_of("viz"):
    from matplotlib import colormaps, patches
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

COLORMAP = "coolwarm"
# Outline of critical pixels: none of the map's colours, and seen on black and on white.
CRITICAL = (255, 190, 0)
# Weight of a colour at its thickest, and the share of the colours' limit from which it is so.
OPACITY, FULL = 0.8, 0.25


def saliency_figure(found: Saliency, *, regions: Mapping[str, Any] | None = None) -> Picture:
    """The frames of one observation, and the same under its map.

    Args:
        found: One observation, without batch axes.
        regions: View -> labels at the map's size, outlined.

    Raises:
        ValueError: Labels of unknown views or of another size, or frames of unknown range.
    """
    views = present_views(found)
    panels, limit = faded_panels(found, regions=regions)
    frames = frames_of(found)
    plain = {view: magnified(frames[view]) for view in views}
    rows = [panels] if found.frames is None else [plain, panels]
    figure = Picture(
        figsize=(2.35 * len(views) + 1.2, 2.3 * len(rows) + 0.75), dpi=96, layout="constrained"
    )
    grid = figure.subplots(len(rows), len(views), squeeze=False)
    for axes_row, row in zip(grid, rows, strict=True):
        for axes, view in zip(axes_row, views, strict=True):
            axes.imshow(row[view], interpolation="antialiased")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
    for axes, name in zip(grid[:, 0], ("frame", "map")[-len(rows) :], strict=True):
        axes.set_ylabel(name, fontsize=9)
    for axes, view in zip(grid[0], views, strict=True):
        axes.set_title(textwrap.fill(found.names()[view], 28), fontsize=9)
    colour_bar(figure, grid, limit, found.unit)
    if regions is not None:
        legend(figure)
    figure.supxlabel(f"{told(found)}.\n{FADED}", fontsize=7.5, x=0.01, ha="left")
    return figure


FADED = "Cells within one of their errors of the mean are not coloured, those beyond two fully."


def faded_panels(
    found: Saliency,
    *,
    regions: Mapping[str, Any] | None = None,
    critical: Mapping[str, Any] | None = None,
    limit: float | None = None,
) -> tuple[dict[str, UInt8[np.ndarray, "h w 3"]], float]:
    """View -> grey frame under what its errors support of the map; and where the colours end.

    Args:
        found: One observation, without batch axes. Without frames the map lies on grey.
        regions: View -> labels at the map's size, outlined.
        critical: View -> critical pixels of a map of that size, outlined.
        limit: Contrast at the colours' ends; the largest that is shown when None.

    Raises:
        ValueError: Labels of unknown views or of another size, or frames of unknown range.
    """
    views = present_views(found)
    for name, given in (("regions", regions), ("critical", critical)):
        unknown = sorted(set(given or {}) - set(found.maps))
        if unknown:
            raise ValueError(f"{name} name views {few(unknown)}, maps hold {few(found.maps)}")
    contrast = np.asarray(found.contrast)
    errors = jnp.asarray(found.contrast_stderr)
    shown = np.asarray(contrasts.support(found.contrast, errors))
    if limit is None:
        limit = colour_limit(contrast, shown)
    frames = frames_of(found)
    rows = {view: row for row, view in enumerate(found.maps)}
    panels = {}
    for view in views:
        outlined = [
            None if given is None or view not in given else np.asarray(given[view])
            for given in (regions, critical)
        ]
        panels[view] = faded_overlay(
            frames[view],
            contrast[rows[view]],
            shown[rows[view]],
            limit,
            valid=np.asarray(found.valid[view]),
            regions=outlined[0],
            critical=outlined[1],
        )
    return panels, limit


def faded_overlay(
    frame: UInt8[np.ndarray, "h w 3"],
    contrast: Float[np.ndarray, "gh gw"],
    shown: Float[np.ndarray, "gh gw"],
    limit: float,
    *,
    valid: np.ndarray | None = None,
    regions: np.ndarray | None = None,
    critical: np.ndarray | None = None,
) -> UInt8[np.ndarray, "H W 3"]:
    """A grey frame, magnified, under the contrasts of its cells.

    Args:
        frame: The frame.
        contrast: Of each cell.
        shown: How strongly each cell is coloured, in [0, 1], see `contrasts.support`.
        limit: Contrast at the colours' ends.
        valid: Pixels that took part; all when None.
        regions: Labels of the pixels, outlined; none when None.
        critical: Critical pixels, outlined; none when None.

    Raises:
        ValueError: Sizes that differ.
    """
    by = factor(frame.shape[0])
    size = (frame.shape[0] * by, frame.shape[1] * by)
    scores, strength = (
        np.asarray(upsample(jnp.asarray(cells, jnp.float32), size)) for cells in (contrast, shown)
    )
    opacity = strength * thickness(scores / limit)
    larger = [None if a is None else magnify(a, by) for a in (valid, regions, critical)]
    if larger[0] is not None:
        opacity = opacity * larger[0]
    return overlay(
        grey(magnify(frame, by)),
        scores,
        larger[1],
        limits=(-limit, limit),
        opacity=opacity,
        colormap=COLORMAP,
        critical=larger[2],
        critical_colour=CRITICAL,
        width=2 if by > 1 else 1,
    )


def thickness(level: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Opacity of a well known contrast, from 0 at the mean to `OPACITY` at `FULL` of the limit."""
    return OPACITY * np.clip(np.abs(level) / FULL, 0.0, 1.0)


def colour_limit(contrast: np.ndarray, shown: np.ndarray) -> float:
    """The largest contrast of what is shown; of all where nothing is. Never zero."""
    size = np.abs(contrast)
    limit = float(np.max(size, where=shown > 0, initial=0.0))
    return limit or float(size.max()) or 1.0


def present_views(found: Saliency) -> list[str]:
    """Views of which any pixel took part; all where none did."""
    there = [view for view, inside in found.valid.items() if np.asarray(inside).any()]
    return there or list(found.valid)


def frames_of(found: Saliency) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """View -> frame as uint8; mid-grey where frames are not known."""
    if found.frames is not None:
        return displayed(found.frames)
    sizes = {view: np.shape(saliency) for view, saliency in found.maps.items()}
    return {view: np.full((*size, 3), 127, np.uint8) for view, size in sizes.items()}


def colour_bar(figure: Any, axes: Any, limit: float, unit: str, *, inside: bool = False) -> None:
    """What the colours of `faded_overlay` stand for, beside some axes or inside one of its own."""
    level = np.linspace(-1, 1, 257)
    weight = thickness(level)[:, None]
    # As they look over a frame of mid-grey.
    shades = weight * colormaps[COLORMAP]((level + 1) / 2)[:, :3] + (1 - weight) * 0.5
    colours = ScalarMappable(Normalize(-limit, limit), ListedColormap(shades))
    if inside:
        bar = figure.colorbar(colours, cax=axes.inset_axes((0.02, 0.04, 0.14, 0.92)))
    else:
        bar = figure.colorbar(colours, ax=axes, shrink=0.8, aspect=22, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    bar.ax.yaxis.get_offset_text().set_fontsize(7)
    bar.formatter.set_powerlimits((-2, 3))
    what = "effect of masking a cell,\nless the map's mean"
    bar.set_label(f"{what}\n({textwrap.fill(unit, 42)})" if unit else what, fontsize=6.5)


def legend(figure: Any, *, regions: bool = True, critical: str = "") -> None:
    """What the outlines stand for: those of the regions, and of the critical pixels if named."""
    entries = [(NAMES[label], colour) for label, colour in OUTLINES.items()] if regions else []
    if critical:
        entries.append((critical, CRITICAL))
    handles = [
        patches.Patch(facecolor="0.6", edgecolor=hexadecimal(colour), linewidth=1.5, label=name)
        for name, colour in entries
    ]
    figure.legend(
        handles=handles, loc="outside upper right", ncols=len(handles), fontsize=7, frameon=False
    )


def hexadecimal(colour: tuple[int, int, int]) -> str:
    """Bytes as matplotlib takes colours.

    >>> hexadecimal((0, 220, 90))
    '#00dc5a'
    """
    red, green, blue = colour
    return f"#{red:02x}{green:02x}{blue:02x}"
