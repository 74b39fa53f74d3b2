"""What LeRobot's formats v2.1 and v3.0 share: `info.json`, the columns of a frame, an index."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from iss_jax.data.episode import Episode, Scalar
from iss_jax.data.instances import NAMES, to_channels
from iss_jax.data.json_file import read_object
from iss_jax.data.lerobot_columns import FAST, SMALL, describe

VERSIONS = ("v2.1", "v3.0")
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
    """

    path: Path
    start: float


@dataclasses.dataclass(frozen=True)
class Entry:
    """One episode of a dataset's index.

    Attributes:
        length: its frames.
        line: what the metadata say of it, with `episode_index`, `tasks` and `length`.
        metadata: those that are not the format's own.
        instance_names: what the numbers of its instance labels are.
        data: its parquet file.
        row: where its first frame is in `data`.
        rows: frames that `data` holds of all its episodes.
        clips: video feature to where the episode is in it.
    """

    length: int
    line: Mapping[str, Any]
    metadata: Mapping[str, Scalar]
    instance_names: Mapping[int, str]
    data: Path
    row: int
    rows: int
    clips: Mapping[str, Clip]


@dataclasses.dataclass(frozen=True)
class Index:
    """All episodes of a dataset, and the instruction of each `task_index`."""

    entries: tuple[Entry, ...]
    tasks: Mapping[int, str]


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
    if info.get("codebase_version") not in versions:
        wanted = " or ".join(map(repr, versions))
        raise ValueError(f"{path}: format {info.get('codebase_version')!r} given, {wanted} wanted")
    missing = {"features", "fps", "total_episodes", "total_frames", "data_path"} - set(info)
    missing |= set(INDEX_DTYPES) - set(info.get("features", {}))
    if missing:
        raise ValueError(f"{path}: {sorted(missing)} missing")
    return info


def filled(root: Path, info: Mapping[str, Any], template: str, **values: Any) -> Path:
    """A path template of `info.json`, such as `data_path`, with its values.

    Raises:
        ValueError: there is no such template, or it asks for other values.
    """
    try:
        return root / info[template].format(**values)
    except (KeyError, AttributeError, IndexError, ValueError) as error:
        raise ValueError(
            f"{root}/meta/info.json: {template} is {info.get(template)!r}, a template of "
            f"{sorted(values)} wanted"
        ) from error


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
