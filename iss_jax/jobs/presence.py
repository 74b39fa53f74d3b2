"""Which of the processes that share a folder are there.

Each holds a lock on a file of its number. The system lets go of it when the process ends, whatever
ended it, and nothing has to be cleaned up. A lock tells of processes on the same machine alone, so
that the file says which one; where folders cannot be locked, as in buckets, nothing is known.
"""

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from iss_jax.jobs.processes import Processes

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None

__all__ = ["Held", "has_gone", "hold", "stand_in"]


class Held:
    """A lock, until it is closed or nobody keeps it."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    def close(self) -> None:
        """Lets go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


def hold(folder: Path, processes: Processes) -> Held | None:
    """Says that this process is there, for as long as what is returned is kept.

    Args:
        folder: Which the processes share.
        processes: Which of them this is.

    Returns:
        What is to be kept; None where there is one process, or where folders cannot be locked.
    """
    if processes.count == 1:
        return None
    file = _open(folder, processes)
    if file is None:
        return None
    with file:
        if not _lock(file):
            return None
        file.truncate(0)
        file.write(platform.node())
        file.flush()
        # The lock is the description's that both share.
        return Held(os.dup(file.fileno()))


def has_gone(folder: Path, processes: Processes) -> bool:
    """Whether a process was there, on this machine, and has ended.

    Args:
        folder: Which the processes share.
        processes: Which of them is meant.
    """
    if not isinstance(folder, Path) or not _path(folder, processes).exists():
        return False
    with stand_in(folder, processes) as free:
        return free


@contextlib.contextmanager
def stand_in(folder: Path, processes: Processes) -> Iterator[bool]:
    """Takes a process's place, unless it is there or another one stands in for it.

    Args:
        folder: Which the processes share.
        processes: Which of them is meant.

    Yields:
        Whether its place is taken.
    """
    file = _open(folder, processes)
    if file is None:
        yield False
        return
    with file:
        where = file.seek(0) or file.read()
        yield where in ("", platform.node()) and _lock(file)


def _path(folder: Path, processes: Processes) -> Path:
    return folder / "processes" / f"{processes.index}-of-{processes.count}"


def _open(folder: Path, processes: Processes) -> Any:
    if fcntl is None or not isinstance(folder, Path):
        return None
    path = _path(folder, processes)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a+")
    except OSError:
        return None


def _lock(file: Any) -> bool:
    assert fcntl is not None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
