"""The video of an episode: frames, their saliency, and an NMR curve that moves with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float, UInt8

from iss_jax.checks import check_number
from iss_jax.data.atomic import atomic_path
from iss_jax.extras import imports_of
from iss_jax.viz.nmr_curve import Curve, draw_curve
from iss_jax.viz.picture import Figure
from iss_jax.viz.saliency_figure import colour_bar

with imports_of("viz"):
    from matplotlib.backends.backend_agg import FigureCanvasAgg


# Frames a second that a file is given at most.
FASTEST = 1000.0


class Frames(Protocol):
    """Pictures by their number."""

    def __getitem__(self, index: int, /) -> UInt8[np.ndarray, "h w 3"]:
        """One of them."""
        ...


def episode_frames(
    rows: Mapping[str, Mapping[str, Frames]],
    times: Float[np.ndarray, " t"],
    curve: Curve | None,
    *,
    title: str,
    dpi: int = 100,
    limit: float = 0.0,
    unit: str = "",
    told: Float[np.ndarray, " t"] | None = None,
) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """The pictures of the video, one by one.

    Args:
        rows: label of a row to its columns: name of the view to its frames, an array [t, h, w, 3]
            or anything that gives the picture of a number.
        times: of the frames, seconds.
        curve: NMR of the frames; a line marks the present one, and what is to come is pale. None
            where it is not known.
        title: above the picture.
        dpi: resolution.
        limit: contrast at the ends of the colours of faded maps, which get a colour bar; none when
            zero.
        unit: what an effect is, for the colour bar.
        told: share of each frame's cells that can be told from noise, said beside its NMR.

    Yields:
        A picture a frame; height and width are even, as video formats want them.
    """
    views = list(next(iter(rows.values())))
    width = 2.2 * len(views) + 0.4 + (1.1 if limit else 0.0)
    below = 2.2 if curve is not None else 0.6
    figure = Figure(figsize=(width, 2.2 * len(rows) + below), dpi=dpi, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    heights = (2.2 * len(rows), below)
    pictures, plot = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    grid = pictures.subplots(len(rows), len(views), squeeze=False)
    shown = []
    for axes_row, (label, columns) in zip(grid, rows.items(), strict=True):
        for axes, frames in zip(axes_row, columns.values(), strict=True):
            shown.append((axes.imshow(frames[0], interpolation="antialiased"), frames))
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        axes_row[0].set_ylabel(label, fontsize=8)
    for axes, view in zip(grid[0], views, strict=True):
        axes.set_title(view, fontsize=8)
    if limit:
        colour_bar(pictures, grid, limit, unit)
    axes = plot.subplots()
    now = veil = None
    if curve is None:
        axes.axis("off")
    else:
        draw_curve(axes, curve)
        axes.legend(fontsize=7, frameon=False, ncols=3, loc="upper right")
        now = axes.axvline(times[0], color="0.1", linewidth=1, zorder=4)
        veil = axes.axvspan(
            times[0], times[-1], facecolor="white", alpha=0.65, zorder=3, linewidth=0
        )
    axes.set_title(f"{title}\n", loc="left", fontsize=8)
    canvas.draw()
    # Laid out once, or the panels would move with the numbers in the title.
    figure.set_layout_engine("none")
    for index, time in enumerate(times):
        for image, frames in shown:
            image.set_data(frames[index])
        said = f"{time:.1f} s"
        if curve is not None and now is not None and veil is not None:
            now.set_xdata([time, time])
            veil.set_x(time)
            veil.set_width(times[-1] - time)
            nmr, chance = curve.nmr[index], curve.chance[index]
            said += f", nmr@{curve.percent:g} {nmr:.2f}, chance {chance:.2f}"
        if told is not None:
            said += f", {100 * told[index]:.0f} % of cells beyond 2 errors (chance: 5 %)"
        axes.set_title(f"{title}\n{said}", loc="left", fontsize=8)
        canvas.draw()
        picture = np.asarray(canvas.buffer_rgba())[..., :3]
        height, width = (side - side % 2 for side in picture.shape[:2])
        yield picture[:height, :width].copy()


def write_mp4(
    path: str | Path, frames: Iterable[UInt8[np.ndarray, "h w 3"]], *, fps: float
) -> Path:
    """Writes an H.264 video, whole or not at all.

    Args:
        path: where, with suffix `.mp4`.
        frames: pictures of one size, height and width even.
        fps: frames a second.

    Returns:
        The path.

    Raises:
        ModuleNotFoundError: PyAV is not installed (extra `viz`).
        ValueError: no frames, frames of odd or differing sizes, or frames a second that cannot be.
    """
    check_number("fps", fps, above=0.0, most=FASTEST)
    with imports_of("viz"):
        import av

    size = None
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "23"}
        for index, frame in enumerate(frames):
            if size is None:
                size = frame.shape
                stream.height, stream.width = size[:2]
            if frame.shape != size or any(side % 2 for side in frame.shape[:2]):
                raise ValueError(
                    f"{path}: frame {index} is {list(frame.shape)}, wanted even sides and the size "
                    f"of the first, {list(size)}"
                )
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        if size is None:
            raise ValueError(f"{path}: a video needs at least one frame, got none")
        container.mux(stream.encode(None))
    return Path(path)


def write_gif(
    path: str | Path,
    frames: Iterable[UInt8[np.ndarray, "h w 3"]],
    *,
    fps: float,
    colours: int = 64,
) -> Path:
    """Writes an animation that pages without video show, whole or not at all.

    Args:
        path: where, with suffix `.gif`.
        frames: pictures of one size.
        fps: frames a second, rounded to hundredths of a second a frame.
        colours: of the palette.

    Returns:
        The path.

    Raises:
        ValueError: no frames, or frames a second that cannot be.
    """
    check_number("fps", fps, above=0.0, most=FASTEST)
    with imports_of("viz"):
        from PIL import Image

    arrays = list(frames)
    if not arrays:
        raise ValueError(f"{path}: an animation needs at least one frame, got none")
    pictures = [Image.fromarray(frame) for frame in arrays]
    # One palette for all, or the colours flicker.
    some = arrays[:: max(1, len(arrays) // 8)]
    palette = Image.fromarray(np.concatenate(some)).quantize(colours)
    first, *rest = (
        picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures
    )
    with atomic_path(path) as temporary:
        first.save(
            temporary,
            save_all=True,
            append_images=rest,
            duration=max(10, round(100 / fps) * 10),
            loop=0,
        )
    return Path(path)
