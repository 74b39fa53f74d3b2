"""What a policy acts on over an episode: the players' shares over time, with their errors."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from iss_jax.contrasts import ERRORS
from iss_jax.effect_estimators import weighted_share
from iss_jax.effects import Effects
from iss_jax.extras import imports_of
from iss_jax.viz.picture import Picture

with imports_of("viz"):
    from matplotlib.ticker import PercentFormatter

MOST = 6  # players that have a curve of their own
# Okabe and Ito's, told apart without red-green vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
REST = "0.55"
GAP = 0.055  # between two names at the right, as a share of the axes


def shares_figure(
    found: Effects,
    times: Float[np.ndarray, " t"],
    *,
    title: str,
    most: int = MOST,
    notes: Sequence[str] = (),
) -> Picture:
    """Shares of the largest players over time, the others together, each named at its end.

    Bands hold two standard errors. A hollow mark was not tested: no donor changed the player there.
    Frames without shares leave a gap.

    Args:
        found: Of t frames, with the same players.
        times: Of the frames, seconds.
        title: Above the figure.
        most: Players with a curve of their own.
        notes: Below it, a line each.
    """
    share, error, rest, rest_error = shares_over_time(found, most)
    names = found.shown_names()
    tested: np.ndarray = np.asarray(found.tested).reshape(len(times), -1)
    largest = largest_players(found, most)
    figure = Picture(figsize=(8.4, 3.9), dpi=150, layout="constrained")
    axes = figure.subplots()
    ends: list[tuple[float, str, str]] = []
    curves = [
        (share[:, i], error[:, i], COLOURS[place % len(COLOURS)], names[i], tested[:, i])
        for place, i in enumerate(largest)
    ]
    others = int((np.asarray(found.area) > 0).any(0).sum()) - len(largest)
    if others > 0:
        everywhere = np.ones(len(times), bool)
        curves.append((rest, rest_error, REST, f"{others} others", everywhere))
    top = 0.0
    for values, errors, colour, name, known in curves:
        reach = np.where(np.isfinite(errors), ERRORS * errors, 0.0)
        low, high = np.clip(values - reach, 0, 1), np.clip(values + reach, 0, 1)
        axes.fill_between(times, low, high, color=colour, alpha=0.16, linewidth=0)
        axes.plot(times, values, color=colour, linewidth=1.6)
        _marks(axes, times, values, known, colour)
        there = np.flatnonzero(np.isfinite(values))
        if there.size:
            top = max(top, float(np.nanmax(high)))
            ends.append((float(values[there[-1]]), textwrap.shorten(name, 26), colour))
    top = min(1.0, 1.05 * top) or 1.0
    axes.set(xlabel="time (s)", ylabel="share of the effect, ± 2 errors", ylim=(0, top))
    if len(times) > 1:
        axes.set_xlim(times[0], times[-1])
    if not ends:
        axes.text(0.5, 0.5, "no shares", ha="center", transform=axes.transAxes, fontsize=9)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.spines[["top", "right"]].set_visible(False)
    heights = spread(np.array([value / top for value, _, _ in ends]), GAP)
    for height, (_, name, colour) in zip(heights, ends, strict=True):
        axes.annotate(
            name,
            (1.0, height),
            xytext=(6, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            color=colour if colour != REST else "0.35",
            fontsize=8,
            va="center",
        )
    axes.set_title(title, loc="left", fontsize=8)
    if np.any((np.asarray(found.area) > 0) & ~tested):
        notes = [*notes, "Hollow marks: not tested, no donor changes the player there."]
    if notes:
        figure.supxlabel("\n".join(notes), fontsize=7, x=0.01, ha="left")
    return figure


def largest_players(found: Effects, most: int) -> list[int]:
    """The players of the largest mean share over the frames that have shares, in that order."""
    valid = np.asarray(found.valid)
    shares = np.asarray(found.share)[valid]
    mean = shares.mean(0) if len(shares) else np.asarray(found.area).mean(0)
    there = np.max(np.asarray(found.area), axis=0) > 0
    order = np.argsort(-np.where(there, mean, -1.0), kind="stable")
    return [int(i) for i in order if i in np.flatnonzero(there)][:most]


def shares_over_time(
    found: Effects, most: int
) -> tuple[
    Float[np.ndarray, "t k"],
    Float[np.ndarray, "t k"],
    Float[np.ndarray, " t"],
    Float[np.ndarray, " t"],
]:
    """Shares and errors of all players, and of those together that are not the largest.

    NaN in frames that have no shares. The others' error is that of their sum, from the joint
    covariance.
    """
    weights = np.ones(len(found.names), np.float32)
    weights[largest_players(found, most)] = 0.0
    rest = weighted_share(
        found.effects,
        found.covariance,
        np.broadcast_to(weights, (*found.effects.shape[:-1], 1, len(weights))),
    )
    known: np.ndarray = np.asarray(found.valid)

    def where_known(values: Any) -> np.ndarray:
        values = np.asarray(values, np.float64)
        shown = known.reshape(-1, *[1] * (values.ndim - 1))
        return np.where(shown, values, np.nan)

    return (
        where_known(found.share),
        where_known(found.share_stderr),
        where_known(rest[0][:, 0]),
        where_known(rest[1][:, 0]),
    )


def spread(places: Float[np.ndarray, " n"], gap: float) -> Float[np.ndarray, " n"]:
    """Places moved apart by at least `gap`, in their order, as near to where they were as may be.

    >>> import numpy as np
    >>> spread(np.array([0.5, 0.5, 0.9]), 0.1).round(2).tolist()
    [0.45, 0.55, 0.9]
    """
    order = np.argsort(places, kind="stable")
    # Groups that touch are centred on the mean of what they want.
    groups: list[tuple[list[float], float]] = []
    for place in places[order].tolist():
        wanted = [place]
        while groups and groups[-1][1] + gap * len(groups[-1][0]) > _start(wanted, gap) - 1e-12:
            wanted = groups.pop()[0] + wanted
        groups.append((wanted, _start(wanted, gap)))
    moved = [start + gap * i for wanted, start in groups for i in range(len(wanted))]
    out = np.empty(len(places))
    out[order] = moved
    return out


def _start(wanted: Sequence[float], gap: float) -> float:
    """Where a group begins: its middle is the mean of what is wanted, and it stays above 0."""
    return max(0.0, float(np.mean(wanted)) - gap * (len(wanted) - 1) / 2)


def _marks(
    axes: Any,
    times: Float[np.ndarray, " t"],
    values: Float[np.ndarray, " t"],
    tested: Bool[np.ndarray, " t"],
    colour: str,
) -> None:
    axes.plot(times[tested], values[tested], "o", color=colour, markersize=3.5, clip_on=False)
    axes.plot(
        times[~tested],
        values[~tested],
        "o",
        markerfacecolor="white",
        markeredgecolor=colour,
        markersize=4,
        clip_on=False,
    )
