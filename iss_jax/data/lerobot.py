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
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from iss_jax.data.atomic import atomic_path, write_bytes
from iss_jax.data.episode import Episode, Scalar

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
_IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
# Fast rather than small: level 1 costs a few per cent of size against level 6 on rendered frames.
_PNG_LEVEL = 1


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
    features = {name: _feature(name, value) for name, value in columns.items()}
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
        {name: _arrow(features[name], value) for name, value in columns.items()}
    ).replace_schema_metadata({"huggingface": json.dumps(_huggingface(features))})
    with atomic_path(root / _data_path(index)) as temporary:
        pq.write_table(table, temporary, use_dictionary=False)

    stats = {name: _stats(features[name], value) for name, value in columns.items()}
    _drop_from(meta / "episodes_stats.jsonl", index)
    _append(meta / "episodes_stats.jsonl", {"episode_index": index, "stats": stats})
    _append(meta / "episodes.jsonl", {"episode_index": index, **line})
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
    lines = _read_lines(path) if info["total_episodes"] or path.exists() else []
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
        where = f"{self.root / _data_path(episode)} (episode {episode})"
        rows = _rows(frames, line["length"], where)
        features = self.info["features"]
        wanted = [n for n in features if regions or not n.startswith(REGIONS)]
        table = _read_table(self.root / _data_path(episode), wanted, episode, line["length"], where)
        table = table.take(pa.array(rows))
        arrays = {name: _numpy(features[name], table[name], name, rows, where) for name in wanted}
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
                if name not in _OWN_COLUMNS and not name.startswith((IMAGES, REGIONS))
            },
            metadata={key: line[key] for key in line if key not in _OWN_METADATA},
        )

    def _checked(self, episode: int) -> int:
        if not 0 <= episode < len(self):
            raise IndexError(f"{self.root}: episode {episode} of {len(self)}")
        return int(episode)


# --- columns: Episode <-> arrow -----------------------------------------------------------------


def _columns(episode: Episode) -> dict[str, np.ndarray]:
    columns = {IMAGES + camera: image for camera, image in episode.images.items()}
    columns |= {
        REGIONS + camera: np.repeat(label[..., None], 3, axis=-1)
        for camera, label in episode.regions.items()
    }
    columns |= {"observation.state": episode.state, "action": episode.action}
    for name, value in episode.features.items():
        if name in _OWN_COLUMNS or name.startswith((IMAGES, REGIONS)):
            raise ValueError(f"features[{name!r}]: the name is reserved by the LeRobot layout")
        if value.dtype.kind not in "biuf":
            raise ValueError(f"features[{name!r}]: dtype {value.dtype} given, a number wanted")
        columns[name] = value
    return columns


def _feature(name: str, value: np.ndarray) -> dict[str, Any]:
    if name.startswith((IMAGES, REGIONS)):
        names = ["height", "width", "channel"]
        return {"dtype": "image", "shape": list(value.shape[1:]), "names": names}
    return {"dtype": value.dtype.name, "shape": list(value.shape[1:]) or [1], "names": None}


def _arrow(feature: Mapping[str, Any], value: np.ndarray) -> pa.Array:
    if feature["dtype"] == "image":
        return pa.array([{"bytes": _png(image), "path": None} for image in value], _IMAGE_TYPE)
    array = pa.array(np.ascontiguousarray(value).reshape(-1))
    for axis, size in reversed(list(enumerate(value.shape[1:]))):
        if axis == 0 and value.ndim == 2:
            array = pa.FixedSizeListArray.from_arrays(array, size)
        else:
            offsets = np.arange(0, len(array) + 1, size, dtype=np.int32)
            array = pa.ListArray.from_arrays(pa.array(offsets), array)
    return array


def _numpy(
    feature: Mapping[str, Any], column: pa.ChunkedArray, name: str, rows: np.ndarray, where: str
) -> np.ndarray:
    shape = tuple(feature["shape"])
    array = column.combine_chunks()
    if feature["dtype"] == "image":
        if len(array) == 0:
            return np.zeros((0, *shape), np.uint8)
        encoded = array.field("bytes").to_pylist()
        return np.stack(
            [
                _decode(png, shape, f"{where}, frame {row}, column {name!r}")
                for png, row in zip(encoded, rows, strict=True)
            ]
        )
    while pa.types.is_nested(array.type):
        array = array.flatten()
    values = array.to_numpy(zero_copy_only=False)
    if shape == (1,) and values.shape == rows.shape:
        return values.astype(feature["dtype"], copy=False)
    if array.null_count or values.size != rows.size * math.prod(shape):
        raise ValueError(f"{where}: column {name!r} does not hold {feature['dtype']} {list(shape)}")
    return values.astype(feature["dtype"], copy=False).reshape(rows.size, *shape)


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def _decode(png: bytes | None, shape: tuple[int, ...], where: str) -> np.ndarray:
    try:
        if png is None:
            raise ValueError("no bytes")
        with Image.open(io.BytesIO(png)) as image:
            decoded = np.asarray(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"{where}: the image cannot be decoded ({error})") from error
    if decoded.shape != shape or decoded.dtype != np.uint8:
        raise ValueError(
            f"{where}: image {decoded.dtype} {list(decoded.shape)} found, uint8 {list(shape)} "
            "wanted by info.json"
        )
    return decoded


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


