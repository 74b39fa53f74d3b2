"""Episodes in the LeRobot v2.1 layout, lossless: PNG images and labels inside parquet.

The layout that openpi's pinned LeRobot reads (`codebase_version` v2.1)::

    meta/info.json              features, counts, path template
    meta/tasks.jsonl            {"task_index", "task"}
    meta/episodes.jsonl         {"episode_index", "tasks", "length"} and the episode's metadata
    meta/episodes_stats.jsonl   {"episode_index", "stats": {feature: min, max, mean, std, count}}
    data/chunk-000/episode_000000.parquet

An episode exists once its line in `episodes.jsonl` is complete: everything else about it is
written before. What an interrupted write leaves behind is overwritten by the next one. One process
may write to a dataset at a time; any number may read.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from iss_jax.data.atomic import atomic_path, write_bytes
from iss_jax.data.episode import Episode, Scalar
from iss_jax.data.jsonl import append_line, drop_last_line, last_line, read_lines
from iss_jax.data.lerobot_columns import describe, huggingface_schema, to_arrow, to_numpy
from iss_jax.data.lerobot_stats import feature_stats

CODEBASE_VERSION = "v2.1"
CHUNK_SIZE = 1000
DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
IMAGES = "observation.images."
REGIONS = "observation.regions."
_INDEX_DTYPES = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
_OWN_COLUMNS = ("observation.state", "action", *_INDEX_DTYPES)
_OWN_METADATA = ("episode_index", "tasks", "length")


def write_episode(
    root: str | os.PathLike, episode: Episode, *, robot_type: str | None = None
) -> int:
    """Appends one episode to the dataset at `root`, which is created when it is not there.

    Args:
        root: the dataset's folder.
        episode: the episode; its cameras, shapes, features and fps must be those of the dataset.
        robot_type: stored in `info.json` when the dataset is created.

    Returns:
        The index of the episode in the dataset.

    Raises:
        ValueError: the episode's features differ from the dataset's, a name is reserved, or the
            dataset is of another format version.
    """
    root = Path(root)
    meta = root / "meta"
    columns = _columns(episode)
    features = {name: describe(value, image=_is_image(name)) for name, value in columns.items()}
    features |= {
        name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in _INDEX_DTYPES.items()
    }
    line = _episode_line(episode)

    info = _read_info(root) if (meta / "info.json").exists() else None
    if info is not None:
        _check_same(root, info, features, episode.fps)
    else:
        _write_info(root, features, episode.fps, 0, 0, 0, robot_type, None)
    index, first_frame = _next(root, info)
    task_index, tasks = _task_index(root, episode.prompt)

    count = len(episode)
    frame = np.arange(count, dtype=np.int64)
    columns |= {
        "timestamp": (frame / episode.fps).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.full(count, index, np.int64),
        "index": frame + first_frame,
        "task_index": np.full(count, task_index, np.int64),
    }
    table = pa.table(
        {name: to_arrow(features[name], value) for name, value in columns.items()}
    ).replace_schema_metadata(huggingface_schema(features))
    with atomic_path(root / _data_path(index)) as temporary:
        pq.write_table(table, temporary, use_dictionary=False)

    stats = {name: feature_stats(value, image=_is_image(name)) for name, value in columns.items()}
    last = last_line(meta / "episodes_stats.jsonl")
    if last is not None and last["episode_index"] >= index:
        drop_last_line(meta / "episodes_stats.jsonl")
    append_line(meta / "episodes_stats.jsonl", {"episode_index": index, "stats": stats})
    append_line(meta / "episodes.jsonl", {"episode_index": index, **line})
    _write_info(
        root, features, episode.fps, index + 1, first_frame + count, tasks, robot_type, info
    )
    return index


def open_dataset(root: str | os.PathLike) -> LeRobotDataset:
    """Opens a dataset for reading; only its metadata is read here.

    Args:
        root: the dataset's folder.

    Returns:
        The dataset, as it was when opened.

    Raises:
        FileNotFoundError: there is no dataset at `root`.
        ValueError: the metadata cannot be read, or is of another format version.
    """
    root = Path(root)
    info = _read_info(root)
    path = root / "meta" / "episodes.jsonl"
    lines = read_lines(path) if info["total_episodes"] or path.exists() else []
    for index, line in enumerate(lines):
        if line.get("episode_index") != index or not isinstance(line.get("length"), int):
            raise ValueError(
                f"{root}/meta/episodes.jsonl, line {index + 1}: episode_index {index} and a length "
                f"wanted, {line} given"
            )
    return LeRobotDataset(root, info, tuple(lines))


@dataclasses.dataclass(frozen=True)
class LeRobotDataset:
    """A dataset opened for reading (see `open_dataset`).

    Attributes:
        root: the dataset's folder.
        info: the contents of `meta/info.json`.
        lines: the lines of `meta/episodes.jsonl`.
    """

    root: Path
    info: Mapping[str, Any]
    lines: tuple[Mapping[str, Any], ...]

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.lines)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras."""
        return tuple(n.removeprefix(IMAGES) for n in self.info["features"] if n.startswith(IMAGES))

    def metadata(self, episode: int) -> dict[str, Any]:
        """The episode's line of `episodes.jsonl`: its metadata, `episode_index`, `tasks`, `length`.

        Raises:
            IndexError: there is no such episode.
        """
        return dict(self.lines[self._checked(episode)])

    def data_path(self, episode: int) -> Path:
        """The episode's parquet file.

        Raises:
            IndexError: there is no such episode.
        """
        return self.root / _data_path(self._checked(episode))

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
            regions: whether to decode the region labels.

        Returns:
            The frames as an `Episode`, in the order asked for.

        Raises:
            IndexError: there is no such episode or frame.
            FileNotFoundError: the episode's data file is missing.
            ValueError: the data cannot be read or are not what `info.json` says; the message names
                the file, the episode and, where it is one, the frame.
        """
        episode = self._checked(episode)
        line = self.lines[episode]
        where = f"{self.data_path(episode)} (episode {episode})"
        rows = _rows(frames, line["length"], where)
        features = self.info["features"]
        wanted = [n for n in features if regions or not n.startswith(REGIONS)]
        table = _read_table(self.data_path(episode), wanted, episode, line["length"], where)
        table = table.take(pa.array(rows))
        arrays = {name: to_numpy(features[name], table[name], name, rows, where) for name in wanted}
        if np.any(arrays["episode_index"] != episode) or np.any(arrays["frame_index"] != rows):
            raise ValueError(f"{where}: holds the frames of another episode or in another order")
        return Episode(
            images=_strip(arrays, IMAGES),
            regions={
                camera: _labels(value, camera, rows, where)
                for camera, value in _strip(arrays, REGIONS).items()
            },
            state=arrays["observation.state"],
            action=arrays["action"],
            prompt=line["tasks"][0],
            fps=self.info["fps"],
            features={
                name: value
                for name, value in arrays.items()
                if name not in _OWN_COLUMNS and not _is_image(name)
            },
            metadata={key: line[key] for key in line if key not in _OWN_METADATA},
        )

    def read_feature(self, episode: int, name: str) -> np.ndarray:
        """Reads one column of an episode, without decoding anything else: [T, ...].

        Raises:
            IndexError: there is no such episode.
            KeyError: the dataset has no such feature.
            FileNotFoundError, ValueError: as in `read`.
        """
        episode = self._checked(episode)
        features = self.info["features"]
        if name not in features:
            raise KeyError(f"{self.root}: no feature {name!r}, it has {sorted(features)}")
        length = self.lines[episode]["length"]
        where = f"{self.root / _data_path(episode)} (episode {episode})"
        table = _read_table(self.root / _data_path(episode), [name], episode, length, where)
        return to_numpy(features[name], table[name], name, np.arange(length), where)

    def _checked(self, episode: int) -> int:
        if not 0 <= episode < len(self):
            raise IndexError(f"{self.root}: episode {episode} of {len(self)}")
        return int(episode)


def _is_image(name: str) -> bool:
    return name.startswith((IMAGES, REGIONS))


def _columns(episode: Episode) -> dict[str, np.ndarray]:
    columns = {IMAGES + camera: image for camera, image in episode.images.items()}
    columns |= {
        REGIONS + camera: np.repeat(label[..., None], 3, axis=-1)
        for camera, label in episode.regions.items()
    }
    columns |= {"observation.state": episode.state, "action": episode.action}
    for name, value in episode.features.items():
        if name in _OWN_COLUMNS or _is_image(name):
            raise ValueError(f"features[{name!r}]: the name is reserved by the LeRobot layout")
        if value.dtype.kind not in "biuf":
            raise ValueError(f"features[{name!r}]: dtype {value.dtype} given, a number wanted")
        columns[name] = value
    return columns


def _labels(value: np.ndarray, camera: str, rows: np.ndarray, where: str) -> np.ndarray:
    wrong = np.any(value != value[..., :1], axis=(1, 2, 3))
    if np.any(wrong):
        raise ValueError(
            f"{where}, frame {rows[np.argmax(wrong)]}, column {REGIONS + camera!r}: the channels "
            "differ, so it is not a label image"
        )
    return np.ascontiguousarray(value[..., 0])


def _strip(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}


def _rows(frames: slice | Sequence[int] | np.ndarray | None, length: int, where: str) -> np.ndarray:
    if frames is None:
        return np.arange(length, dtype=np.int64)
    if isinstance(frames, slice):
        return np.arange(length, dtype=np.int64)[frames]
    rows = np.asarray(frames)
    if rows.size == 0:
        return np.zeros(0, np.int64)
    if rows.dtype.kind not in "iu" or rows.ndim != 1:
        raise TypeError(f"{where}: frames must be a slice or integers, {frames!r} given")
    rows = rows.astype(np.int64)
    outside = (rows < -length) | (rows >= length)
    if np.any(outside):
        raise IndexError(f"{where}: frame {rows[outside][0]} of {length}")
    return rows % length


def _read_table(path: Path, wanted: list[str], episode: int, length: int, where: str) -> pa.Table:
    if not path.exists():
        raise FileNotFoundError(f"{where}: the file is missing, though episodes.jsonl lists it")
    try:
        # Each open file owns its schema, so a file that lacks a column is caught before the read.
        with pq.ParquetFile(path) as file:
            missing = sorted(set(wanted) - set(file.schema_arrow.names))
            if missing:
                raise ValueError(f"{where}: columns {missing} of info.json are missing")
            table = file.read(columns=wanted)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{where}: the file cannot be read ({error})") from error
    if table.num_rows != length:
        raise ValueError(f"{where}: {table.num_rows} frames found, {length} wanted")
    return table


def _data_path(index: int) -> str:
    return DATA_PATH.format(episode_chunk=index // CHUNK_SIZE, episode_index=index)


def _episode_line(episode: Episode) -> dict[str, Any]:
    for key, value in episode.metadata.items():
        if key in _OWN_METADATA:
            raise ValueError(f"metadata[{key!r}]: the name is reserved by the LeRobot layout")
        if not isinstance(value, Scalar):
            raise TypeError(f"metadata[{key!r}]: {value!r} is not a JSON scalar")
    return {"tasks": [episode.prompt], "length": len(episode), **episode.metadata}


def _read_info(root: Path) -> dict[str, Any]:
    path = root / "meta" / "info.json"
    try:
        info = json.loads(path.read_text())
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no LeRobot dataset here") from None
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    if info.get("codebase_version") != CODEBASE_VERSION:
        raise ValueError(
            f"{path}: format {info.get('codebase_version')!r} given, {CODEBASE_VERSION!r} wanted"
        )
    missing = {"features", "fps", "total_episodes", "total_frames"} - set(info)
    missing |= {"observation.state", "action", *_INDEX_DTYPES} - set(info.get("features", {}))
    if missing:
        raise ValueError(f"{path}: {sorted(missing)} missing")
    return info


def _check_same(root: Path, info: Mapping[str, Any], features: Mapping, fps: float) -> None:
    known = info["features"]
    for name in sorted(set(known) | set(features)):
        if known.get(name) != features.get(name):
            raise ValueError(
                f"{root}: feature {name!r} is {known.get(name)} in the dataset and "
                f"{features.get(name)} in the episode"
            )
    if info["fps"] != fps:
        raise ValueError(f"{root}: fps is {info['fps']} in the dataset and {fps} in the episode")


def _next(root: Path, info: Mapping[str, Any] | None) -> tuple[int, int]:
    """The next episode's index and the global index of its first frame."""
    path = root / "meta" / "episodes.jsonl"
    last = last_line(path)
    index = 0 if last is None else last["episode_index"] + 1
    if info is None or info["total_episodes"] == index:
        return index, 0 if info is None else info["total_frames"]
    # info.json lags behind by an episode when its rewrite was interrupted.
    return index, sum(line["length"] for line in read_lines(path)) if index else 0


def _task_index(root: Path, prompt: str) -> tuple[int, int]:
    path = root / "meta" / "tasks.jsonl"
    last_line(path)
    tasks = [line["task"] for line in read_lines(path)] if path.exists() else []
    if prompt not in tasks:
        append_line(path, {"task_index": len(tasks), "task": prompt})
        tasks.append(prompt)
    return tasks.index(prompt), len(tasks)


def _write_info(root, features, fps, episodes, frames, tasks, robot_type, info) -> None:
    new = {
        "codebase_version": CODEBASE_VERSION,
        "robot_type": robot_type if info is None else info.get("robot_type"),
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "total_videos": 0,
        "total_chunks": -(-episodes // CHUNK_SIZE),
        "chunks_size": CHUNK_SIZE,
        "fps": fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": None,
        "features": features,
    }
    write_bytes(root / "meta" / "info.json", json.dumps(new, indent=2).encode())
