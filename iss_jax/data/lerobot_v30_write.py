"""Writes LeRobot v3.0 (see `lerobot_v30`)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iss_jax.data.atomic import atomic_directory
from iss_jax.data.episode import Episode
from iss_jax.data.instances import names_to_json
from iss_jax.data.lerobot_columns import huggingface_schema, to_arrow
from iss_jax.data.lerobot_info import (
    CHUNK_SIZE,
    check_metadata,
    columns,
    features_of,
    index_columns,
    is_image,
    png_level,
    with_statistics,
)
from iss_jax.data.lerobot_stats import aggregated, feature_stats
from iss_jax.data.lerobot_v30 import DATA_PATH, EPISODES_PATH, METADATA, VERSION
from iss_jax.extras import imports_of

with imports_of("data"):
    import pyarrow as pa
    import pyarrow.parquet as pq

DATA_MEGABYTES = 100


def write_dataset(
    root: str | os.PathLike,
    episodes: Iterable[Episode],
    *,
    robot_type: str | None = None,
    megabytes: float = DATA_MEGABYTES,
) -> int:
    """Writes a whole dataset: all of it, or nothing.

    Args:
        root: the dataset's folder: not there yet, or empty.
        episodes: all of one set of cameras, shapes, features and fps.
        robot_type: stored in `info.json`.
        megabytes: a data file that is larger gets no further episode.

    Returns:
        The number of episodes.

    Raises:
        FileExistsError: `root` is not empty.
        ValueError: episodes differ in their features, a name is reserved, or there is none.
    """
    with atomic_directory(root) as folder:
        return _write(folder, episodes, robot_type, megabytes)


def _write(root: Path, episodes: Iterable[Episode], robot_type: str | None, limit: float) -> int:
    features: dict[str, Any] = {}
    fps = 0.0
    tasks: dict[str, int] = {}
    lines, all_stats = [], []
    first = chunk = file = 0
    writer = None
    try:
        for index, episode in enumerate(episodes):
            check_metadata(episode)
            stored = columns(episode)
            own = features_of(stored)
            if not index:
                features, fps = own, episode.fps
            if own != features or episode.fps != fps:
                differing = sorted(n for n in own | features if own.get(n) != features.get(n))
                raise ValueError(
                    f"episode {index}: differs from the first in {differing or ['fps']}"
                )
            task = tasks.setdefault(episode.prompt, len(tasks))
            stored |= index_columns(len(episode), fps, index, first, task)
            table = pa.table(
                {
                    name: to_arrow(features[name], value, png_level(name))
                    for name, value in stored.items()
                }
            ).replace_schema_metadata(huggingface_schema(features))
            path = root / DATA_PATH.format(chunk_index=chunk, file_index=file)
            if writer is not None and path.stat().st_size > limit * 2**20:
                writer.close()
                writer = None
                chunk, file = (chunk, file + 1) if file + 1 < CHUNK_SIZE else (chunk + 1, 0)
                path = root / DATA_PATH.format(chunk_index=chunk, file_index=file)
            if writer is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                writer = pq.ParquetWriter(
                    path,
                    table.schema,
                    use_dictionary=False,
                    write_statistics=with_statistics(stored),  # pyright: ignore[reportArgumentType]
                    write_page_checksum=True,
                )
            # A row group an episode: one episode is read without the others.
            writer.write_table(table, row_group_size=len(episode))
            stats = {name: feature_stats(v, image=is_image(name)) for name, v in stored.items()}
            all_stats.append(stats)
            lines.append(
                {
                    "episode_index": index,
                    "tasks": [episode.prompt],
                    "length": len(episode),
                    "data/chunk_index": chunk,
                    "data/file_index": file,
                    "dataset_from_index": first,
                    "dataset_to_index": first + len(episode),
                    METADATA: json.dumps(
                        dict(episode.metadata) | names_to_json(episode.instance_names)
                    ),
                    **{
                        f"stats/{name}/{key}": value
                        for name, entry in stats.items()
                        for key, value in entry.items()
                    },
                    "meta/episodes/chunk_index": 0,
                    "meta/episodes/file_index": 0,
                }
            )
            first += len(episode)
    finally:
        if writer is not None:
            writer.close()
    if not lines:
        raise ValueError(f"{root}: no episodes")
    path = root / EPISODES_PATH.format(chunk_index=0, file_index=0)
    path.parent.mkdir(parents=True)
    index = pa.table({key: [line[key] for line in lines] for key in lines[0]})
    pq.write_table(index, path, write_page_checksum=True)
    _write_tasks(root / "meta" / "tasks.parquet", list(tasks))
    (root / "meta" / "stats.json").write_text(json.dumps(aggregated(all_stats), indent=4))
    info = {
        "codebase_version": VERSION,
        "robot_type": robot_type,
        "total_episodes": len(lines),
        "total_frames": first,
        "total_tasks": len(tasks),
        "chunks_size": CHUNK_SIZE,
        "data_files_size_in_mb": DATA_MEGABYTES,
        "video_files_size_in_mb": 200,
        "fps": int(fps) if fps == int(fps) else fps,
        "splits": {"train": f"0:{len(lines)}"},
        "data_path": DATA_PATH,
        "video_path": None,
        "features": features,
    }
    (root / "meta" / "info.json").write_text(json.dumps(info, indent=4))
    return len(lines)


def _write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """The table whose index, to pandas, is the instruction."""
    index = "__index_level_0__"
    table = pa.table({"task_index": np.arange(len(tasks)), index: list(tasks)})
    kinds = {"task_index": ("int64", "int64"), index: ("unicode", "object")}
    pandas = {
        "index_columns": [index],
        "column_indexes": [
            {
                "name": None,
                "field_name": None,
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": {"encoding": "UTF-8"},
            }
        ],
        "columns": [
            {
                "name": None if name == index else name,
                "field_name": name,
                "pandas_type": kind,
                "numpy_type": dtype,
                "metadata": None,
            }
            for name, (kind, dtype) in kinds.items()
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    described = table.replace_schema_metadata({"pandas": json.dumps(pandas)})
    pq.write_table(described, path, write_page_checksum=True)
