"""What is written of one explained episode."""

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from iss_jax import Effects, Region
from iss_jax.data.atomic import atomic_path, write_bytes
from iss_jax.data.dataset import Dataset
from iss_jax.data.episode import Episode
from iss_jax.data.outcome import SUCCESS, outcome
from iss_jax.data.table import csv_text
from iss_jax.effects import example
from iss_jax.explain.nmr import EpisodeMeasures
from iss_jax.explain.options import EpisodeOptions
from iss_jax.explain.overlays import (
    Pictures,
    critical_pixels,
    draw_overlays,
    overlays_figure,
    pictures_of,
    saliency_of,
)
from iss_jax.explain.players import (
    footer,
    of_all_frames,
    player_table,
    share_panels,
)
from iss_jax.extras import imports_of
from iss_jax.jobs.directory import jsonable
from iss_jax.masks import upsample
from iss_jax.policies.frames import Seen
from iss_jax.results import Saliency
from iss_jax.viz.effects_rows import effects_rows
from iss_jax.viz.frames import magnified
from iss_jax.viz.nmr_curve import Curve, nmr_figure
from iss_jax.viz.regions import masks_figure, regions_figure
from iss_jax.viz.saliency_rows import ERRORS_OF_SCORES
from iss_jax.viz.shares_curve import shares_figure
from iss_jax.viz.trajectories import Path as HandPath
from iss_jax.viz.video import episode_frames, write_gif, write_mp4

with imports_of("viz"):
    from matplotlib.figure import Figure


WRITTEN = (
    *("iss_heatmaps.npz", "overlays.png", "masks.png", "nmr.json", "nmr.csv", "nmr.png"),
    *("regions.png", "players.csv", "players.png", "players_frames.png", "episode.mp4"),
    *("episode.gif", "timeline.rrd"),
)
"""All that may be written of an episode, whatever the options."""


@dataclasses.dataclass(frozen=True)
class Explained:
    """An episode of T frames with its saliency, computed at n of them.

    Attributes:
        index: of the episode in its dataset.
        episode: the frames.
        seen: the same as the policy sees them.
        cameras: view to camera, of the v views that are used.
        computed: the frames whose saliency was computed.
        cells: scores of the grid cells.
        stderr: their standard errors, where computed.
        contrast_stderr: those of their differences to the mean of the map, where computed.
        effect: mean effect of the masks, where computed.
        measures: where the saliency lies; None without region labels of all views.
        percents: k of the measures; the first one is drawn.
        unit: what an effect is.
        errors_of_contrasts: False where an older version stored the errors of scores alone, which
            `contrast_stderr` then holds.
        acted: what the policy acts on, where computed; None where it was not asked for.
        placed: whether the states begin with the end effector's position.
    """

    index: int
    episode: Episode
    seen: Seen
    cameras: dict[str, str]
    computed: Int[np.ndarray, " n"]
    cells: Float[np.ndarray, "T v gh gw"]
    stderr: Float[np.ndarray, "n v gh gw"]
    contrast_stderr: Float[np.ndarray, "n v gh gw"]
    effect: Float[np.ndarray, " n"]
    measures: EpisodeMeasures | None
    percents: tuple[float, ...]
    unit: str
    errors_of_contrasts: bool = True
    acted: Effects | None = None
    placed: bool = False

    @property
    def times(self) -> Float[np.ndarray, " T"]:
        """Seconds since the first frame."""
        return np.arange(len(self.episode)) / self.episode.fps

    @property
    def is_computed(self) -> np.ndarray:
        """Of every frame, whether its saliency was computed."""
        return np.isin(np.arange(len(self.episode)), self.computed)

    def maps(self) -> dict[str, Float[np.ndarray, "T h w"]]:
        """View to the maps in pixels of the policy's input, 0 in the padding."""
        return {
            view: np.where(
                inside, np.asarray(upsample(jnp.asarray(self.cells[:, row]), inside.shape[1:])), 0.0
            )
            for row, (view, inside) in enumerate(self.seen.valid.items())
        }

    def curve(self) -> Curve | None:
        """NMR of the k that is drawn, where it is known."""
        if self.measures is None:
            return None
        return Curve(
            times=self.times,
            nmr=self.measures.nmr[:, 0],
            chance=self.measures.area[:, Region.NUISANCE],
            random=self.measures.random_nmr[:, :, 0],
            computed=self.is_computed,
            percent=self.percents[0],
        )

    def success(self) -> bool | None:
        """What the episode's metadata say; None when they say nothing.

        Raises:
            ValueError: they say it in a way that is not understood.
        """
        return outcome(self.episode.metadata.get(SUCCESS), f"episode {self.index}")

    def task(self) -> str:
        """The instruction."""
        return self.episode.prompt

    def title(self) -> str:
        """Index, instruction and outcome."""
        outcome = {True: ", success", False: ", failure", None: ""}[self.success()]
        return f"episode {self.index}: {self.task()}{outcome}"

    def label(self, t: int) -> str:
        """Time and NMR of a frame."""
        time = f"{self.times[t]:.1f} s{'' if self.is_computed[t] else ', interpolated'}"
        if self.measures is None:
            return time
        nmr, chance = self.measures.nmr[t, 0], self.measures.area[t, Region.NUISANCE]
        k = self.percents[0]
        return f"{time}\nnmr@{k:g} {nmr:.2f}, chance {chance:.2f}"

    def path(self) -> HandPath | None:
        """The end effector's path, coloured by NMR if known; None where no state tells it."""
        if not self.placed:
            return None
        values = None if self.measures is None else self.measures.nmr[:, 0]
        # A copy, or a view of it keeps the whole array.
        return HandPath(np.array(self.episode.state[:, :3]), self.success(), values)


