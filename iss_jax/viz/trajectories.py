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
OUTCOMES = {True: ("#0072b2", "success"), False: ("#d55e00", "failure")}


class Path(NamedTuple):
    """One episode's path.

    Attributes:
        position: of the end effector, metres.
        success: whether the task was done.
        values: one a frame, which colours the path; None colours it by success.
    """

    position: Float[np.ndarray, "t 3"]
    success: bool
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
            colour, _ = OUTCOMES[bool(path.success)]
            # A path of one position is that point alone.
            if path.values is None or len(path.position) < 2:
                axes.plot(*path.position.T, color=colour, linewidth=1, alpha=0.8)
            else:
                lines = _coloured(axes, path.position, path.values, limits)
            marker = "o" if path.success else "X"
            axes.scatter(*path.position[-1], color=colour, s=22, marker=marker, depthshade=False)
            axes.scatter(*path.position[0], color="0.2", s=8, depthshade=False)
        _frame(axes, np.concatenate([path.position for path in paths]))
        done = sum(bool(path.success) for path in paths)
        title = textwrap.fill(title, 50)
        axes.set_title(f"{title}\n{done} of {len(paths)} succeed", fontsize=8)
    for axes in grid[len(tasks) :]:
        axes.set_visible(False)
    handles = [
        grid[0].plot([], [], marker="oX"[not good], color=colour, linestyle="-", label=name)[0]
        for good, (colour, name) in OUTCOMES.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    if lines is not None:
        figure.colorbar(lines, ax=list(grid[: len(tasks)]), label=label, shrink=0.6, pad=0.14)
    return figure


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
