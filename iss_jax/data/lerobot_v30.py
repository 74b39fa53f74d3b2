"""LeRobot v3.0: many episodes a file, metadata as parquet.

The layout that LeRobot writes since 0.4::

    meta/info.json                                features, counts, path templates
    meta/tasks.parquet                            task_index, indexed by the instruction
    meta/episodes/chunk-000/file-000.parquet      a row an episode: where it is, its statistics
    meta/stats.json                               statistics of the whole dataset
    data/chunk-000/file-000.parquet               the frames of many episodes
    videos/<feature>/chunk-000/file-000.mp4       likewise, each from a time on

An episode's metadata beyond the format's own lie in the column `metadata`, as one JSON object, so
that their types survive, and with them what the numbers of instance labels are; other columns of
scalars are read as metadata, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iss_jax.data.instances import NAMES, names_from_json
from iss_jax.data.lerobot_info import Clip, Entry, Index, filled
from iss_jax.extras import imports_of

with imports_of("data"):
    import pyarrow as pa
    import pyarrow.parquet as pq

VERSION = "v3.0"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
METADATA = "metadata"
_OWN = (
    *("episode_index", "tasks", "length", "data/chunk_index", "data/file_index"),
    *("dataset_from_index", "dataset_to_index", METADATA),
)


def read_index(root: Path, info: Mapping[str, Any]) -> Index:
    """The episodes that the files under `meta/episodes` list.

    Args:
        root: the dataset's folder.
        info: its `info.json`.

    Raises:
        FileNotFoundError: a file of the metadata is missing.
        ValueError: one cannot be read, or a row is not what it should be; the message names it.
    """
    if not info["total_episodes"]:
        return Index((), {})
    paths = sorted((root / "meta" / "episodes").rglob("*.parquet"))
    if not paths:
        raise FileNotFoundError(f"{root}/meta/episodes: no parquet file, though episodes are there")
    found = []
    for path in paths:
        for number, row in enumerate(_rows(path, "stats/")):
            found.append((_checked(row, f"{path}, row {number}"), f"{path}, row {number}"))
    found.sort(key=lambda pair: pair[0]["episode_index"])
    for index, (row, where) in enumerate(found):
        if row["episode_index"] != index:
            raise ValueError(f"{where}: episode {row['episode_index']} where {index} is wanted")
    if len(found) != info["total_episodes"]:
        raise ValueError(
            f"{root}/meta/episodes: {len(found)} episodes, info.json says {info['total_episodes']}"
        )
    begins: dict[Path, int] = {}
    held: dict[Path, int] = {}
    placed = []
    for row, _ in found:
        at = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
        data = filled(root, info, "data_path", **at)
        first: int = row["dataset_from_index"]
        begins[data] = min(begins[data], first) if data in begins else first
        held[data] = held.get(data, 0) + row["length"]
        placed.append(data)
    videos = [name for name, entry in info["features"].items() if entry["dtype"] == "video"]
    entries = [
        _entry(
            root,
            info,
            row,
            where,
            data,
            row["dataset_from_index"] - begins[data],
            held[data],
            videos,
        )
        for (row, where), data in zip(found, placed, strict=True)
    ]
    return Index(tuple(entries), _tasks(root / "meta" / "tasks.parquet"))


def _rows(path: Path, without: str) -> list[dict[str, Any]]:
    """The rows of a parquet file of metadata, without the columns of a prefix."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: missing")
    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if not name.startswith(without)]
            return file.read(columns=names).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: the file cannot be read ({error})") from error


def _checked(row: dict[str, Any], where: str) -> dict[str, Any]:
    for name in _OWN[:-1]:
        value = row.get(name)
        if name == "tasks":
            good = isinstance(value, list)
        else:
            good = isinstance(value, int) and value >= (name == "length")
        if not good:
            raise ValueError(f"{where}: {name} is {value!r}")
    if row["dataset_to_index"] - row["dataset_from_index"] != row["length"]:
        raise ValueError(
            f"{where}: episode {row['episode_index']} has length {row['length']}, but frames "
            f"{row['dataset_from_index']} to {row['dataset_to_index']}"
        )
    return row


def _entry(
    root: Path,
    info: Mapping[str, Any],
    row: dict[str, Any],
    where: str,
    data: Path,
    first: int,
    rows: int,
    videos: Sequence[str],
) -> Entry:
    clips = {}
    for name in videos:
        at = {k: row.get(f"videos/{name}/{k}") for k in ("chunk_index", "file_index")}
        start = row.get(f"videos/{name}/from_timestamp")
        if None in at.values() or start is None:
            raise ValueError(f"{where}: where video {name!r} lies is missing")
        clips[name] = Clip(filled(root, info, "video_path", video_key=name, **at), float(start))
    metadata = {
        name: value
        for name, value in row.items()
        if name not in _OWN and "/" not in name and isinstance(value, str | int | float | bool)
    }
    try:
        metadata |= json.loads(row.get(METADATA) or "{}")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {METADATA} is not a JSON object ({error})") from error
    names = names_from_json(metadata.pop(NAMES, None), where)
    return Entry(
        length=row["length"],
        line={k: row[k] for k in ("episode_index", "tasks", "length")} | metadata,
        metadata=metadata,
        instance_names=names,
        data=data,
        row=first,
        rows=rows,
        clips=clips,
    )


def _tasks(path: Path) -> dict[int, str]:
    rows = _rows(path, "\0")
    if rows and "task_index" not in rows[0]:
        raise ValueError(f"{path}: no column 'task_index', only {sorted(rows[0])}")
    names = [n for n in rows[0] if n in ("task", "__index_level_0__")] if rows else []
    if rows and len(names) != 1:
        raise ValueError(f"{path}: no column of instructions, only {sorted(rows[0])}")
    return {row["task_index"]: row[names[0]] for row in rows}
