"""From any format to any other, bit for bit, and the proof of it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from iss_jax.data.atomic import atomic_directory
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.data.episode import Episode, Scalar
from iss_jax.data.folders_write import write_folders
from iss_jax.data.lerobot_v21 import write_episode
from iss_jax.data.lerobot_v30_write import write_dataset
from iss_jax.few import few

FORMATS = ("v2.1", "v3.0", "folders")


def convert(
    dataset: Dataset,
    out: str | os.PathLike,
    to: str,
    *,
    metadata: Mapping[str, Scalar] | None = None,
    task_from_prompt: bool = False,
    drop_unread: bool = False,
    most: int | None = None,
    each: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> int:
    """Writes all episodes of a dataset in another format: all of them, or nothing.

    Images are stored as PNG, also where they were video: what the codec left of them is kept
    exactly from then on. Region masks beside the dataset become features of the new one.

    Args:
        dataset: the source.
        out: folder of the new dataset: not there yet, or empty.
        to: one of `FORMATS`.
        metadata: goes before the episodes' own.
        task_from_prompt: episodes without the metadata `task` get their instruction as such.
        drop_unread: leave out features that are not read (`Dataset.unread`); otherwise an error.
        most: only so many episodes, the first ones.
        each: wraps the indices of the episodes, for a progress bar.

    Returns:
        The number of episodes.

    Raises:
        FileExistsError: `out` is not empty.
        ValueError: an unknown format, or something that the format cannot hold.
    """
    if to not in FORMATS:
        raise ValueError(f"format {to!r} given, one of {FORMATS} wanted")
    if dataset.unread and not drop_unread:
        raise ValueError(
            f"{dataset.root}: features {few(dataset.unread)} are not read and would be lost"
        )

    def episodes() -> Iterator[Episode]:
        for index in each(range(_count(dataset, most))):
            yield annotated(dataset.read(index), metadata or {}, task_from_prompt)

    if to == "v3.0":
        return write_dataset(out, episodes(), robot_type=dataset.robot_type)
    if to == "folders":
        return write_folders(out, episodes(), robot_type=dataset.robot_type)
    with atomic_directory(out) as folder:
        for episode in episodes():
            write_episode(folder, episode, robot_type=dataset.robot_type)
    return _count(dataset, most)


def annotated(
    episode: Episode, metadata: Mapping[str, Scalar], task_from_prompt: bool = False
) -> Episode:
    """The episode with further metadata."""
    own = {**episode.metadata, **metadata}
    if task_from_prompt:
        own.setdefault("task", episode.prompt)
    return dataclasses.replace(episode, metadata=own)


def differences(one: Episode, other: Episode) -> list[str]:
    """What two episodes differ in, to the bit; names of their parts, none when they are equal."""
    found = [
        name
        for name in ("prompt", "fps", "metadata", "instance_names")
        if getattr(one, name) != getattr(other, name)
    ]
    found += [n for n in ("state", "action") if not _same(getattr(one, n), getattr(other, n))]
    for part in ("images", "regions", "instances", "features"):
        mine, theirs = getattr(one, part), getattr(other, part)
        found += [
            f"{part}[{name!r}]"
            for name in sorted({*mine, *theirs})
            if name not in mine or name not in theirs or not _same(mine[name], theirs[name])
        ]
    return found


def verify(
    dataset: Dataset,
    out: str | os.PathLike,
    *,
    metadata: Mapping[str, Scalar] | None = None,
    task_from_prompt: bool = False,
    most: int | None = None,
    each: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> None:
    """Reads both datasets and compares every array to the bit.

    Args:
        dataset: the source.
        out: folder of what `convert` wrote with the same options.
        metadata: see `convert`.
        task_from_prompt: see `convert`.
        most: see `convert`.
        each: wraps the indices of the episodes, for a progress bar.

    Raises:
        ValueError: they differ; the message names the episode and the arrays.
    """
    written = open_dataset(out)
    count = _count(dataset, most)
    if len(written) != count:
        raise ValueError(f"{out}: {len(written)} episodes, {count} wanted of {dataset.root}")
    for index in each(range(count)):
        wanted = annotated(dataset.read(index), metadata or {}, task_from_prompt)
        found = differences(written.read(index), wanted)
        if found:
            raise ValueError(f"{Path(out)} (episode {index}): differs in {few(found)}")


def _count(dataset: Dataset, most: int | None) -> int:
    return len(dataset) if most is None else min(most, len(dataset))


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return (
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    )
