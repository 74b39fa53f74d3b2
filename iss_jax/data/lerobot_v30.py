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

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iss_jax.data.clips import clip_faults
from iss_jax.data.instances import NAMES, names_from_json
from iss_jax.data.json_file import is_count, parse_object
from iss_jax.data.lerobot_info import Clip, Entry, Index, check_counts
from iss_jax.data.lerobot_table import read_rows, task_numbers
from iss_jax.data.path_template import filled
from iss_jax.few import few

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
    folder = root / "meta" / "episodes"
    paths = sorted(folder.rglob("*.parquet"))
    if not paths and info["total_episodes"]:
        raise FileNotFoundError(f"{folder}: no parquet file, though episodes are there")
    found = []
    for path in paths:
        for number, row in enumerate(read_rows(path, "stats/")):
            found.append((_checked(row, f"{path}, row {number}"), f"{path}, row {number}"))
    found.sort(key=lambda pair: pair[0]["episode_index"])
    for (before, _), (row, where) in itertools.pairwise(found):
        if row["episode_index"] == before["episode_index"]:
            raise ValueError(f"{where}: a second episode {row['episode_index']}")
    _check_order(found)
    begins: dict[Path, int] = {}
    held: dict[Path, int] = {}
    placed = []
    for row, _ in found:
        at = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
        data = filled(root, info, "data_path", **at)
        first: int = row["dataset_from_index"]
        begins[data] = min(begins.get(data, first), first)
        held[data] = held.get(data, 0) + row["length"]
        placed.append(data)
    tasks = _tasks(root / "meta" / "tasks.parquet") if found else {}
    _add_tasks(found, placed, tasks)
    videos = [name for name, entry in info["features"].items() if entry["dtype"] == "video"]
    clips = {name: _clips(root, info, found, name) for name in videos}
    entries = [
        _entry(
            row,
            where,
            data,
            row["dataset_from_index"] - begins[data],
            held[data],
            {name: clips[name][place] for name in videos},
        )
        for place, ((row, where), data) in enumerate(zip(found, placed, strict=True))
    ]
    check_counts(info, entries, f"{folder}")
    return Index(tuple(entries), tasks, tuple(dict.fromkeys(placed)))


def _checked(row: dict[str, Any], where: str) -> dict[str, Any]:
    for name in _OWN[:-1]:
        value = row.get(name)
        if name == "tasks" and name not in row:
            continue
        if name == "tasks":
            good = isinstance(value, list) and all(isinstance(task, str) for task in value)
        else:
            good = is_count(value, int(name == "length"))
        if not good:
            raise ValueError(f"{where}: {name} is {value!r}")
    if row["dataset_to_index"] - row["dataset_from_index"] != row["length"]:
        raise ValueError(
            f"{where}: episode {row['episode_index']} has length {row['length']}, but frames "
            f"{row['dataset_from_index']} to {row['dataset_to_index']}"
        )
    return row


def _add_tasks(
    found: Sequence[tuple[dict[str, Any], str]], placed: Sequence[Path], tasks: Mapping[int, str]
) -> None:
    """Instructions of episodes whose rows name none: those of their frames.

    LeRobot 0.6 leaves the column out where it makes videos of a dataset of images.
    """
    lacking = {path for (row, _), path in zip(found, placed, strict=True) if "tasks" not in row}
    numbers = {path: task_numbers(path) for path in lacking}
    for (row, _), path in zip(found, placed, strict=True):
        if "tasks" not in row:
            own = numbers[path].get(row["episode_index"], [])
            row["tasks"] = [tasks[number] for number in own if number in tasks]


def _check_order(found: Sequence[tuple[dict[str, Any], str]]) -> None:
    """A number that is missing is of a deleted episode only where the frames are in order."""
    ordered = all(
        after["dataset_from_index"] >= before["dataset_to_index"]
        for (before, _), (after, _) in itertools.pairwise(found)
    )
    for index, (row, where) in enumerate(found):
        if row["episode_index"] != index and not ordered:
            raise ValueError(f"{where}: episode {row['episode_index']} where {index} is wanted")


def _clips(
    root: Path, info: Mapping[str, Any], found: Sequence[tuple[dict[str, Any], str]], name: str
) -> list[Clip]:
    """Where the episodes lie in the videos of a feature, and which of those places cannot be."""
    clips = []
    for row, where in found:
        at = {k: row.get(f"videos/{name}/{k}") for k in ("chunk_index", "file_index")}
        start = row.get(f"videos/{name}/from_timestamp")
        if not all(map(is_count, at.values())) or not isinstance(start, int | float):
            raise ValueError(f"{where}: where video {name!r} lies is missing")
        if not 0 <= start < math.inf:
            raise ValueError(f"{where}: video {name!r} begins at {start} s")
        clips.append(Clip(filled(root, info, "video_path", video_key=name, **at), float(start)))
    lengths = [row["length"] for row, _ in found]
    numbers = [row["episode_index"] for row, _ in found]
    faults = clip_faults(clips, lengths, numbers, info["fps"])
    return [
        dataclasses.replace(clip, fault=fault) for clip, fault in zip(clips, faults, strict=True)
    ]


def _entry(
    row: dict[str, Any],
    where: str,
    data: Path,
    first: int,
    rows: int,
    clips: Mapping[str, Clip],
) -> Entry:
    metadata = {
        name: value
        for name, value in row.items()
        if name not in _OWN and "/" not in name and isinstance(value, str | int | float | bool)
    }
    try:
        metadata |= parse_object(row.get(METADATA) or "{}", METADATA)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {METADATA} is not a JSON object ({error})") from error
    names = names_from_json(metadata.pop(NAMES, None), where)
    return Entry(
        number=row["episode_index"],
        length=row["length"],
        line={k: row[k] for k in ("episode_index", "tasks", "length")} | metadata,
        metadata=metadata,
        instance_names=names,
        data=data,
        row=first,
        rows=rows,
        alone=False,
        clips=clips,
    )


def _tasks(path: Path) -> dict[int, str]:
    rows = read_rows(path, "\0")
    if rows and "task_index" not in rows[0]:
        raise ValueError(f"{path}: no column 'task_index', only {few(sorted(rows[0]))}")
    names = [n for n in rows[0] if n in ("task", "__index_level_0__")] if rows else []
    if rows and len(names) != 1:
        raise ValueError(f"{path}: no column of instructions, only {few(sorted(rows[0]))}")
    tasks: dict[int, str] = {}
    for number, row in enumerate(rows):
        index, task = row["task_index"], row[names[0]]
        if not is_count(index) or not isinstance(task, str):
            raise ValueError(f"{path}, row {number}: task_index {index!r} is {task!r}")
        if tasks.setdefault(index, task) != task:
            raise ValueError(
                f"{path}, row {number}: task_index {index} is {task!r}, and {tasks[index]!r} before"
            )
    return tasks
