"""Episodes in LeRobot's formats v2.1 and v3.0, images and labels lossless inside parquet.

Both versions are read, with images as PNG inside parquet or as video; what is written has PNG.
The layouts are described in `lerobot_v21` and `lerobot_v30`. Which feature is which camera, the
state or the action is said by `Keys`. Region labels are image features of equal channels under
`observation.regions.`, or lie beside the dataset (see `beside`). Instance labels are image features
under `observation.instances.`, their names in the episode's metadata (see `instances`).
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iss_jax.data import beside, lerobot_v21, lerobot_v30
from iss_jax.data.beside_metadata import read_metadata
from iss_jax.data.bounds import check_bytes
from iss_jax.data.episode import CHUNKS, Episode, check_episode, chosen_rows
from iss_jax.data.instances import from_channels
from iss_jax.data.lerobot_columns import image_shape, number_names, to_numpy
from iss_jax.data.lerobot_info import (
    IMAGES,
    INDEX_DTYPES,
    INSTANCES,
    REGIONS,
    Entry,
    Index,
    read_info,
)
from iss_jax.data.lerobot_keys import Found, Keys, find, is_number
from iss_jax.data.lerobot_table import data_file, read_table
from iss_jax.data.lerobot_v21 import DATA_PATH, write_episode
from iss_jax.data.video import check_stamps, read_frames
from iss_jax.extras import imports_of
from iss_jax.few import few

with imports_of("data"):
    import pyarrow as pa

__all__ = ["DATA_PATH", "IMAGES", "INSTANCES", "REGIONS", "Keys", "LeRobotDataset"]
__all__ += ["open_lerobot", "write_episode"]

_READERS = {
    "v2.0": lerobot_v21.read_index,
    lerobot_v21.VERSION: lerobot_v21.read_index,
    lerobot_v30.VERSION: lerobot_v30.read_index,
}


def open_lerobot(root: str | os.PathLike, keys: Keys | None = None) -> LeRobotDataset:
    """Opens a dataset for reading; only its metadata is read here.

    Args:
        root: the dataset's folder.
        keys: which features are what; the defaults when None.

    Returns:
        The dataset, as it was when opened.

    Raises:
        FileNotFoundError: there is no dataset at `root`.
        KeyError: the dataset lacks a feature that `keys` names, or a state.
        ValueError: the metadata cannot be read, or is of another format version.
    """
    root = Path(root)
    info = read_info(root)
    index = _with_metadata(_READERS[info["codebase_version"]](root, info), root)
    return LeRobotDataset(root, info, index, find(root, info, keys or Keys()))


def _with_metadata(index: Index, root: Path) -> Index:
    """The index with the metadata that lie beside the dataset."""
    beside_it = read_metadata(root)
    if not beside_it:
        return index
    entries = []
    for entry in index.entries:
        own = beside_it.get(str(entry.number), {})
        line, metadata = {**entry.line, **own}, {**entry.metadata, **own}
        entries.append(dataclasses.replace(entry, line=line, metadata=metadata))
    return dataclasses.replace(index, entries=tuple(entries))


@dataclasses.dataclass(frozen=True)
class LeRobotDataset:
    """A dataset opened for reading (see `open_lerobot`).

    Attributes:
        root: the dataset's folder.
        info: the contents of `meta/info.json`.
        index: its episodes and instructions.
        keys: which features are what, all of them named.
    """

    root: Path
    info: Mapping[str, Any]
    index: Index
    keys: Found

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.index.entries)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras."""
        return tuple(self.keys.cameras)

    @property
    def state_size(self) -> int:
        """Numbers in a state."""
        features = self.info["features"]
        return sum(math.prod(features[name]["shape"]) for name in self.keys.state)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of those numbers; empty where the dataset says none.

        Numbers of a part of the state that have no names have those of the part, counted.
        """
        found: list[str] = []
        for name in self.keys.state:
            entry = self.info["features"][name]
            size, own = math.prod(entry["shape"]), number_names(entry.get("names"))
            if len(own) != size and len(self.keys.state) > 1:
                own = tuple(f"{name.rpartition('.')[2]}_{number}" for number in range(size))
            if len(own) != size:
                return ()
            found += own
        return tuple(found)

    @property
    def action_shapes(self) -> dict[str, tuple[int, ...]]:
        """Features that hold actions or chunks of them -> shape of what a frame has of each.

        Parts of an action are one, under their names with `+` between.
        """
        features = self.info["features"]
        parts = [tuple(features[name]["shape"]) or (1,) for name in self.keys.action]
        shapes = {}
        if len({part[:-1] for part in parts}) == 1:
            whole = (*parts[0][:-1], sum(part[-1] for part in parts))
            shapes[" + ".join(self.keys.action)] = whole
        return shapes | {n: tuple(features[n]["shape"]) for n in CHUNKS if n in features}

    @property
    def robot_type(self) -> str | None:
        """The robot, where the dataset says so."""
        return self.info.get("robot_type")

    @property
    def unread(self) -> tuple[str, ...]:
        """Features that are no part of an `Episode`: strings, depth, cameras of four channels."""
        keys = (self.keys.cameras, self.keys.regions, self.keys.instances)
        named = {name for part in keys for name in part.values()}
        return tuple(
            name
            for name, feature in self.info["features"].items()
            if name not in named and not is_number(feature)
        )

    def metadata(self, episode: int) -> dict[str, Any]:
        """The episode's metadata, `episode_index`, `tasks` and `length`.

        Raises:
            IndexError: there is no such episode.
        """
        return dict(self._entry(episode).line)

    def prompts(self, episode: int) -> tuple[str, ...]:
        """Its frames' instructions, as `read` gives them, in the order in which they appear.

        Raises:
            IndexError: there is no such episode.
            FileNotFoundError, ValueError: as in `read`.
        """
        entry = self._entry(episode)
        where = f"{entry.data} (episode {episode})"
        numbers = self.read_feature(episode, "task_index")
        _, first = np.unique(numbers, return_index=True)
        if not first.size:
            return tuple(entry.line["tasks"][:1])
        return tuple(
            dict.fromkeys(
                self._prompt(entry, numbers[row : row + 1], np.array([row]), where)
                for row in sorted(first.tolist())
            )
        )

    def data_path(self, episode: int) -> Path:
        """The episode's parquet file.

        Raises:
            IndexError: there is no such episode.
        """
        return data_file(self._entry(episode), self.index.files)

    def files(self, episode: int) -> tuple[Path, ...]:
        """All files that hold something of the episode.

        Raises:
            IndexError: there is no such episode.
        """
        entry = self._entry(episode)
        masks = beside.regions_path(self.root / beside.FOLDER, entry.number)
        clips = [entry.clips[name].path for name in sorted(entry.clips)]
        return (self.data_path(episode), *clips, *([masks] if masks.exists() else []))

    def read(
        self,
        episode: int,
        frames: slice | Sequence[int] | np.ndarray | None = None,
        *,
        regions: bool = True,
    ) -> Episode:
        """Reads one episode, or some of its frames; only those images are decoded.

        Args:
            episode: its index.
            frames: a slice or frame indices (negative ones count from the end); all when None.
            regions: whether to read the labels, of regions and of instances.

        Returns:
            The frames as an `Episode`, in the order asked for.

        Raises:
            IndexError: there is no such episode or frame.
            FileNotFoundError: a file of the episode is missing.
            ValueError: the data cannot be read, are not what the metadata say, or the frames have
                different instructions; the message names the file, the episode and, where it is
                one, the frame.
        """
        entry = self._entry(episode)
        where = f"{entry.data} (episode {episode})"
        features = self.info["features"]
        cameras = dict(self.keys.cameras)
        labels = dict(self.keys.regions) if regions else {}
        instances = dict(self.keys.instances) if regions else {}
        own = (*INDEX_DTYPES, *self.keys.state, *self.keys.action)
        # Parts of a state or action stay features, or their names would be lost.
        whole = {n for part in (self.keys.state, self.keys.action) if len(part) == 1 for n in part}
        others = [
            n for n in features if is_number(features[n]) and n not in {*INDEX_DTYPES, *whole}
        ]
        wanted = list(dict.fromkeys((*own, *others)))
        images = [*cameras.values(), *labels.values(), *instances.values()]
        stored = [name for name in images if features[name]["dtype"] == "image"]
        # Before the frames are counted: their number in the index may be anything.
        table = read_table(entry, self.index.files, [*wanted, *stored], where)
        rows = chosen_rows(frames, entry.length, where)
        pixels = sum(math.prod(image_shape(features[name])) for name in stored)
        check_bytes(len(rows) * pixels, entry.data.stat().st_size, where)
        table = table.take(pa.array(rows))
        arrays = {
            name: to_numpy(features[name], table[name], name, rows, where)
            for name in (*wanted, *stored)
        }
        for name in images:
            if name not in arrays:
                arrays[name] = self._pictures(entry, name, arrays["timestamp"], rows, where)
        found = {
            camera: _labels(arrays[name], name, rows, where) for camera, name in labels.items()
        }
        if regions:
            masks = beside.read_regions(self.root / beside.FOLDER, entry.number, entry.length)
            found |= {camera: value[rows] for camera, value in masks.items()}
        try:
            return Episode(
                images={camera: arrays[name] for camera, name in cameras.items()},
                regions=found,
                state=_vectors(arrays, self.keys.state, len(rows)),
                action=_vectors(arrays, self.keys.action, len(rows)),
                prompt=self._prompt(entry, arrays["task_index"], rows, where),
                fps=self.info["fps"],
                features={name: arrays[name] for name in others},
                metadata=dict(entry.metadata),
                instances={c: from_channels(arrays[name]) for c, name in instances.items()},
                instance_names=dict(entry.instance_names) if regions else {},
            )
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error

    def read_feature(self, episode: int, name: str) -> np.ndarray:
        """Reads one column of an episode, without decoding anything else: [T, ...].

        Raises:
            IndexError: there is no such episode.
            KeyError: the dataset has no such feature.
            FileNotFoundError, ValueError: as in `read`.
        """
        entry = self._entry(episode)
        features = self.info["features"]
        if name not in features:
            raise KeyError(f"{self.root}: no feature {name!r}, it has {few(sorted(features))}")
        where = f"{entry.data} (episode {episode})"
        table = read_table(entry, self.index.files, [name], where)
        return to_numpy(features[name], table[name], name, np.arange(entry.length), where)

    def read_state(self, episode: int) -> np.ndarray:
        """Reads the states of an episode, without decoding anything else: float32 [T, s].

        Raises:
            IndexError, FileNotFoundError, ValueError: as in `read`.
        """
        parts = {name: self.read_feature(episode, name) for name in self.keys.state}
        return _vectors(parts, self.keys.state, self._entry(episode).length)

    def _entry(self, episode: int) -> Entry:
        check_episode(self.root, episode, len(self))
        return self.index.entries[episode]

    def _pictures(
        self, entry: Entry, name: str, stamps: np.ndarray, rows: np.ndarray, where: str
    ) -> np.ndarray:
        clip, fps = entry.clips[name], self.info["fps"]
        if clip.fault:
            raise ValueError(f"{where}: video {name!r} {clip.fault}")
        if self.keys.timestamps:
            check_stamps(stamps, rows, fps, where)
        return read_frames(
            clip.path,
            clip.start,
            rows,
            fps,
            image_shape(self.info["features"][name]),
            f"{clip.path} (episode {entry.number})",
            entry.length,
        )

    def _prompt(self, entry: Entry, indices: np.ndarray, rows: np.ndarray, where: str) -> str:
        if not len(indices):
            return entry.line["tasks"][0] if entry.line["tasks"] else ""
        other = indices != indices[0]
        if np.any(other):
            at = int(np.argmax(other))
            raise ValueError(
                f"{where}, frame {rows[at]}: task_index {indices[at]}, frame {rows[0]} has "
                f"{indices[0]}; an Episode has one instruction, so read the frames of one at a time"
            )
        task = int(indices[0])
        if task not in self.index.tasks:
            raise ValueError(
                f"{where}, frame {rows[0]}: task_index {task} is not among the dataset's tasks "
                f"{few(sorted(self.index.tasks))}"
            )
        lost = sorted(set(entry.line["tasks"]) - set(self.index.tasks.values()))
        if lost:
            raise ValueError(
                f"{where}, frame {rows[0]}: task_index {task} is {self.index.tasks[task]!r}, but "
                f"the episode's {lost[0]!r} is not among the dataset's tasks"
            )
        return self.index.tasks[task]


def _vectors(arrays: Mapping[str, np.ndarray], names: Sequence[str], count: int) -> np.ndarray:
    """Features side by side, float32 [T, n]."""
    parts = [arrays[name].reshape(count, -1) for name in names]
    if not parts:
        return np.zeros((count, 0), np.float32)
    return np.concatenate(parts, axis=1).astype(np.float32, copy=False)


def _labels(value: np.ndarray, name: str, rows: np.ndarray, where: str) -> np.ndarray:
    wrong = np.any(value != value[..., :1], axis=(1, 2, 3))
    if np.any(wrong):
        raise ValueError(
            f"{where}, frame {rows[np.argmax(wrong)]}, column {name!r}: the channels "
            "differ, so it is not a label image"
        )
    labels = np.ascontiguousarray(value[..., 0])
    beside.check_labels(labels, None, f"{where}, column {name!r}", rows)
    return labels
