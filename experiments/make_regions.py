r"""Region masks for a dataset that has none, from label images or from coarse boxes and polygons.

    python -m experiments.make_regions --config=configs/make_regions.py:boxes \
        --config.dataset=<folder> --config.boxes=<json> --workdir=runs/regions

The masks of an episode are written as a whole, beside the dataset; after an interruption it is run
again with `--config.replace=True`. The workdir receives `results.csv` (the share of each region,
episode by episode) and `figures/regions.jpg`, to be checked by eye.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import tqdm

from experiments.inputs.episodes import json_object, keys_of
from experiments.making.copies import copied
from experiments.runs import app
from iss_jax.data import beside, coco, folders_write, label_images
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.data.folders import FolderDataset
from iss_jax.data.lerobot import Keys
from iss_jax.few import few
from iss_jax.jobs.directory import RunDirectory, open_run
from iss_jax.viz.labelled import labelled
from iss_jax.viz.overlays import overlay_figure

# Masks of one episode: camera to labels.
Source = Callable[[int, tuple[str, ...], int], dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/make_regions.py`, which says what each means."""

    dataset: Path
    copy: bool
    source: str
    labels: str
    mapping: str
    boxes: str
    cameras: tuple[str, ...]
    features: Keys | None
    replace: bool
    sheet: int
    quiet: bool