class Told(NamedTuple):
    """What all episodes together need of one, whose frames need not stay in memory."""

    title: str
    task: str
    curve: Curve | None
    path: HandPath | None
    rows: list[dict[str, Any]]
    sentences: list[dict[str, Any]]


def tell(found: Explained) -> Told:
    """An episode without its frames."""
    said = (summary(found), sentences(found))
    return Told(found.title(), found.task(), found.curve(), found.path(), *said)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """An episode's maps, and every frame under its map.

    Attributes:
        saliency: the maps of all frames.
        critical: view to the critical pixels.
        overlays: view to the pictures, each drawn when it is asked for.
        limit: contrast at the ends of their colours.
    """

    saliency: Saliency
    critical: dict[str, np.ndarray]
    overlays: dict[str, Pictures]
    limit: float

    @classmethod
    def of(cls, found: Explained) -> "Drawn":
        """Draws an episode."""
        saliency = saliency_of(
            found.seen, found.cells, found.contrast_stderr, found.computed, found.unit
        )
        critical = critical_pixels(saliency, found.percents[0])
        return cls(saliency, critical, *draw_overlays(saliency, found.seen.regions, critical))


def paths_of(dataset: Dataset) -> dict[str, list[HandPath]]:
    """Instruction to the end effector's paths of all its episodes.

    Raises:
        ValueError: metadata say success in a way that is not understood.
    """
    paths: dict[str, list[HandPath]] = {}
    for index in range(len(dataset)):
        line = dataset.metadata(index)
        position = dataset.read_state(index)[:, :3]
        paths.setdefault(line["tasks"][0], []).append(
            HandPath(position, outcome(line.get(SUCCESS), f"{dataset.root}, episode {index}"))
        )
    return paths


def sentences(found: Explained) -> list[dict[str, Any]]:
    """What the policy acts on in each computed frame, in words."""
    if found.acted is None:
        return []
    return [
        {"episode": found.index, "frame": int(frame), "acts_on": found.acted.sentence(row)}
        for row, frame in enumerate(found.computed)
    ]


def summary(found: Explained) -> list[dict[str, Any]]:
    """A row per k: means over the frames of the episode; one row without NMR where it is not known.

    `stderr` (of a cell) and `spread` (over a frame's cells) are means over its computed frames.
    """
    measures, metadata = found.measures, found.episode.metadata
    common = {
        "episode": found.index,
        **{name: metadata.get(name, "") for name in ("suite", "task", "split", "seed")},
        "success": found.success(),
        "frames": len(found.episode),
        "computed": len(found.computed),
    }
    beside = {
        "effect": float(found.effect.mean()),
        "stderr": float(found.stderr.mean()),
        "spread": float(found.cells[found.computed].std((1, 2, 3)).mean()),
    }
    if measures is None:
        return [
            {**common, **dict.fromkeys(("k", "nmr", "chance", "random", "mass_ratio")), **beside}
        ]
    return [
        {
            **common,
            "k": k,
            "nmr": float(measures.nmr[:, column].mean()),
            "chance": float(measures.area[:, Region.NUISANCE].mean()),
            "random": float(measures.random_nmr[:, :, column].mean()),
            "mass_ratio": float(measures.mass[:, Region.NUISANCE].mean()),
            **beside,
        }
        for column, k in enumerate(found.percents)
    ]


