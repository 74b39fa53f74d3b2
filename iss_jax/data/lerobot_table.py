"""The rows of an episode in a parquet file, found by what they say themselves."""

from __future__ import annotations

import functools
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from iss_jax.data.bounds import check_bytes
from iss_jax.data.lerobot_info import Entry
from iss_jax.extras import imports_of
from iss_jax.few import few

with imports_of("data"):
    import pyarrow as pa
    import pyarrow.parquet as pq

_LOG = logging.getLogger(__name__)
_INDEX = ("episode_index", "frame_index")
# Bytes of an offset and what it points to.
_REFERENCE = 16


class _Runs(NamedTuple):
    """Frames of a file that follow one another: of which episode, from which frame and row on."""

    episode: np.ndarray
    frame: np.ndarray
    row: np.ndarray
    length: np.ndarray


def read_table(entry: Entry, files: Sequence[Path], wanted: Sequence[str], where: str) -> pa.Table:
    """Columns of an episode.

    Args:
        entry: the episode.
        files: the dataset's parquet files, where an index may be wrong about them.
        wanted: the columns.
        where: the file and episode, for messages.

    Returns:
        A table of the episode's rows, in order.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: it cannot be read, lacks a column or the episode, or asks for more memory than
            its size accounts for.
    """
    path, row = _place(entry, files, where)
    try:
        with _opened(path) as file:
            _check_columns(file, wanted)
            groups, first, passed = [], 0, 0
            for group in range(file.metadata.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                if passed < row + entry.length and row < passed + count:
                    first = passed if not groups else first
                    groups.append(group)
                passed += count
            _check_memory(file, path.stat().st_size, groups, wanted)
            table = file.read_row_groups(groups, columns=list(wanted))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{where}: the file cannot be read ({error})") from error
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return table.slice(row - first, entry.length)


def data_file(entry: Entry, files: Sequence[Path]) -> Path:
    """The parquet file that an episode lies in; the one that the index says where none has it."""
    if len(files) < 2:
        return entry.data
    try:
        return _place(entry, files, "")[0]
    except (OSError, ValueError):
        return entry.data


def read_rows(path: Path, without: str) -> list[dict]:
    """The rows of a parquet file of metadata, without the columns of a prefix.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it cannot be read, or asks for more memory than its size accounts for.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: missing")
    try:
        with _opened(path) as file:
            names = [name for name in file.schema_arrow.names if not name.startswith(without)]
            size = path.stat().st_size
            _check_memory(file, size, range(file.metadata.num_row_groups), names)
            # An entry of a dictionary takes some hundred bytes, whatever it is.
            check_bytes(file.metadata.num_rows * 100 * len(names), size, "the rows")
            return file.read(columns=names).to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{path}: the file cannot be read ({error})") from error


@functools.lru_cache(maxsize=1024)
def _say(text: str) -> None:
    """Once for each text: many episodes lie in a file."""
    _LOG.warning(text)


def _opened(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(path, page_checksum_verification=True)


def _place(entry: Entry, files: Sequence[Path], where: str) -> tuple[Path, int]:
    """The file and row at which an episode begins."""
    if not entry.data.exists():
        raise FileNotFoundError(f"{where}: the file is missing, though the metadata list it")
    runs = _runs(entry.data, where)
    held = int(runs.length.sum())
    if entry.alone and held != entry.rows:
        raise ValueError(f"{where}: {held} frames found, {entry.rows} wanted")
    own = runs.episode == entry.number
    if not np.any(own):
        for path in files:
            if path != entry.data and path.exists():
                others = _runs(path, f"{path}")
                if np.any(others.episode == entry.number):
                    _say(f"{entry.data}: episode {entry.number} lies in {path} instead")
                    return path, _begin(entry, others, f"{path} (episode {entry.number})")
    elif held > entry.rows:
        _say(f"{entry.data}: {held} frames, the index places {entry.rows} here")
    return entry.data, _begin(entry, runs, where)


def _begin(entry: Entry, runs: _Runs, where: str) -> int:
    own = runs.episode == entry.number
    whole = runs.row[own & (runs.frame == 0) & (runs.length == entry.length)]
    if len(whole) == 1 or entry.row in whole:
        return entry.row if entry.row in whole else int(whole[0])
    found = int(runs.length[own].sum())
    if len(whole):
        raise ValueError(f"{where}: holds the episode {len(whole)} times")
    if found not in (0, entry.length):
        raise ValueError(f"{where}: {found} frames found, {entry.length} wanted")
    raise ValueError(f"{where}: holds the frames of another episode or in another order")


def _runs(path: Path, where: str) -> _Runs:
    status = path.stat()
    try:
        return _read_runs(path, status.st_size, status.st_mtime_ns)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{where}: the file cannot be read ({error})") from error
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def task_numbers(path: Path) -> dict[int, list[int]]:
    """The `task_index` of each episode's frames in a file, in the order of its numbers.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or lacks those numbers.
    """
    columns = ("episode_index", "task_index")
    if not path.exists():
        raise FileNotFoundError(f"{path}: the file is missing, though the metadata list it")
    try:
        with _opened(path) as file:
            _check_columns(file, columns)
            groups = range(file.metadata.num_row_groups)
            _check_memory(file, path.stat().st_size, groups, columns)
            table = file.read(columns=list(columns))
        numbers = np.unique(np.stack([table[name].to_numpy() for name in columns], 1), axis=0)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{path}: the instructions of its frames cannot be read ({error})") from (
            error
        )
    found: dict[int, list[int]] = {}
    for episode, task in numbers.tolist():
        found.setdefault(int(episode), []).append(int(task))
    return found


@functools.lru_cache(maxsize=1024)
def _read_runs(path: Path, size: int, changed: int) -> _Runs:
    """Of a file that many episodes may lie in, so it is read once a version."""
    with _opened(path) as file:
        _check_columns(file, _INDEX)
        _check_memory(file, size, range(file.metadata.num_row_groups), _INDEX)
        table = file.read(columns=list(_INDEX))
    for name in _INDEX:
        if not pa.types.is_integer(table[name].type) or table[name].null_count:
            raise ValueError(f"column {name!r} is {table[name].type}, integers wanted")
    episode, frame = (table[name].to_numpy().astype(np.int64) for name in _INDEX)
    other = (np.diff(episode) != 0) | (np.diff(frame) != 1)
    begins = np.append(np.zeros(min(1, len(frame)), np.int64), np.flatnonzero(other) + 1)
    return _Runs(episode[begins], frame[begins], begins, np.diff(np.append(begins, len(frame))))


def _check_columns(file: pq.ParquetFile, wanted: Collection[str]) -> None:
    missing = sorted(set(wanted) - set(file.schema_arrow.names))
    if missing:
        raise ValueError(f"columns {few(missing)} of info.json are missing")


def _check_memory(
    file: pq.ParquetFile, size: int, groups: Sequence[int], wanted: Collection[str]
) -> None:
    """Before anything is read: equal values take no place in a file, but in memory.

    By groups: the metadata of a column, where a bit of it is flipped, end the process.
    """
    about = [file.metadata.row_group(group) for group in groups]
    width = sum(_width(file.schema_arrow.field(name).type) for name in wanted)
    total = sum(max(group.total_byte_size, group.num_rows * width) for group in about)
    check_bytes(total, size, "the columns wanted")


def _width(kind: pa.DataType) -> int:
    """Bytes that a row takes at least."""
    if pa.types.is_fixed_size_list(kind):
        return kind.list_size * _width(kind.value_type)
    return max(1, kind.bit_width // 8) if pa.types.is_primitive(kind) else _REFERENCE
