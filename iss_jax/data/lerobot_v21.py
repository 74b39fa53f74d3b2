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
written before. What an interrupted write leaves behind is overwritten by the next one. One process
may write to a dataset at a time; any number may read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iss_jax.data.atomic import atomic_path, write_bytes
from iss_jax.data.episode import Episode
from iss_jax.data.instances import NAMES, names_from_json, names_to_json
from iss_jax.data.jsonl import append_line, drop_last_line, last_line, read_lines
from iss_jax.data.lerobot_columns import huggingface_schema, to_arrow
from iss_jax.data.lerobot_info import (
    CHUNK_SIZE,
    Clip,
    Entry,
    Index,
    check_metadata,
    columns,
    features_of,
    filled,
    index_columns,
    is_image,
    png_level,
    read_info,
    with_statistics,
)
from iss_jax.data.lerobot_stats import feature_stats
from iss_jax.extras import imports_of

with imports_of("data"):
    import pyarrow as pa
    import pyarrow.parquet as pq

VERSION = "v2.1"
DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
_OWN = ("episode_index", "tasks", "length", NAMES)


def read_index(root: Path, info: Mapping[str, Any]) -> Index:
    """The episodes that `episodes.jsonl` lists.

    Args:
        root: the dataset's folder.
        info: its `info.json`.

    Raises:
        FileNotFoundError: a file of the metadata is missing.
        ValueError: one cannot be read, or a line is not what it should be; the message names it.
    """
    path = root / "meta" / "episodes.jsonl"
    lines = read_lines(path) if info["total_episodes"] or path.exists() else []
    videos = [name for name, entry in info["features"].items() if entry["dtype"] == "video"]
    entries = []
    for index, line in enumerate(lines):
        length, tasks = line.get("length"), line.get("tasks")
        if line.get("episode_index") != index or not isinstance(length, int) or length < 1:
            raise ValueError(
                f"{path}, line {index + 1}: episode_index {index} and a length wanted, {line} given"
            )
        if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
            raise ValueError(f"{path}, line {index + 1}: tasks wanted as strings, {tasks!r} given")
        at = {
            "episode_chunk": index // info.get("chunks_size", CHUNK_SIZE),
            "episode_index": index,
        }
        entries.append(
            Entry(
                length=length,
                line={key: line[key] for key in line if key != NAMES},
                metadata={key: line[key] for key in line if key not in _OWN},
                instance_names=names_from_json(line.get(NAMES), f"{path}, line {index + 1}"),
                data=filled(root, info, "data_path", **at),
                row=0,
                rows=length,
                clips={
                    name: Clip(filled(root, info, "video_path", video_key=name, **at), 0.0)
                    for name in videos
                },
            )
        )
    path = root / "meta" / "tasks.jsonl"
    tasks = {}
    for number, line in enumerate(read_lines(path) if entries else []):
        if not isinstance(line.get("task_index"), int) or not isinstance(line.get("task"), str):
            raise ValueError(f"{path}, line {number + 1}: task_index and task wanted, {line} given")
        tasks[line["task_index"]] = line["task"]
    return Index(tuple(entries), tasks)


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
            dataset is of another format version or keeps its files in other places.
    """
    root = Path(root)
    meta = root / "meta"
    stored = columns(episode)
    features = features_of(stored)
    check_metadata(episode)

    info = read_info(root, (VERSION,)) if (meta / "info.json").exists() else None
    if info is not None:
        _check_same(root, info, features, episode.fps)
    else:
        _write_info(root, features, episode.fps, 0, 0, 0, robot_type, None)
    index, first_frame = _next(root, info)
    task_index, tasks = _task_index(root, episode.prompt)

    count = len(episode)
    stored |= index_columns(count, episode.fps, index, first_frame, task_index)
    table = pa.table(
        {name: to_arrow(features[name], value, png_level(name)) for name, value in stored.items()}
    ).replace_schema_metadata(huggingface_schema(features))
    path = root / DATA_PATH.format(episode_chunk=index // CHUNK_SIZE, episode_index=index)
    with atomic_path(path) as temporary:
        pq.write_table(
            table,
            temporary,
            use_dictionary=False,
            write_statistics=with_statistics(stored),  # pyright: ignore[reportArgumentType]
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
        root, features, episode.fps, index + 1, first_frame + count, tasks, robot_type, info
    )
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
