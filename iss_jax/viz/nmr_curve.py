"""NMR over an episode, beside its chance level and random explanations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from iss_jax.extras import imports_of
from iss_jax.viz.picture import Figure

with imports_of("viz"):
    from matplotlib.axes import Axes


class Curve(NamedTuple):
    """NMR of t frames.

    Attributes:
        times: of the frames, seconds.
        nmr: over all views.
        chance: nuisance share of the area.
        random: nmr of random explanations of the same frames, one a column.
        computed: frames whose saliency was computed; the others lie between.
        percent: k.
    """

    times: Float[np.ndarray, " t"]
    nmr: Float[np.ndarray, " t"]
    chance: Float[np.ndarray, " t"]
    random: Float[np.ndarray, "t draws"]
    computed: Bool[np.ndarray, " t"]
    percent: float


def draw_curve(axes: Axes, curve: Curve) -> None:
    """The curve, its chance level, and the band of 90 % of the random explanations."""
    low, high = np.quantile(curve.random, (0.05, 0.95), axis=1)
    axes.fill_between(
        curve.times, low, high, color="0.85", linewidth=0, label="random maps, 5 to 95 %"
    )
    axes.plot(curve.times, curve.chance, color="0.4", linestyle=":", linewidth=1.2, label="chance")
    axes.plot(curve.times, curve.nmr, color="C3", linewidth=1.6, label=f"nmr@{curve.percent:g}")
    axes.plot(curve.times[curve.computed], curve.nmr[curve.computed], "o", color="C3", markersize=3)
    top = max(np.nanmax(curve.nmr), high.max(), curve.chance.max())
    axes.set(xlabel="time (s)", ylabel=f"nmr@{curve.percent:g}", ylim=(0, min(1.0, 1.15 * top)))
    if len(curve.times) > 1:
        axes.set_xlim(curve.times[0], curve.times[-1])
    axes.spines[["top", "right"]].set_visible(False)


def nmr_figure(
    curve: Curve,
    views: Mapping[str, tuple[Float[np.ndarray, " t"], Float[np.ndarray, " t"]]],
    *,
    title: str,
) -> Figure:
    """The joint curve, and below it every view on its own with its chance level.

    Args:
        curve: of all views together.
        views: name to its nmr and its chance level.
        title: above the figure.

    Returns:
        The figure, not yet saved or shown.
    """
    figure = Figure(figsize=(7.2, 5.0), dpi=150, layout="constrained")
    joint, single = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    draw_curve(joint, curve)
    joint.set(xlabel="")
    joint.set_title(title, loc="left", fontsize=8)
    joint.legend(fontsize=7, frameon=False, ncols=3, loc="upper right")
    for index, (name, (nmr, chance)) in enumerate(views.items()):
        single.plot(curve.times, nmr, color=f"C{index}", linewidth=1.3, label=name)
        single.plot(curve.times, chance, color=f"C{index}", linewidth=1, linestyle=":")
    single.plot([], [], color="0.4", linewidth=1, linestyle=":", label="chance")
    single.set(xlabel="time (s)", ylabel=f"nmr@{curve.percent:g}, one view", ylim=(0, 1))
    single.legend(fontsize=7, frameon=False, ncols=4, loc="upper right")
    single.spines[["top", "right"]].set_visible(False)
    return figure


def compare_figure(curves: Sequence[Curve], labels: Sequence[str]) -> Figure:
    """NMR less its chance level of several episodes over time.

    Args:
        curves: one an episode.
        labels: one an episode.

    Returns:
        The figure, not yet saved or shown.
    """
    figure = Figure(figsize=(7.2, 3.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    for curve, label in zip(curves, labels, strict=True):
        axes.plot(curve.times, curve.nmr - curve.chance, linewidth=1.5, label=label)
    axes.axhline(0, color="0.4", linewidth=0.8, linestyle=":")
    axes.set(xlabel="time (s)", ylabel=f"nmr@{curves[0].percent:g} less chance")
    figure.legend(loc="outside lower center", fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