def from_config(config: ml_collections.ConfigDict) -> Options:
    """The options.

    Raises:
        ValueError: a value is missing, or is no source of masks.
    """
    needed = {"labels": ("dataset", "labels", "mapping"), "boxes": ("dataset", "boxes")}
    content: dict[str, Any] = config.to_dict()
    del content["name"]
    if content["source"] not in needed:
        raise ValueError(f"config.source: {content['source']!r}, one of {list(needed)} wanted")
    empty = [name for name in needed[content["source"]] if not content[name]]
    if empty:
        raise ValueError(f"config.{empty[0]}: empty; give --config.{empty[0]}=<path>")
    content |= {
        "dataset": Path(content["dataset"]),
        "cameras": tuple(content["cameras"]),
        "features": keys_of(content["features"]),
    }
    return Options(**content)


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the experiment; returns the rows of `results.csv`."""
    options = from_config(config)
    if options.copy:
        options = dataclasses.replace(options, dataset=copied(options.dataset, workdir))
    dataset = open_dataset(options.dataset, keys=options.features)
    source, cameras = make_source(options, dataset)
    there = [i for i in range(len(dataset)) if _has_masks(dataset, i)]
    if there and not options.replace:
        raise ValueError(
            f"{dataset.root}: masks of {len(there)} episodes are there, such as of episode "
            f"{there[0]}; --config.replace=True replaces them"
        )
    rows = []
    for index in tqdm.trange(len(dataset), unit="episode", disable=options.quiet):
        length = dataset.metadata(index)["length"]
        found = source(index, cameras, length)
        _check_sizes(dataset, index, found)
        if isinstance(dataset, FolderDataset):
            folders_write.write_masks(dataset.episodes[index].path, found, index)
        else:
            number = dataset.metadata(index)["episode_index"]
            beside.write_regions(dataset.root / beside.FOLDER, number, found)
        rows += [
            {
                "episode": index,
                "camera": camera,
                "frames": length,
                **{name: float((labels == r).mean()) for name, r in label_images.REGIONS.items()},
            }
            for camera, labels in found.items()
        ]
    run = open_run(workdir, config)
    run.write_csv("results.csv", rows)
    written = open_dataset(options.dataset, keys=options.features)
    if options.sheet:
        print(contact_sheet(run, written, cameras, options.sheet))
    if not options.quiet:
        for name in label_images.REGIONS:
            print(f"{name:<10}{np.mean([row[name] for row in rows]):>7.1%} of the area")
    return rows


def make_source(options: Options, dataset: Dataset) -> tuple[Source, tuple[str, ...]]:
    """Where the masks come from, and the cameras that get some.

    Raises:
        ValueError: the dataset lacks a camera, or an episode has nothing to go by.
    """
    cameras = options.cameras or dataset.cameras
    if options.source == "boxes":
        path = Path(options.boxes)
        names = None
        if options.mapping:
            names = json_object(Path(options.mapping).read_text(), "mapping")
        drawn = coco.read_coco(path, names)
        stray = [place for place in drawn if place[0] not in cameras or place[1] >= len(dataset)]
        if stray:
            raise ValueError(
                f"{path}: camera {stray[0][0]!r}, episode {stray[0][1]} is not among the cameras "
                f"{few(cameras)} and {len(dataset)} episodes"
            )
        _check_cameras(cameras, dataset)

        def from_boxes(index: int, cameras: tuple[str, ...], length: int) -> dict[str, np.ndarray]:
            frame = dataset.read(index, [0], regions=False)
            return {
                camera: coco.held(
                    drawn.get((camera, index), []),
                    length,
                    f"{path} (episode {index}), camera {camera!r}",
                    frame.images[camera].shape[1:3],
                )
                for camera in cameras
            }

        return from_boxes, cameras
    mapping = label_images.read_mapping(Path(options.mapping))
    if options.labels.lstrip().startswith("{"):
        shown = json_object(options.labels, "labels")
        _check_cameras((*shown, *shown.values()), dataset)

        def from_cameras(index: int, _: tuple[str, ...], length: int) -> dict[str, np.ndarray]:
            episode = dataset.read(index, regions=False)
            return {
                camera: np.stack(
                    [
                        label_images.from_labels(
                            episode.images[other][t],
                            mapping,
                            f"{dataset.root} (episode {index}), frame {t}, camera {other!r}",
                        )
                        for t in range(length)
                    ]
                )
                for camera, other in shown.items()
            }

        return from_cameras, tuple(shown)
    _check_cameras(cameras, dataset)

    def from_files(index: int, cameras: tuple[str, ...], length: int) -> dict[str, np.ndarray]:
        folder = Path(options.labels)
        found = {}
        for camera in cameras:
            frames = []
            for t in range(length):
                path = folder / camera / f"episode_{index:06d}" / f"{t:06d}.png"
                where = f"{path} (episode {index}), frame {t}"
                image = label_images.read_label_image(path, where)
                frames.append(label_images.from_labels(image, mapping, where))
                if frames[-1].shape != frames[0].shape:
                    raise ValueError(
                        f"{where}: {list(frames[-1].shape)} pixels, frame 0 has "
                        f"{list(frames[0].shape)}"
                    )
            found[camera] = np.stack(frames)
        return found

    return from_files, cameras


def contact_sheet(run: RunDirectory, dataset: Dataset, cameras: tuple[str, ...], most: int) -> Path:
    """The middle frames of some episodes: nuisance darkened, the other regions outlined."""
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(most, len(dataset))).astype(int))
    rows, names = [], []
    for index in chosen.tolist():
        frame = dataset.metadata(index)["length"] // 2
        episode = dataset.read(index, [frame])
        rows.append(
            {c: labelled(episode.images[c][0], episode.regions[c][0], 0.35) for c in cameras}
        )
        names.append(f"episode {index}\nframe {frame}")
    return run.write_figure("regions.jpg", overlay_figure(rows, names))


def _has_masks(dataset: Dataset, index: int) -> bool:
    if isinstance(dataset, FolderDataset):
        return bool(dataset.episodes[index].masks)
    number = dataset.metadata(index)["episode_index"]
    return beside.regions_path(dataset.root / beside.FOLDER, number).exists()


def _check_cameras(cameras: tuple[str, ...], dataset: Dataset) -> None:
    unknown = [camera for camera in cameras if camera not in dataset.cameras]
    if unknown:
        raise ValueError(
            f"{dataset.root}: no camera {unknown[0]!r}, there are {few(dataset.cameras)}"
        )


def _check_sizes(dataset: Dataset, index: int, found: dict[str, np.ndarray]) -> None:
    frame = dataset.read(index, [0], regions=False)
    for camera, labels in found.items():
        size = frame.images[camera].shape[1:3]
        if labels.shape[1:] != size:
            raise ValueError(
                f"{dataset.root} (episode {index}), camera {camera!r}: masks of "
                f"{list(labels.shape[1:])} pixels, the frames have {list(size)}"
            )


if __name__ == "__main__":
    app.run(main, "make_regions", many_processes=False)
