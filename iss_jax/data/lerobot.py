"""Episodes in LeRobot's formats v2.1 and v3.0, images and labels lossless inside parquet.

Both versions are read, with images as PNG inside parquet or as video; what is written has PNG.
The layouts are described in `lerobot_v21` and `lerobot_v30`. Which feature is which camera, the
state or the action is said by `Keys`. Region labels are image features of equal channels under
`observation.regions.`, or lie beside the dataset (see `beside`). Instance labels are image features
under `observation.instances.`, their names in the episode's metadata (see `instances`).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iss_jax.data import beside, lerobot_v21, lerobot_v30
from iss_jax.data.episode import Episode, check_episode, chosen_rows
from iss_jax.data.instances import from_channels
from iss_jax.data.lerobot_columns import image_shape, to_numpy
from iss_jax.data.lerobot_info import (
    ACTION,
    IMAGES,
    INDEX_DTYPES,
    INSTANCES,
    REGIONS,
    STATE,
    Entry,
    Index,
    read_info,
)
from iss_jax.data.lerobot_v21 import DATA_PATH, write_episode
from iss_jax.data.video import read_frames
from iss_jax.extras import imports_of

with imports_of("data"):
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["DATA_PATH", "IMAGES", "INSTANCES", "REGIONS", "Keys", "LeRobotDataset"]
__all__ += ["open_lerobot", "write_episode"]

_READERS = {
    lerobot_v21.VERSION: lerobot_v21.read_index,
    lerobot_v30.VERSION: lerobot_v30.read_index,
}


@dataclasses.dataclass(frozen=True)
class Keys:
    """Which features of a dataset are what, where they have other names than here.

    Attributes:
        cameras: camera to image or video feature; when None all of them, under their names without
            `observation.images.`, but for the labels.
        regions: camera to the image feature of its labels; when None those under
            `observation.regions.`.
        instances: camera to the image feature of its instance labels; when None those under
            `observation.instances.` of these cameras.
        state: the state; when None `observation.state`, else `state`.
        action: the action; when None `action`, else `actions`, else there is none.
    """

    cameras: Mapping[str, str] | None = None
    regions: Mapping[str, str] | None = None
    state: str | None = None
    action: str | None = None
    instances: Mapping[str, str] | None = None


def open_lerobot(root: str | os.PathLike, keys: Keys = Keys()) -> LeRobotDataset:
    """Opens a dataset for reading; only its metadata is read here.

    Args:
        root: the dataset's folder.
        keys: which features are what.

    Returns:
        The dataset, as it was when opened.

    Raises:
        FileNotFoundError: there is no dataset at `root`.
        KeyError: the dataset lacks a feature that `keys` names, or a state.
        ValueError: the metadata cannot be read, or is of another format version.
    """
    root = Path(root)
    info = read_info(root)
    return LeRobotDataset(
        root, info, _READERS[info["codebase_version"]](root, info), _found(root, info, keys)
    )


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
    keys: Keys

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.index.entries)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras."""
        return tuple(self.keys.cameras or ())

    @property
    def state_size(self) -> int:
        """Numbers in a state."""
        return int(np.prod(self.info["features"][self.keys.state]["shape"]))

    @property
    def robot_type(self) -> str | None:
        """The robot, where the dataset says so."""
        return self.info.get("robot_type")

    @property
    def unread(self) -> tuple[str, ...]:
        """Features that are no numbers, such as strings, and so are not part of an `Episode`."""
        keys = (self.keys.cameras, self.keys.regions, self.keys.instances)
        named = {name for part in keys for name in (part or {}).values()}
        return tuple(
            name
            for name, feature in self.info["features"].items()
            if name not in named and not _is_number(feature)
        )

    def metadata(self, episode: int) -> dict[str, Any]:
        """The episode's metadata, `episode_index`, `tasks` and `length`.

        Raises:
            IndexError: there is no such episode.
        """
        return dict(self._entry(episode).line)

    def data_path(self, episode: int) -> Path:
        """The episode's parquet file.

        Raises:
            IndexError: there is no such episode.
        """
        return self._entry(episode).data

    def files(self, episode: int) -> tuple[Path, ...]:
        """All files that hold something of the episode.

        Raises:
            IndexError: there is no such episode.
        """
        entry = self._entry(episode)
        masks = beside.regions_path(self.root / beside.FOLDER, episode)
        clips = [entry.clips[name].path for name in sorted(entry.clips)]
        return (entry.data, *clips, *([masks] if masks.exists() else []))

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
        rows = chosen_rows(frames, entry.length, where)
        features = self.info["features"]
        cameras = dict(self.keys.cameras or {})
        labels = dict(self.keys.regions or {}) if regions else {}
        instances = dict(self.keys.instances or {}) if regions else {}
        others = [n for n in features if _is_number(features[n]) and not self._is_own(n)]
        wanted = [*INDEX_DTYPES, *filter(None, (self.keys.state, self.keys.action)), *others]
        images = [*cameras.values(), *labels.values(), *instances.values()]
        stored = [name for name in images if features[name]["dtype"] == "image"]
        table = _read_table(entry, [*wanted, *stored], where).take(pa.array(rows))
        arrays = {
            name: to_numpy(features[name], table[name], name, rows, where)
            for name in (*wanted, *stored)
        }
        if np.any(arrays["episode_index"] != episode) or np.any(arrays["frame_index"] != rows):
            raise ValueError(f"{where}: holds the frames of another episode or in another order")
        for name in images:
            if name not in arrays:
                clip = entry.clips[name]
                arrays[name] = read_frames(
                    clip.path,
                    clip.start + arrays["timestamp"].astype(np.float64),
                    rows,
                    self.info["fps"],
                    image_shape(features[name]),
                    f"{clip.path} (episode {episode})",
                )
        found = {
            camera: _labels(arrays[name], name, rows, where) for camera, name in labels.items()
        }
        if regions:
            masks = beside.read_regions(self.root / beside.FOLDER, episode, entry.length)
            found |= {camera: value[rows] for camera, value in masks.items()}
        assert self.keys.state is not None
        action = arrays[self.keys.action] if self.keys.action else np.zeros((len(rows), 0))
        return Episode(
            images={camera: arrays[name] for camera, name in cameras.items()},
            regions=found,
            state=_vectors(arrays[self.keys.state]),
            action=_vectors(action),
            prompt=self._prompt(entry, arrays["task_index"], rows, where),
            fps=self.info["fps"],
            features={name: arrays[name] for name in others},
            metadata=dict(entry.metadata),
            instances={c: from_channels(arrays[name]) for c, name in instances.items()},
            instance_names=dict(entry.instance_names) if regions else {},
        )

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
            raise KeyError(f"{self.root}: no feature {name!r}, it has {sorted(features)}")
        where = f"{entry.data} (episode {episode})"
        table = _read_table(entry, [name], where)
        return to_numpy(features[name], table[name], name, np.arange(entry.length), where)

    def read_state(self, episode: int) -> np.ndarray:
        """Reads the states of an episode, without decoding anything else: float32 [T, s].

        Raises:
            IndexError, FileNotFoundError, ValueError: as in `read`.
        """
        assert self.keys.state is not None
        return _vectors(self.read_feature(episode, self.keys.state))

    def _entry(self, episode: int) -> Entry:
        check_episode(self.root, episode, len(self))
        return self.index.entries[episode]

    def _is_own(self, name: str) -> bool:
        return name in (*INDEX_DTYPES, self.keys.state, self.keys.action)

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
                f"{sorted(self.index.tasks)}"
            )
        return self.index.tasks[task]


