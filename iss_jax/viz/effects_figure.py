"""What a policy acts on: one frame with its players coloured by their share, and the shares.

Above are the frames as they are, beneath them the same in grey with each player in the colour of
its share. The colours are matplotlib's `plasma`, perceptually uniform and told apart without
red-green vision; frames are grey beneath, or their own colours would mix with it. A player is
coloured as far as its share is known: not at all within one of its errors, fully beyond two
(`iss_jax.contrasts.support`). Players that no donor changed were not tested, and are hatched. The
bars beside give the numbers, in the same colours.
"""

from __future__ import annotations

import textwrap
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage

from iss_jax import contrasts, fills
from iss_jax.effect_reasons import REASONS
from iss_jax.effects import Effects
from iss_jax.extras import imports_of
from iss_jax.viz.frames import displayed, factor
from iss_jax.viz.overlays import grey, magnify
from iss_jax.viz.picture import Picture

with imports_of("viz"):
    from matplotlib import colormaps, patheffects
    from matplotlib.ticker import PercentFormatter

COLORMAP = "plasma"
# The map's dark end would look like a darker frame.
START = 0.15
# Weight of a colour at its thickest, and the share of the largest share from which it is so.
OPACITY, FULL = 0.75, 0.5
EDGE, EDGE_WEIGHT = 255.0, 0.75  # outlines between players
HATCH = 8  # pixels between two lines over a player that was not tested
MOST = 8  # bars
NAME = 24  # characters of a bar's name
MARKED = 0.15  # a player of less than this share of the largest is not numbered in the picture

FADED = "A share within one of its errors of 0 is not coloured, one beyond two fully."


class Shown(NamedTuple):
    """What a picture of one observation needs of its players.

    Attributes:
        share: Of each player; 0 where shares are not known.
        low: Two standard errors below it, at least 0.
        high: Two above it, at most 1.
        support: How far it may be coloured, in [0, 1].
        order: Players that have pixels, the largest share first.
        tested: Whether its donors changed it.
        area: Its part of all players' pixels.
        limit: Share at the colours' end.
    """

    share: Float[np.ndarray, " k"]
    low: Float[np.ndarray, " k"]
    high: Float[np.ndarray, " k"]
    support: Float[np.ndarray, " k"]
    order: Int[np.ndarray, " n"]
    tested: Bool[np.ndarray, " k"]
    area: Float[np.ndarray, " k"]
    limit: float


def shown(found: Effects, limit: float | None = None) -> Shown:
    """What of one observation is shown.

    Args:
        found: One observation, without batch axes.
        limit: Share at the colours' end; the largest that is coloured when None.
    """
    known = bool(np.asarray(found.valid))
    share = np.asarray(found.share, np.float64) * known
    support = np.asarray(contrasts.support(found.share, found.share_stderr), np.float64)
    if np.asarray(found.by_draw).shape[-2] < 2:
        support = np.ones_like(support)  # the errors of one draw are not known
    area = np.asarray(found.area, np.float64)
    # Not `intervals`: those of shares near 0 reach as far as a single unlucky draw could.
    reach = contrasts.ERRORS * np.asarray(found.share_stderr, np.float64)
    low, high = share - reach, share + reach
    if found.config is None or found.config.estimator == "one_at_a_time":
        # No effect of a player alone is negative; of other estimators nothing is cut off.
        low, high = np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
    support = support * known
    if limit is None:
        limit = float(np.max(share, where=support > 0, initial=0.0)) or 1.0
    tested = np.asarray(found.tested)
    # What is changed without a pixel, such as the instruction, has a share, too.
    there = np.flatnonzero((area > 0) | tested)
    order = there[np.argsort(-share[there], kind="stable")]
    return Shown(share, low, high, support, order, tested, area / max(area.sum(), 1e-12), limit)


def effects_figure(found: Effects) -> Picture:
    """The frames of one observation, the same with its players, and their shares.

    Args:
        found: One observation, without batch axes.

    Raises:
        ValueError: Frames of unknown range.
    """
    views = present_views(found)
    what = shown(found)
    panels = players_panels(found, what)
    rows = [panels]
    if found.frames is not None:
        frames = displayed({view: found.frames[view] for view in views})
        rows = [{v: magnify(i, factor(i.shape[0])) for v, i in frames.items()}, panels]
    side, bars = 2.3, 3.4
    figure = Picture(
        figsize=(side * len(views) + bars + 0.4, side * len(rows) + 1.1),
        dpi=96,
        layout="constrained",
    )
    grid = figure.add_gridspec(len(rows), len(views) + 1, width_ratios=[*[side] * len(views), bars])
    for i, row in enumerate(rows):
        for j, view in enumerate(views):
            axes = figure.add_subplot(grid[i, j])
            show(axes, row[view])
            if row is panels:
                number(axes, np.asarray(found.players.labels[view]), what)
            if i == 0:
                axes.set_title(textwrap.fill(found.cameras.get(view) or view, 28), fontsize=9)
            if j == 0:
                axes.set_ylabel(("frame", "acts on")[i - len(rows)], fontsize=9)
    share_bars(figure.add_subplot(grid[:, -1]), found, what)
    said = found.sentence()
    title = textwrap.fill(said if said.startswith("no") else f"Acts on: {said}", 105)
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    figure.supxlabel(textwrap.fill(footer(found), 150), fontsize=7.5, x=0.01, ha="left")
    return figure