def _huggingface(features: Mapping[str, Any]) -> dict[str, Any]:
    """The schema that the `datasets` library stores in parquet metadata."""

    def of(feature: Mapping[str, Any]) -> dict[str, Any]:
        shape, dtype = feature["shape"], feature["dtype"]
        if dtype == "image":
            return {"_type": "Image"}
        value = {"dtype": dtype, "_type": "Value"}
        if shape == [1]:
            return value
        if len(shape) == 1:
            return {"feature": value, "length": shape[0], "_type": "Sequence"}
        return {"shape": shape, "dtype": dtype, "_type": f"Array{len(shape)}D"}

    return {"info": {"features": {name: of(feature) for name, feature in features.items()}}}


# --- statistics ---------------------------------------------------------------------------------


def _stats(feature: Mapping[str, Any], value: np.ndarray) -> dict[str, Any]:
    """LeRobot v2.1's per-episode statistics: images as [3, 1, 1] in [0, 1], the rest per element."""
    if feature["dtype"] == "image":
        # v2.1 samples frames too: max(100, T^0.75) of them.
        count = min(len(value), max(100, int(len(value) ** 0.75)))
        rows = np.round(np.linspace(0, len(value) - 1, count)).astype(int)
        sample = value[rows].astype(np.float32) / np.float32(255)
        axes, shape = (0, 1, 2), (3, 1, 1)
    else:
        sample = np.asarray(value, np.float64)
        count, axes, shape = len(value), (0,), tuple(value.shape[1:]) or (1,)
    stats = {
        "min": sample.min(axes),
        "max": sample.max(axes),
        "mean": sample.mean(axes, dtype=np.float64),
        "std": sample.std(axes, dtype=np.float64),
    }
    result = {key: np.asarray(entry).reshape(shape).tolist() for key, entry in stats.items()}
    return {**result, "count": [count]}


# --- metadata files -----------------------------------------------------------------------------


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
    last = _last_line(path)
    index = 0 if last is None else last["episode_index"] + 1
    if info is None or info["total_episodes"] == index:
        return index, 0 if info is None else info["total_frames"]
    # info.json lags behind by an episode when its rewrite was interrupted.
    return index, sum(line["length"] for line in _read_lines(path)) if index else 0


def _task_index(root: Path, prompt: str) -> tuple[int, int]:
    path = root / "meta" / "tasks.jsonl"
    _last_line(path)
    tasks = [line["task"] for line in _read_lines(path)] if path.exists() else []
    if prompt not in tasks:
        _append(path, {"task_index": len(tasks), "task": prompt})
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


def _append(path: Path, line: Mapping[str, Any]) -> None:
    with open(path, "ab") as file:
        file.write(json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _read_lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        raise FileNotFoundError(f"{path}: missing")
    lines = []
    # What follows the last newline is an interrupted append.
    for number, text in enumerate(path.read_bytes().split(b"\n")[:-1]):
        try:
            line = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{path}, line {number + 1}: cannot be read ({error})") from error
        if not isinstance(line, dict):
            raise TypeError(f"{path}, line {number + 1}: an object wanted, {line!r} given")
        lines.append(line)
    return lines


def _tail(path: Path) -> tuple[int, bytes]:
    """Start and text of the last complete line; cuts an interrupted append off."""
    with open(path, "r+b") as file:
        end = file.seek(0, os.SEEK_END)
        block, text = 1 << 16, b""
        while len(text) < end:
            start = max(0, end - len(text) - block)
            file.seek(start)
            text = file.read(end - start)
            block *= 4
            complete = text[: text.rfind(b"\n") + 1]
            if complete[:-1].rfind(b"\n") >= 0:
                break
        complete = text[: text.rfind(b"\n") + 1]
        stop = end - len(text) + len(complete)
        if stop < end:
            file.truncate(stop)
    line = complete[complete[:-1].rfind(b"\n") + 1 :]
    return stop - len(line), line


def _last_line(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    _, text = _tail(path)
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}, last line: cannot be read ({error})") from error


def _drop_from(path: Path, index: int) -> None:
    """Removes the line that an interrupted write left for episode `index`."""
    last = _last_line(path)
    if last is not None and last["episode_index"] >= index:
        os.truncate(path, _tail(path)[0])