def _found(root: Path, info: Mapping[str, Any], keys: Keys) -> Keys:
    """All keys by name."""
    features = info["features"]
    images = [name for name, entry in features.items() if entry["dtype"] in ("image", "video")]
    regions = keys.regions
    if regions is None:
        regions = {n.removeprefix(REGIONS): n for n in images if n.startswith(REGIONS)}
    instances = keys.instances
    if instances is None:
        instances = {n.removeprefix(INSTANCES): n for n in images if n.startswith(INSTANCES)}
    cameras = keys.cameras
    if cameras is None:
        taken = {*regions.values(), *instances.values()}
        cameras = {n.removeprefix(IMAGES): n for n in images if n not in taken}
    if keys.instances is None:
        # Of cameras that are not asked for there is nothing to name.
        instances = {camera: name for camera, name in instances.items() if camera in cameras}
    for camera, name in (*cameras.items(), *regions.items(), *instances.items()):
        if name not in images:
            raise KeyError(
                f"{root}: camera {camera!r} is to be the feature {name!r}, but the image features "
                f"are {images}"
            )
    state = keys.state or next((n for n in (STATE, "state") if n in features), None)
    action = keys.action or next((n for n in (ACTION, "actions") if n in features), None)
    for what, name in (("state", state or STATE), ("action", action)):
        if name is not None and name not in features:
            raise KeyError(
                f"{root}: the {what} is to be the feature {name!r}, the dataset has "
                f"{sorted(features)}"
            )
    return Keys(cameras, regions, state, action, instances)


def _is_number(feature: Mapping[str, Any]) -> bool:
    return feature["dtype"] == "bool" or feature["dtype"].startswith(("int", "uint", "float"))


def _vectors(value: np.ndarray) -> np.ndarray:
    return value.reshape(len(value), -1).astype(np.float32, copy=False)


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


def _read_table(entry: Entry, wanted: Sequence[str], where: str) -> pa.Table:
    if not entry.data.exists():
        raise FileNotFoundError(f"{where}: the file is missing, though the metadata list it")
    try:
        # Each open file owns its schema, so a file that lacks a column is caught before the read.
        with pq.ParquetFile(entry.data) as file:
            missing = sorted(set(wanted) - set(file.schema_arrow.names))
            if missing:
                raise ValueError(f"{where}: columns {missing} of info.json are missing")
            if file.metadata.num_rows != entry.rows:
                raise ValueError(
                    f"{where}: {file.metadata.num_rows} frames found, {entry.rows} wanted"
                )
            groups, first, passed = [], 0, 0
            for group in range(file.metadata.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                if passed < entry.row + entry.length and entry.row < passed + count:
                    first = passed if not groups else first
                    groups.append(group)
                passed += count
            table = file.read_row_groups(groups, columns=list(wanted))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{where}: the file cannot be read ({error})") from error
    return table.slice(entry.row - first, entry.length)