def show(axes: Any, image: UInt8[np.ndarray, "h w 3"]) -> None:
    """An image without ticks and frame."""
    axes.imshow(image, interpolation="antialiased")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def numbered(what: Shown, most: int = MOST) -> list[int]:
    """Players that are numbered in the picture, by their place among the bars."""
    least = MARKED * what.limit
    return [int(i) for i in what.order[:most] if what.support[i] > 0 and what.share[i] > least]


def number(axes: Any, labels: Int[np.ndarray, "h w"], what: Shown, most: int = MOST) -> None:
    """The places of the largest players in one view, each in the middle of its widest piece.

    Args:
        axes: Of the view's panel, see `players_panel`.
        labels: Number of each pixel's player.
        what: Of the players.
        most: Bars beside it.
    """
    by = factor(labels.shape[0])
    rank = {int(i): place + 1 for place, i in enumerate(what.order)}
    for i in numbered(what, most):
        # Distance to the next other pixel, the frame's border included.
        padded = np.pad(labels == i, 1)
        inside = np.asarray(ndimage.distance_transform_edt(padded))[1:-1, 1:-1]
        if inside.max() < 1.5:
            continue
        row, column = np.unravel_index(inside.argmax(), inside.shape)
        axes.text(
            by * (column + 0.5),
            by * (row + 0.5),
            str(rank[i]),
            color="white",
            fontsize=8,
            fontweight="bold",
            ha="center",
            va="center",
            path_effects=[patheffects.withStroke(linewidth=1.8, foreground="black")],
        )


def present_views(found: Effects) -> list[str]:
    """Views in which a player has pixels; all where none has."""
    labels = {view: np.asarray(own) for view, own in found.players.labels.items()}
    return [view for view, own in labels.items() if (own >= 0).any()] or list(labels)


def players_panels(found: Effects, what: Shown) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """View -> grey frame with each player in the colour of its share.

    Args:
        found: One observation, without batch axes. Without frames the players lie on grey.
        what: Of the same.
    """
    views = present_views(found)
    sizes = {view: np.shape(found.players.labels[view]) for view in views}
    if found.frames is None:
        frames = {view: np.full((*size, 3), 127, np.uint8) for view, size in sizes.items()}
    else:
        frames = displayed({view: found.frames[view] for view in views})
    return {
        view: players_panel(frames[view], np.asarray(found.players.labels[view]), what)
        for view in views
    }


def players_panel(
    frame: UInt8[np.ndarray, "h w 3"], labels: Int[np.ndarray, "h w"], what: Shown
) -> UInt8[np.ndarray, "H W 3"]:
    """A grey frame, magnified, under its players' colours.

    Args:
        frame: The frame.
        labels: Number of each pixel's player, negative for none.
        what: Of the players.
    """
    by = factor(frame.shape[0])
    labels = magnify(labels, by)
    below = grey(magnify(frame, by)).astype(np.float64)
    nobody = labels < 0
    colours, weights = colours_of(what.share, what)
    weight = np.where(nobody, 0.0, weights[labels])[..., None]
    blended = (1 - weight) * below + weight * 255 * colours[labels]
    # Fine lines over what was not tested.
    rows, columns = np.indices(labels.shape)
    lines = ((rows + columns) % HATCH == 0) & ~nobody & ~what.tested[labels]
    blended[lines] = 0.5 * blended[lines] + 0.5 * 255
    # Outlines of what is coloured; all others are hardly seen.
    strong = what.support * np.clip(what.share / (FULL * what.limit), 0.0, 1.0)
    edge, weight = edges(labels, np.where(nobody, 0.0, strong[labels]))
    weight = (0.15 + (EDGE_WEIGHT - 0.15) * weight)[..., None] * edge[..., None]
    return np.round((1 - weight) * blended + weight * EDGE).astype(np.uint8)


