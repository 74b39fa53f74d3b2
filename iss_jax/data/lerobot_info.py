"""What LeRobot's formats v2.1 and v3.0 share: `info.json`, the columns of a frame, an index."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iss_jax.data.episode import Episode, Scalar
from iss_jax.data.instances import NAMES, to_channels
from iss_jax.data.json_file import is_count, read_object
from iss_jax.data.lerobot_columns import FAST, SMALL, describe
from iss_jax.few import few

VERSIONS = ("v2.1", "v3.0")
# Read as v2.1: what differs are statistics that nothing here reads.
OLDER = ("v2.0",)
CHUNK_SIZE = 1000
IMAGES = "observation.images."
REGIONS = "observation.regions."
INSTANCES = "observation.instances."
STATE = "observation.state"
ACTION = "action"
INDEX_DTYPES = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
RESERVED = (STATE, ACTION, *INDEX_DTYPES)


@dataclasses.dataclass(frozen=True)
class Clip:
    """Where an episode lies in a video.

    Attributes:
        path: the file.
        start: time of the episode's first frame, seconds.
        fault: what is wrong with that, empty when nothing is.
    """

    path: Path
    start: float
    fault: str = ""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One episode of a dataset's index.

    Attributes:
        number: its `episode_index`, which is its place in the index unless others were deleted.
        length: its frames.
        line: what the metadata say of it, with `episode_index`, `tasks` and `length`.
        metadata: those that are not the format's own.
        instance_names: what the numbers of its instance labels are.
        data: its parquet file.
        row: where its first frame is in `data`, by the index.
        rows: frames that the index places in `data`.
        alone: whether `data` is to hold nothing else.
        clips: video feature to where the episode is in it.
    """

    number: int
    length: int
    line: Mapping[str, Any]
    metadata: Mapping[str, Scalar]
    instance_names: Mapping[int, str]
    data: Path
    row: int
    rows: int
    alone: bool
    clips: Mapping[str, Clip]


@dataclasses.dataclass(frozen=True)
class Index:
    """All episodes of a dataset.

    Attributes:
        entries: the episodes, in the order of their numbers.
        tasks: the instruction of each `task_index`.
        files: parquet files of many episodes, where one that the index misplaces may lie.
    """

    entries: tuple[Entry, ...]
    tasks: Mapping[int, str]
    files: tuple[Path, ...] = ()


def read_info(root: Path, versions: tuple[str, ...] = VERSIONS) -> dict[str, Any]:
    """The contents of `meta/info.json`.

    Args:
        root: the dataset's folder.
        versions: the format versions that will do.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it cannot be read, is of another version or lacks an entry.
    """
    path = root / "meta" / "info.json"
    if not path.exists():
        raise FileNotFoundError(f"{path}: no LeRobot dataset here")
    info = read_object(path)
    older = OLDER if versions == VERSIONS else ()
    if info.get("codebase_version") not in (*versions, *older):
        wanted = " or ".join(map(repr, versions))
        also = "".join(f"; {name!r} is read, too" for name in older)
        raise ValueError(
            f"{path}: format {info.get('codebase_version')!r} given, {wanted} wanted{also}"
        )
    missing = {"features", "fps", "total_episodes", "total_frames", "data_path"} - set(info)
    if isinstance(info.get("features", {}), dict):
        missing |= set(INDEX_DTYPES) - set(info.get("features", {}))
    if missing:
        raise ValueError(f"{path}: {few(sorted(missing))} missing")
    for name in ("total_episodes", "total_frames", "total_tasks", "chunks_size"):
        least = int(name == "chunks_size")
        if name in info and not is_count(info[name], least):
            raise ValueError(f"{path}: {name} is {info[name]!r}, an integer from {least} on wanted")
    fps = info["fps"]
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps < math.inf:
        raise ValueError(f"{path}: fps is {fps!r}, frames a second wanted")
    _check_features(info["features"], path)
    return info


def _check_features(features: Any, path: Path) -> None:
    if not isinstance(features, dict):
        raise ValueError(f"{path}: features are {type(features).__name__}, an object wanted")
    for name, entry in features.items():
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if (
            not isinstance(shape, list)
            or not all(is_count(side, 1) for side in shape)
            or not isinstance(entry.get("dtype"), str)
        ):
            raise ValueError(
                f"{path}: feature {name!r} is {entry!r}, a dtype and a shape of sizes from 1 on "
                "wanted"
            )


