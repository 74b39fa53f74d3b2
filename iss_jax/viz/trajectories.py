"""Paths of the end effector through space, as Figure 7, coloured by what came of them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from iss_jax.extras import imports_of
from iss_jax.viz.picture import Figure

with imports_of("viz"):
    from matplotlib.ticker import MaxNLocator
    from mpl_toolkits.mplot3d import Axes3D
    from mpl_toolkits.mplot3d.art3d import Line3DCollection

# Blue and vermilion of Okabe and Ito: apart without red-green vision.
OUTCOMES = {
    True: ("#0072b2", "success"),
    False: ("#d55e00", "failure"),
    None: ("#666666", "outcome not known"),
}
_MARKERS = {True: "o", False: "X", None: "s"}


class Path(NamedTuple):
    """One episode's path.

    Attributes:
        position: of the end effector, metres.
        success: whether the task was done; None where nobody says.
        values: one a frame, which colours the path; None colours it by success.
    """

    position: Float[np.ndarray, "t 3"]
    success: bool | None
    values: Float[np.ndarray, " t"] | None = None


def trajectories_figure(
    tasks: Mapping[str, Sequence[Path]], *, label: str = "", columns: int = 2
) -> Figure:
    """A panel a task with the paths of its episodes, a dot where each begins.

    Args:
        tasks: title of the panel to its paths.
        label: of the colour bar, where paths have values.
        columns: panels in a row.

    Returns:
        The figure, not yet saved or shown.

    Raises:
        ValueError: no task, or a task without a path.
    """
    if not tasks or not all(tasks.values()):
        raise ValueError(f"every task must have a path, got {[*map(len, tasks.values())]}")
    columns = min(columns, len(tasks))
    rows = -(-len(tasks) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.7 * rows + 0.4), dpi=150, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, subplot_kw={"projection": "3d"}).ravel()
    values = [p.values for paths in tasks.values() for p in paths if p.values is not None]
    spread = np.concatenate(values) if values else np.zeros(1)
    limits = (float(np.nanmin(spread)), float(np.nanmax(spread)))
    lines = None
    for axes, (title, paths) in zip(grid, tasks.items(), strict=False):
        for path in paths:
            outcome = _outcome(path)
            colour, _ = OUTCOMES[outcome]
            # A path of one position is that point alone.
            if path.values is None or len(path.position) < 2:
                axes.plot(*path.position.T, color=colour, linewidth=1, alpha=0.8)
            else:
                lines = _coloured(axes, path.position, path.values, limits)
            end = {"s": 22, "marker": _MARKERS[outcome], "depthshade": False}
            axes.scatter(*path.position[-1], color=colour, **end)
            axes.scatter(*path.position[0], color="0.2", s=8, depthshade=False)
        _frame(axes, np.concatenate([path.position for path in paths]))
        axes.set_title("\n".join([textwrap.fill(title, 50), *_counted(paths)]), fontsize=8)
    for axes in grid[len(tasks) :]:
        axes.set_visible(False)
    # Both outcomes where one is known, so that the missing one is seen to be missing.
    found = {_outcome(path) for paths in tasks.values() for path in paths}
    named = [outcome for outcome in (True, False) if found != {None}] + [None] * (None in found)
    handles = [
        grid[0].plot([], [], marker=_MARKERS[outcome], color=colour, linestyle="-", label=name)[0]
        for outcome in named
        for colour, name in [OUTCOMES[outcome]]
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    if lines is not None:
        figure.colorbar(lines, ax=list(grid[: len(tasks)]), label=label, shrink=0.6, pad=0.14)
    return figure


def _outcome(path: Path) -> bool | None:
    return None if path.success is None else bool(path.success)


def _counted(paths: Sequence[Path]) -> list[str]:
    """How many of those succeed whose outcome is known; nothing where none is."""
    known = [outcome for outcome in map(_outcome, paths) if outcome is not None]
    unknown = f", {len(paths) - len(known)} not known" if len(known) < len(paths) else ""
    return [f"{sum(known)} of {len(known)} succeed{unknown}"] if known else []


def _coloured(
    axes: Axes3D,
    position: Float[np.ndarray, "t 3"],
    values: Float[np.ndarray, " t"],
    limits: tuple[float, float],
) -> Line3DCollection:
    segments = np.stack([position[:-1], position[1:]], axis=1)
    lines = Line3DCollection(segments, cmap="viridis", linewidths=2)
    lines.set_array((values[:-1] + values[1:]) / 2)
    lines.set_clim(*limits)
    axes.add_collection3d(lines)
    return lines


def _frame(axes: Axes3D, points: Float[np.ndarray, "n 3"]) -> None:
    low, high = points.min(0), points.max(0)
    margin = 0.05 * (high - low).max() + 1e-3
    for name, start, stop in zip("xyz", low - margin, high + margin, strict=True):
        getattr(axes, f"set_{name}lim")(start, stop)
        getattr(axes, f"set_{name}label")(f"{name} (m)", fontsize=7)
        getattr(axes, f"{name}axis").set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=6)
    # Zoomed out, or the labels of the axes leave the panel.
    axes.set_box_aspect(high - low + 2 * margin, zoom=0.85)  # pyright: ignore