def write_episode_files(folder: Path, found: Explained, options: EpisodeOptions) -> None:
    """Everything that is written of one episode; what an earlier run wrote of it goes first."""
    for name in WRITTEN:
        (folder / name).unlink(missing_ok=True)
    maps = found.maps()
    write_heatmaps(folder / "iss_heatmaps.npz", found, maps)
    curve = found.curve()
    if found.measures is not None and curve is not None:
        _write_nmr(folder, found, found.measures, curve)
    chosen = np.unique(
        np.linspace(0, len(found.episode) - 1, options.shown_frames).round().astype(int)
    )
    drawn = Drawn.of(found)
    labels = {int(t): found.label(t) for t in chosen}
    figure = overlays_figure(
        drawn.saliency,
        found.seen.regions,
        drawn.critical,
        labels,
        percent=found.percents[0],
        title=found.title(),
        notes=[] if found.errors_of_contrasts else [ERRORS_OF_SCORES],
    )
    _save(folder / "overlays.png", figure)
    if found.measures is not None:
        _save(folder / "masks.png", _masks_figure(found, chosen))
    acted = None
    if found.acted is not None:
        _write_players(folder, found, found.acted, chosen)
        acted = of_all_frames(found.acted, options.players, found.seen, found.computed)
    if options.video or options.gif:
        _write_videos(folder, found, drawn, options, acted)
    if options.rerun:
        from iss_jax.viz.timeline import write_timeline

        by_camera = {camera: view for view, camera in found.cameras.items()}
        write_timeline(
            folder / "timeline.rrd",
            f"episode_{found.index}",
            {camera: found.seen.images[view] for camera, view in by_camera.items()},
            {camera: drawn.overlays[view] for camera, view in by_camera.items()},
            {c: found.seen.regions[v] for c, v in by_camera.items() if v in found.seen.regions},
            found.times,
            curve,
            found.episode.state[:, :3] if found.placed else None,
            acted,
        )


def _write_nmr(folder: Path, found: Explained, measures: EpisodeMeasures, curve: Curve) -> None:
    """Where the saliency lies: tables and curves."""
    rows = frame_rows(found, measures)
    content = {
        "episode": found.index,
        "prompt": found.task(),
        "success": found.success(),
        "fps": found.episode.fps,
        "cameras": found.cameras,
        "metadata": dict(found.episode.metadata),
        "mean": summary(found),
        "frames": rows,
    }
    write_bytes(
        folder / "nmr.json", json.dumps(jsonable(content), indent=1, allow_nan=False).encode()
    )
    _write_csv(folder / "nmr.csv", rows)
    views = {
        found.cameras[view]: (nmr[:, 0], measures.view_area[view][:, Region.NUISANCE])
        for view, nmr in measures.view_nmr.items()
    }
    _save(folder / "nmr.png", nmr_figure(curve, views, title=found.title()))
    figure = regions_figure(
        found.times,
        measures.above_mean,
        measures.critical[:, 0],
        measures.area,
        found.is_computed,
        percent=found.percents[0],
        title=found.title(),
    )
    _save(folder / "regions.png", figure)


def write_heatmaps(path: Path, found: Explained, maps: dict[str, np.ndarray]) -> None:
    """The maps as arrays, without pickles.

    `maps/<view>` float32 [T, h, w] in pixels of the policy's input, `cells` [T, v, gh, gw],
    `stderr` and `contrast_stderr` [n, v, gh, gw] of the n `computed` frames, `views` and `cameras`
    in the order of v, `valid/<view>` bool [T, h, w], `times` [T] in seconds. Where there are labels
    `regions/<view>` uint8 [T, h, w]. Where NMR is known `nmr` [T, K] for the K `percents`, and
    `chance` [T].
    """
    known: dict[str, Any] = {}
    if found.measures is not None:
        known["nmr"] = found.measures.nmr
        known["percents"] = np.array(found.percents, np.float32)
        known["chance"] = found.measures.area[:, Region.NUISANCE]
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            **{f"maps/{view}": saliency.astype(np.float32) for view, saliency in maps.items()},
            **{f"valid/{view}": inside for view, inside in found.seen.valid.items()},
            **{f"regions/{view}": labels for view, labels in found.seen.regions.items()},
            cells=found.cells,
            stderr=found.stderr,
            contrast_stderr=found.contrast_stderr,
            computed=found.computed,
            views=np.array(list(found.cameras)),
            cameras=np.array(list(found.cameras.values())),
            times=found.times,
            **known,
        )


