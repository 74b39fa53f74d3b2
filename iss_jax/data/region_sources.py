"""Region labels of whole episodes: from boxes, label images, cameras of labels, names of things."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from iss_jax.data import coco, label_images
from iss_jax.data.dataset import Dataset
from iss_jax.data.label_images import REGIONS, Mapped
from iss_jax.data.region_names import RegionNames
from iss_jax.few import few

Source = Callable[[int], dict[str, np.ndarray]]
"""Number of an episode -> camera -> uint8 [T, h, w] labels."""


def from_boxes(
    dataset: Dataset,
    cameras: tuple[str, ...],
    path: Path,
    names: Mapping[str, str] | None = None,
) -> Source:
    """From a COCO file of boxes and polygons on some frames; a keyframe holds until the next.

    Args:
        dataset: the episodes.
        cameras: those that get labels.
        path: the file.
        names: category -> region; when None the categories have these names.

    Raises:
        ValueError: the dataset lacks a camera, the file cannot be read, or is of other episodes.
    """
    drawn = coco.read_coco(path, names)
    stray = [place for place in drawn if place[0] not in cameras or place[1] >= len(dataset)]
    if stray:
        raise ValueError(
            f"{path}: camera {stray[0][0]!r}, episode {stray[0][1]} is not among the cameras "
            f"{few(cameras)} and {len(dataset)} episodes"
        )
    check_cameras(dataset, cameras)

    def labels_of(index: int) -> dict[str, np.ndarray]:
        frame = dataset.read(index, [0], regions=False)
        return {
            camera: coco.held(
                drawn.get((camera, index), []),
                dataset.metadata(index)["length"],
                f"{path} (episode {index}), camera {camera!r}",
                frame.images[camera].shape[1:3],
            )
            for camera in cameras
        }

    return labels_of


def from_label_images(
    dataset: Dataset, cameras: tuple[str, ...], folder: Path, mapping: Mapped
) -> Source:
    """From files `<folder>/<camera>/episode_000000/000000.png` and so on.

    Args:
        dataset: the episodes.
        cameras: those that get labels.
        folder: of the label images.
        mapping: which id or colour is what.

    Raises:
        ValueError: the dataset lacks a camera.
    """
    check_cameras(dataset, cameras)

    def labels_of(index: int) -> dict[str, np.ndarray]:
        found = {}
        for camera in cameras:
            frames = []
            for t in range(dataset.metadata(index)["length"]):
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

    return labels_of


def from_label_cameras(dataset: Dataset, shown: Mapping[str, str], mapping: Mapped) -> Source:
    """From cameras of the dataset that show labels.

    Args:
        dataset: the episodes.
        shown: camera -> the camera that shows its labels.
        mapping: which id or colour is what.

    Raises:
        ValueError: the dataset lacks a camera.
    """
    check_cameras(dataset, (*shown, *shown.values()))

    def labels_of(index: int) -> dict[str, np.ndarray]:
        episode = dataset.read(index, regions=False)
        return {
            camera: np.stack(
                [
                    label_images.from_labels(
                        image,
                        mapping,
                        f"{dataset.root} (episode {index}), frame {t}, camera {other!r}",
                    )
                    for t, image in enumerate(episode.images[other])
                ]
            )
            for camera, other in shown.items()
        }

    return labels_of


def from_instances(
    dataset: Dataset, cameras: tuple[str, ...], named: RegionNames
) -> tuple[Source, dict[str, str]]:
    """From the names of things that the dataset holds. Pixels without a name are nuisance.

    Args:
        dataset: the episodes.
        cameras: those that get labels.
        named: which things are of which region.

    Returns:
        The source, and every name with its region.

    Raises:
        ValueError: the dataset lacks a camera or names of things, or a thing is of no region.
    """
    check_cameras(dataset, cameras)
    names: set[str] = set()
    for index in range(len(dataset)):
        first = dataset.read(index, [0])
        missing = [camera for camera in cameras if camera not in first.instances]
        if missing or not first.instance_names:
            what = f"instance labels of {few(missing)}" if missing else "names of its instances"
            raise ValueError(
                f"{dataset.root} (episode {index}): no {what}; make regions of boxes or of label "
                "images instead"
            )
        names |= set(first.instance_names.values())
    regions = named.regions_of(names, f"{dataset.root}")

    def labels_of(index: int) -> dict[str, np.ndarray]:
        episode = dataset.read(index)
        own = {number: REGIONS[regions[name]] for number, name in episode.instance_names.items()}
        found, known = {}, np.zeros(len(episode), bool)
        for camera in cameras:
            numbers, place = np.unique(episode.instances[camera], return_inverse=True)
            table = np.array([own.get(int(n), REGIONS["nuisance"]) for n in numbers], np.uint8)
            there = np.array([int(n) in own for n in numbers])
            shape = episode.instances[camera].shape
            found[camera] = table[place.reshape(shape)]
            known |= there[place.reshape(shape)].any((1, 2))
        if not known.all():
            raise ValueError(
                f"{dataset.root} (episode {index}), frame {int(np.argmin(known))}: nothing in it "
                "has a name, so that all of it would be nuisance"
            )
        return found

    return labels_of, regions


def check_cameras(dataset: Dataset, cameras: tuple[str, ...]) -> None:
    """Says that a dataset lacks a camera.

    Raises:
        ValueError: it does; the message names those that are there.
    """
    unknown = [camera for camera in cameras if camera not in dataset.cameras]
    if unknown:
        raise ValueError(
            f"{dataset.root}: no camera {unknown[0]!r}, there are {few(dataset.cameras)}"
        )