def check_counts(info: Mapping[str, Any], entries: Sequence[Entry], where: str) -> None:
    """Checks that an index lists as many episodes and frames as `info.json` says.

    Frames of deleted episodes, whose numbers are missing, may still be counted.

    Args:
        info: the dataset's `info.json`.
        entries: what the index lists.
        where: the index, for messages.

    Raises:
        ValueError: it lists more or fewer.
    """
    numbers = {entry.number for entry in entries}
    missing = sorted(set(range(max(numbers, default=-1))) - numbers)
    if len(entries) != info["total_episodes"]:
        named = f"; the numbers {missing[:8]} are missing" if missing else ""
        raise ValueError(
            f"{where}: {len(entries)} episodes, info.json says {info['total_episodes']}{named}"
        )
    frames = sum(entry.length for entry in entries)
    if frames > info["total_frames"] or (frames < info["total_frames"] and not missing):
        raise ValueError(
            f"{where}: {frames} frames of {len(entries)} episodes, info.json says "
            f"{info['total_frames']}"
        )


def is_image(name: str) -> bool:
    """Whether the writers store a column as PNG."""
    return name.startswith((IMAGES, REGIONS, INSTANCES))


def png_level(name: str) -> int:
    """How hard the writers compress an image column."""
    return SMALL if name.startswith(INSTANCES) else FAST


def with_statistics(stored: Mapping[str, np.ndarray]) -> list[str]:
    """Columns whose minimum and maximum the writers note in parquet: those of one number a frame.

    Of an image it would be the whole PNG, several times, and nobody looks for frames by a pixel.
    """
    return [name for name, value in stored.items() if value.ndim == 1]


def columns(episode: Episode) -> dict[str, np.ndarray]:
    """The columns that the writers store of an episode, without the index columns.

    Raises:
        ValueError: a feature's name is reserved, or it cannot be told apart once written.
    """
    found = {IMAGES + camera: image for camera, image in episode.images.items()}
    found |= {
        REGIONS + camera: np.repeat(label[..., None], 3, axis=-1)
        for camera, label in episode.regions.items()
    }
    found |= {
        INSTANCES + camera: to_channels(numbers, f"instances[{camera!r}]")
        for camera, numbers in episode.instances.items()
    }
    for name, value in ((STATE, episode.state), (ACTION, episode.action)):
        # A recording without actions has none to write; a list of no elements is no Arrow type.
        if value.shape[1]:
            found[name] = value
    for name, value in episode.features.items():
        if name in RESERVED or is_image(name):
            raise ValueError(f"features[{name!r}]: the name is reserved by the LeRobot layout")
        if value.dtype.kind not in "biuf":
            raise ValueError(f"features[{name!r}]: dtype {value.dtype} given, a number wanted")
        if value.ndim > 1 and 0 in value.shape[1:]:
            raise ValueError(f"features[{name!r}]: {list(value.shape)} holds nothing")
        if value.shape[1:] == (1,):
            raise ValueError(
                f"features[{name!r}]: {list(value.shape)} given; to LeRobot shape [1] is one "
                f"number a frame, so give [{len(value)}]"
            )
        found[name] = value
    return found


def features_of(stored: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """The `features` of `info.json` for some columns, and the index columns after them."""
    found = {name: describe(value, image=is_image(name)) for name, value in stored.items()}
    return found | {
        name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in INDEX_DTYPES.items()
    }


def index_columns(count: int, fps: float, episode: int, first: int, task: int) -> dict:
    """The index columns of an episode.

    Args:
        count: its frames.
        fps: frames a second.
        episode: its index.
        first: global index of its first frame.
        task: index of its instruction.
    """
    frame = np.arange(count, dtype=np.int64)
    return {
        "timestamp": (frame / fps).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.full(count, episode, np.int64),
        "index": frame + first,
        "task_index": np.full(count, task, np.int64),
    }


def check_metadata(episode: Episode) -> None:
    """Checks that an episode's metadata can be stored.

    Raises:
        ValueError: a name is the format's own.
        TypeError: a value is not a JSON scalar.
    """
    for key, value in episode.metadata.items():
        if key in ("episode_index", "tasks", "length", NAMES):
            raise ValueError(f"metadata[{key!r}]: the name is reserved by the LeRobot layout")
        if not isinstance(value, Scalar):
            raise TypeError(f"metadata[{key!r}]: {value!r} is not a JSON scalar")