def frame_rows(found: Explained, measures: EpisodeMeasures) -> list[dict[str, Any]]:
    """A row a frame, for tables."""
    rows = []
    for t, time in enumerate(found.times):
        row: dict[str, Any] = {
            "frame": t,
            "time_s": round(float(time), 4),
            "computed": bool(found.is_computed[t]),
        }
        for column, k in enumerate(found.percents):
            row[f"nmr@{k:g}"] = float(measures.nmr[t, column])
            row[f"random@{k:g}"] = float(measures.random_nmr[t, :, column].mean())
        row["chance"] = float(measures.area[t, Region.NUISANCE])
        for region in Region:
            name = region.name.lower()
            row[f"{name}_mass"] = float(measures.mass[t, region])
            row[f"{name}_above_mean"] = float(measures.above_mean[t, region])
            row[f"{name}_critical"] = float(measures.critical[t, 0, region])
            row[f"{name}_area"] = float(measures.area[t, region])
        for view, camera in found.cameras.items():
            row[f"{camera}_nmr@{found.percents[0]:g}"] = float(measures.view_nmr[view][t, 0])
            row[f"{camera}_chance"] = float(measures.view_area[view][t, Region.NUISANCE])
        rows.append(row)
    return rows


def _masks_figure(found: Explained, chosen) -> Figure:
    view = next(iter(found.cameras))
    return masks_figure(
        [found.seen.images[view][t] for t in chosen],
        [found.seen.regions[view][t] for t in chosen],
        [float(found.times[t]) for t in chosen],
        title=f"{found.title()}, camera {found.cameras[view]}",
    )


def _write_players(folder: Path, found: Explained, acted: Effects, chosen: np.ndarray) -> None:
    """Table, curves and some frames of what the policy acts on."""
    _write_csv(folder / "players.csv", player_table(acted, found.computed, found.times))
    times = found.times[found.computed]
    note = footer(acted.config, acted.names)
    figure = shares_figure(acted, times, title=f"{found.title()}\nacts on", notes=[note])
    _save(folder / "players.png", figure)
    # Of each frame that is shown the nearest that was computed.
    near = [int(np.abs(found.computed - t).argmin()) for t in chosen]
    rows = list(dict.fromkeys(near))
    figure = effects_rows(
        [example(acted, row) for row in rows],
        [f"{times[row]:.1f} s" for row in rows],
        title=found.title(),
        notes=[note],
    )
    _save(folder / "players_frames.png", figure)


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    write_bytes(path, csv_text(rows).encode())


def _write_videos(
    folder: Path, found: Explained, drawn: Drawn, options: EpisodeOptions, acted: Effects | None
) -> None:
    images = {camera: found.seen.images[view] for view, camera in found.cameras.items()}
    plain = pictures_of(lambda t: {c: magnified(image[t]) for c, image in images.items()}, images)
    shown = {camera: drawn.overlays[view] for view, camera in found.cameras.items()}
    rows: dict[str, Any] = {"camera": plain, "saliency": shown}
    if acted is not None:
        panels = share_panels(acted)
        # The colour bar is the saliency's: these colours are shares.
        rows["acts on\n(brighter: larger share)"] = {
            camera: panels[view] for view, camera in found.cameras.items()
        }
    fps = found.episode.fps * options.video_speed
    video = partial(
        episode_frames,
        rows,
        found.times,
        found.curve(),
        title=found.title(),
        limit=drawn.limit,
        unit=found.unit,
        told=np.asarray(drawn.saliency.told_apart),
    )
    if options.video:
        frames = video()
        write_mp4(folder / "episode.mp4", frames, fps=fps)
    if options.gif:
        frames = video(dpi=60)
        write_gif(folder / "episode.gif", frames, fps=fps)


def _save(path: Path, figure: Figure) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
