"""LeRobot v2.1: one parquet file an episode, metadata as JSON lines, appended episode by episode.

The layout that openpi's pinned LeRobot reads::

    meta/info.json              features, counts, path templates
    meta/tasks.jsonl            {"task_index", "task"}
    meta/episodes.jsonl         {"episode_index", "tasks", "length"}, the episode's metadata and,
                                of instance labels, {"instance_names": {number: name}}
    meta/episodes_stats.jsonl   {"episode_index", "stats": {feature: min, max, mean, std, count}}
    data/chunk-000/episode_000000.parquet
    videos/chunk-000/<feature>/episode_000000.mp4   read, never written

An episode exists once its line in `episodes.jsonl` is complete: everything else about it is
written before. `meta/appending.json` names the episode meanwhile: what an interrupted append left
is overwritten by the next one, and no other file is. Deleted episodes leave gaps in the numbering.
One process may write to a dataset at a time; any number may read.

Version 2.0, which is read only, has one `meta/stats.json` instead of `episodes_stats.jsonl`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from iss_jax.data.atomic import atomic_path, write_bytes
from iss_jax.data.episode import Episode
from iss_jax.data.instances import NAMES, names_from_json, names_to_json
from iss_jax.data.json_file import is_count, read_object
from iss_jax.data.jsonl import append_line, drop_last_line, last_line, read_lines
from iss_jax.data.lerobot_columns import huggingface_schema, to_arrow
from iss_jax.data.lerobot_info import (
    CHUNK_SIZE,
    Clip,
    Entry,
    Index,
    check_counts,
    check_metadata,
    columns,
    features_of,
    index_columns,
    is_image,
    png_level,
    read_info,
    with_statistics,
)
from iss_jax.data.lerobot_stats import feature_stats
from iss_jax.data.path_template import filled
from iss_jax.extras import imports_of
from iss_jax.few import short

with imports_of("data"):
    import pyarrow as pa
    import pyarrow.parquet as pq

_LOG = logging.getLogger(__name__)
VERSION = "v2.1"
DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
# Beside info.json while an episode is appended.
_APPENDING = "appending.json"
_OWN = ("episode_index", "tasks", "length", NAMES)


def read_index(root: Path, info: Mapping[str, Any]) -> Index:
    """The episodes that `episodes.jsonl` lists.

    Args:
        root: the dataset's folder.
        info: its `info.json`.

    Raises:
        FileNotFoundError: a file of the metadata is missing.
        ValueError: one cannot be read, a line is not what it should be, or there are more or fewer
            than `info.json` says; the message names it.
    """
    path = root / "meta" / "episodes.jsonl"
    lines = read_lines(path) if info["total_episodes"] or path.exists() else []
    videos = [name for name, entry in info["features"].items() if entry["dtype"] == "video"]
    entries = []
    before = -1
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        length, tasks, index = line.get("length"), line.get("tasks"), line.get("episode_index")
        # Of episodes that were deleted the numbers are missing.
        if not is_count(index, before + 1) or not is_count(length, 1):
            raise ValueError(
                f"{where}: episode_index {before + 1} or more and a length wanted, {line} given"
            )
        if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
            raise ValueError(f"{where}: tasks wanted as strings, {short(tasks)} given")
        before = index
        at = {
            "episode_chunk": index // info.get("chunks_size", CHUNK_SIZE),
            "episode_index": index,
        }
        entries.append(
            Entry(
                number=index,
                length=length,
                line={key: line[key] for key in line if key != NAMES},
                metadata={key: line[key] for key in line if key not in _OWN},
                instance_names=names_from_json(line.get(NAMES), where),
                data=filled(root, info, "data_path", **at),
                row=0,
                rows=length,
                alone=True,
                clips={
                    name: Clip(filled(root, info, "video_path", video_key=name, **at), 0.0)
                    for name in videos
                },
            )
        )
    behind = len(entries) - info["total_episodes"]
    counted = entries[:-1] if behind == 1 else entries
    if behind == 1:
        _LOG.warning(
            f"{root}/meta/info.json: says {info['total_episodes']} episodes, {path} lists "
            f"{len(entries)}; the last append was interrupted, and the next one mends it"
        )
    check_counts(info, counted, f"{path}")
    return Index(tuple(entries), _read_tasks(root) if entries else {})


def _read_tasks(root: Path) -> dict[int, str]:
    path = root / "meta" / "tasks.jsonl"
    tasks: dict[int, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        index, task = line.get("task_index"), line.get("task")
        if not is_count(index) or not isinstance(task, str):
            raise ValueError(f"{path}, line {number}: task_index and task wanted, {line} given")
        if tasks.setdefault(index, task) != task:
            raise ValueError(
                f"{path}, line {number}: task_index {index} is {task!r}, before {tasks[index]!r}"
            )
    return tasks


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
        FileExistsError: a file is where the episode's would be, and no interrupted append left it.
        ValueError: the episode's features differ from the dataset's, a name is reserved, the
            dataset is of another format version, keeps its files in other places, or lists more or
            fewer episodes or instructions than its `info.json` says.
    """
    root = Path(root)
    meta = root / "meta"
    stored = columns(episode)
    features = features_of(stored)
    check_metadata(episode)

    info = read_info(root, (VERSION,)) if (meta / "info.json").exists() else None
    if info is not None:
        _check_same(root, info, features, episode.fps)
    elif (meta / "episodes.jsonl").exists():
        raise FileNotFoundError(f"{meta}/info.json: missing, though episodes.jsonl is there")
    else:
        _write_info(root, features, episode.fps, 0, 0, 0, robot_type, None)
    place = _next(root, info)
    index = place.number
    path = root / DATA_PATH.format(episode_chunk=index // CHUNK_SIZE, episode_index=index)
    _begin(root, index, path)
    task_index, tasks = _task_index(root, episode.prompt, info)

    count = len(episode)
    stored |= index_columns(count, episode.fps, index, place.first_frame, task_index)
    table = pa.table(
        {name: to_arrow(features[name], value, png_level(name)) for name, value in stored.items()}
    ).replace_schema_metadata(huggingface_schema(features))
    with atomic_path(path) as temporary:
        pq.write_table(
            table,
            temporary,
            use_dictionary=False,
            write_statistics=with_statistics(stored),  # pyright: ignore[reportArgumentType]
            write_page_checksum=True,
        )

    stats = {name: feature_stats(value, image=is_image(name)) for name, value in stored.items()}
    last = last_line(meta / "episodes_stats.jsonl")
    if last is not None and last["episode_index"] >= index:
        drop_last_line(meta / "episodes_stats.jsonl")
    append_line(meta / "episodes_stats.jsonl", {"episode_index": index, "stats": stats})
    append_line(
        meta / "episodes.jsonl",
        {
            "episode_index": index,
            "tasks": [episode.prompt],
            "length": count,
            **episode.metadata,
            **names_to_json(episode.instance_names),
        },
    )
    _write_info(
        root,
        features,
        episode.fps,
        place.episodes + 1,
        place.frames + count,
        tasks,
        robot_type,
        info,
    )
    (meta / _APPENDING).unlink()
    return index


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
    # Episodes are found by these, so that another's would be lost.
    for name, own in (("chunks_size", CHUNK_SIZE), ("data_path", DATA_PATH)):
        if info.get(name, own) != own:
            raise ValueError(
                f"{root}: {name} is {info[name]!r} in the dataset, only {own!r} can be appended to"
            )


class _Place(NamedTuple):
    """Where the next episode goes: its number, first frame, and what is listed before it."""

    number: int
    first_frame: int
    episodes: int
    frames: int


def _next(root: Path, info: Mapping[str, Any] | None) -> _Place:
    path = root / "meta" / "episodes.jsonl"
    if info is None or (not path.exists() and not info["total_episodes"]):
        return _Place(0, 0, 0, 0)
    total = info["total_episodes"]
    text = path.read_bytes() if path.exists() else b""
    if text.endswith(b"\n") and text.count(b"\n") == total:
        last = last_line(path)
        if last is not None and last.get("episode_index") == total - 1:
            return _Place(total, info["total_frames"], total, info["total_frames"])
    # The index has gaps, or info.json is an interrupted append behind; anything else is an error.
    entries = read_index(root, info).entries
    last_line(path)
    frames = sum(entry.length for entry in entries)
    number = entries[-1].number + 1 if entries else 0
    return _Place(number, max(frames, info["total_frames"]), len(entries), frames)


def _begin(root: Path, index: int, path: Path) -> None:
    """Notes which episode is being appended, so that what a killed append left can be told."""
    note = root / "meta" / _APPENDING
    own = note.exists() and read_object(note).get("episode_index") == index
    if path.exists() and not own:
        raise FileExistsError(
            f"{path}: is there, though episodes.jsonl does not list it; move it away, or list it"
        )
    if own:
        for left in (*path.parent.glob(".*.tmp*"), *note.parent.glob(".*.tmp*")):
            left.unlink(missing_ok=True)
    write_bytes(note, json.dumps({"episode_index": index}).encode())


def _task_index(root: Path, prompt: str, info: Mapping[str, Any] | None) -> tuple[int, int]:
    path = root / "meta" / "tasks.jsonl"
    tasks = _read_tasks(root) if path.exists() else {}
    listed = (info or {}).get("total_tasks", 0)
    if len(tasks) < listed:
        raise ValueError(f"{path}: {len(tasks)} instructions, info.json says {listed}")
    last_line(path)
    for index, task in tasks.items():
        if task == prompt:
            return index, len(tasks)
    index = max(tasks, default=-1) + 1
    append_line(path, {"task_index": index, "task": prompt})
    return index, len(tasks) + 1


def _write_info(root, features, fps, episodes, frames, tasks, robot_type, info) -> None:
    new = {
        "codebase_version": VERSION,
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
    content = json.dumps({**(info or {}), **new}, indent=2)
    write_bytes(root / "meta" / "info.json", content.encode())
