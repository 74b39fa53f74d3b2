"""Region labels written to where a dataset's readers find them, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tqdm

from iss_jax.data import beside, folders_write
from iss_jax.data.dataset import Dataset
from iss_jax.data.folders import FolderDataset
from iss_jax.data.label_images import REGIONS
from iss_jax.data.region_sources import Source


def write_labels(
    dataset: Dataset,
    source: Source,
    *,
    replace: bool = False,
    quiet: bool = False,
    replaced_by: str = "replace=True",
) -> list[dict[str, Any]]:
    """Labels every episode: beside a LeRobot dataset, in the `masks/` of episode folders.

    An episode's labels are written as a whole. After an interruption those that were written stand
    there, so that the next run has to be allowed to replace them.

    Args:
        dataset: the episodes.
        source: their labels.
        replace: whether labels that were written before are replaced.
        replaced_by: how the caller's user says so, for the message.
        quiet: without a progress bar.

    Returns:
        A row an episode and camera: its frames, and the share of each region.

    Raises:
        ValueError: labels are there and may not be replaced, or are of another size than the
            frames; the message names the episode.
    """
    there = [index for index in range(len(dataset)) if _has_labels(dataset, index)]
    if there and not replace:
        raise ValueError(
            f"{dataset.root}: masks of {len(there)} episodes are there, such as of episode "
            f"{there[0]}; {replaced_by} replaces them"
        )
    rows = []
    for index in tqdm.trange(len(dataset), unit="episode", disable=quiet):
        found = source(index)
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
                "frames": len(labels),
                **{name: float((labels == r).mean()) for name, r in REGIONS.items()},
            }
            for camera, labels in found.items()
        ]
    return rows


def _has_labels(dataset: Dataset, index: int) -> bool:
    if isinstance(dataset, FolderDataset):
        return bool(dataset.episodes[index].masks)
    number = dataset.metadata(index)["episode_index"]
    return beside.regions_path(dataset.root / beside.FOLDER, number).exists()


def _check_sizes(dataset: Dataset, index: int, found: Mapping[str, np.ndarray]) -> None:
    frame = dataset.read(index, [0], regions=False)
    for camera, labels in found.items():
        size = frame.images[camera].shape[1:3]
        if labels.shape[1:] != size:
            raise ValueError(
                f"{dataset.root} (episode {index}), camera {camera!r}: masks of "
                f"{list(labels.shape[1:])} pixels, the frames have {list(size)}"
            )
