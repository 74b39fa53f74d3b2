"""One door to every dataset: LeRobot v2.1, LeRobot v3.0, episode folders."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from iss_jax.data import folders, lerobot
from iss_jax.data.episode import Episode
from iss_jax.data.lerobot import Keys


class Episodes(Protocol):
    """What a plan needs of a dataset: how many episodes, and their metadata.

    `metadata(i)` has `length` (frames) and what the dataset's own has, such as `suite`, `task` and
    `split`. `iss_jax.data.lerobot.LeRobotDataset` is one.
    """

    @property
    def root(self) -> Path | str:
        """Where it lies."""
        ...

    def __len__(self) -> int:
        """Number of episodes."""
        ...

    def metadata(self, index: int, /) -> Mapping[str, Any]:
        """Metadata of one episode."""
        ...


class Dataset(Protocol):
    """What all datasets are to their readers; see `lerobot.LeRobotDataset`."""

    @property
    def root(self) -> Path:
        """The dataset's folder."""
        ...

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras."""
        ...

    @property
    def state_size(self) -> int:
        """Numbers in a state."""
        ...

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of those numbers; empty where the dataset says none."""
        ...

    @property
    def action_shapes(self) -> dict[str, tuple[int, ...]]:
        """Features that hold actions or chunks of them -> shape of what a frame has of each."""
        ...

    @property
    def robot_type(self) -> str | None:
        """The robot, where the dataset says so."""
        ...

    @property
    def unread(self) -> tuple[str, ...]:
        """Features that are no part of an `Episode`."""
        ...

    def __len__(self) -> int:
        """Number of episodes."""
        ...

    def metadata(self, episode: int) -> dict[str, Any]:
        """The episode's metadata, `episode_index`, `tasks` and `length`."""
        ...

    def prompts(self, episode: int) -> tuple[str, ...]:
        """Its frames' instructions, as `read` gives them, in the order in which they appear."""
        ...

    def files(self, episode: int) -> tuple[Path, ...]:
        """All files that hold something of the episode."""
        ...

    def read(
        self,
        episode: int,
        frames: slice | Sequence[int] | np.ndarray | None = None,
        *,
        regions: bool = True,
    ) -> Episode:
        """Reads one episode, or some of its frames; `regions`: with labels, instances too."""
        ...

    def read_feature(self, episode: int, name: str) -> np.ndarray:
        """Reads one column of an episode, without decoding any image: [T, ...]."""
        ...

    def read_state(self, episode: int) -> np.ndarray:
        """Reads the states of an episode, without decoding any image: float32 [T, s]."""
        ...


def open_dataset(
    root: str | os.PathLike, *, keys: Keys | None = None, fps: float | None = None
) -> Dataset:
    """Opens a dataset of whichever format for reading.

    A folder with `meta/info.json` is LeRobot's, of the version that it says; any other is looked
    through for episode folders.

    Args:
        root: the dataset's folder.
        keys: which features are what in a LeRobot dataset; its defaults when None.
        fps: frames a second of episode folders that do not say; the authors' when None.

    Returns:
        The dataset, as it was when opened.

    Raises:
        FileNotFoundError: there is no dataset at `root`.
        KeyError: the dataset lacks a feature that `keys` names.
        ValueError: it cannot be read; or `keys` or `fps` is given of a format that has no use
            for it.
    """
    root = Path(root)
    if (root / "meta" / "info.json").exists():
        if fps is not None:
            raise ValueError(f"{root}: a LeRobot dataset says itself what its fps is, {fps} given")
        return lerobot.open_lerobot(root, keys or Keys())
    if (root / "meta").is_dir():
        raise FileNotFoundError(f"{root}/meta/info.json: missing, though the folder meta is there")
    if keys is not None:
        raise ValueError(f"{root}: episode folders have no features, {keys} given")
    return folders.open_folders(root, fps=folders.DEFAULT_FPS if fps is None else fps)


def num_frames(dataset: Dataset) -> int:
    """Frames of all episodes together."""
    return sum(dataset.metadata(episode)["length"] for episode in range(len(dataset)))


def digest(files: Iterable[Path]) -> str:
    """Tells contents apart: 16 hexadecimal digits of the files' SHA-256, one file's its own."""
    found = [_digest(path, *_version(path)) for path in files]
    if len(found) == 1:
        return found[0][:16]
    return hashlib.sha256("".join(found).encode()).hexdigest()[:16]


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@functools.lru_cache(maxsize=4096)
def _digest(path: Path, size: int, changed: int) -> str:
    """Of one file; many episodes may lie in it, so it is read once a version."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