def colours_of(
    share: Float[np.ndarray, " n"], what: Shown, support: Float[np.ndarray, " n"] | None = None
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"]]:
    """The colour of each share, and its weight over the grey."""
    level = np.clip(share / what.limit, 0.0, 1.0)
    colours = colormaps[COLORMAP](START + (1 - START) * level)[..., :3]
    thickness = OPACITY * np.clip(level / FULL, 0.0, 1.0)
    return colours, thickness * (what.support if support is None else support)


def edges(
    labels: Int[np.ndarray, "h w"], strength: Float[np.ndarray, "h w"]
) -> tuple[Bool[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Pixels next to another player's, two wide, and the larger strength of both sides."""
    edge = np.zeros(labels.shape, bool)
    most = np.zeros(labels.shape)
    for axis in (0, 1):
        one = [slice(None)] * 2
        other = [slice(None)] * 2
        one[axis], other[axis] = slice(None, -1), slice(1, None)
        a, b = tuple(one), tuple(other)
        differ = labels[a] != labels[b]
        both = np.where(differ, np.maximum(strength[a], strength[b]), 0.0)
        for side in (a, b):
            edge[side] |= differ
            most[side] = np.maximum(most[side], both)
    return edge, most


def share_bars(axes: Any, found: Effects, what: Shown, most: int = MOST) -> None:
    """The largest shares of one observation with their errors and areas, as horizontal bars.

    Args:
        axes: Where.
        found: One observation, without batch axes.
        what: Of the same.
        most: Bars of players.
    """
    reason = int(np.asarray(found.reason))
    axes.spines[["top", "right"]].set_visible(False)
    if reason:
        axes.axis("off")
        text = textwrap.fill(f"No shares: {REASONS[reason]}.", 40)
        axes.text(0.05, 0.5, text, fontsize=9, va="center", transform=axes.transAxes)
        return
    order, rest = what.order[:most], what.order[most:]
    colours, weights = colours_of(what.share, what)
    # As they look over a frame of mid-grey.
    seen = weights[:, None] * colours + (1 - weights[:, None]) * 0.72
    place = np.arange(len(order))
    axes.barh(place, what.share[order], color=seen[order], edgecolor="0.3", linewidth=0.5)
    several = found.by_draw.shape[-2] > 1
    for row, i in zip(place, order, strict=True):
        if several and what.tested[i]:
            axes.plot([what.low[i], what.high[i]], [row, row], color="black", linewidth=1.1)
    axes.vlines(what.area[order], place - 0.36, place + 0.36, color="tab:blue", linewidth=1.6)
    names, marked = found.shown_names(), set(numbered(what, most))
    labels = []
    for row, i in enumerate(order.tolist()):
        name = textwrap.shorten(names[i], NAME, placeholder="…")
        before = f"{row + 1}  " if i in marked else ""
        after = f"{100 * what.share[i]:.0f} %" if what.tested[i] else "not tested"
        labels.append(f"{before}{name}  {after}")
    axes.set_yticks(place, labels, fontsize=8)
    axes.set_ylim(max(len(order), 6) - 0.4, -0.6)
    ends = [what.share, what.area, *([what.high] if several else [])]
    right = 1.05 * max(float(end[order].max(initial=1e-9)) for end in ends)
    least = [what.share, *([what.low] if several else [])]
    left = 1.05 * min(float(end[order].min(initial=0.0)) for end in least)
    if left >= 0.0:
        right = min(1.0, right)
    axes.set_xlim(min(left, 0.0), right)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("share of the effect, ± 2 standard errors", fontsize=8)
    title = "blue: share of the pixels"
    if rest.size:
        title += f"; {len(rest)} more players: {100 * what.share[rest].sum():.0f} %"
    axes.set_title(title, fontsize=8, color="0.25", loc="left")


def footer(found: Effects) -> str:
    """How many runs of what, and what an effect is."""
    draws, count = np.shape(found.by_draw)[-2:]
    config = found.config
    parts = []
    if config is not None:
        runs = config.runs(count, len(found.beside))
        parts.append(f"{runs} runs: {draws} draws, fill {fills.described(config.fill)}.")
    else:
        parts.append(f"{draws} draws.")
    parts.append(FADED)
    if not np.asarray(found.tested)[np.asarray(found.area) > 0].all():
        parts.append("Hatched: not tested, for its donors do not change it.")
    if found.beside and not int(np.asarray(found.reason)):
        total = float(np.asarray(found.effects).sum())
        beside = [
            f"{name} {float(np.asarray(own).mean()) / total:.2f}"
            for name, own in found.beside.items()
        ]
        parts.append(f"Beside the players, over their sum: {', '.join(beside)}.")
    if found.unit:
        parts.append(f"Effect: {found.unit}.")
    return " ".join(parts)
