"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


def _sync_directory(directory: Path) -> None:
    # A rename is only durable once the directory entry is; some systems cannot open directories.
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _put(path: str, data: bytes) -> None:
    from etils import epath

    epath.Path(path).parent.mkdir(parents=True, exist_ok=True)
    epath.Path(path).write_bytes(data)


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path beside `path` that becomes `path` when the block ends without error.

    The temporary file keeps the suffix, because writers such as matplotlib choose the format by
    it. It is synced before the rename, so a crash leaves the old file or the new one, never a part
    of either. On an exception the temporary file is removed and the old file stays.

    A path in a bucket (`epath.Path("gs://...")`) is written from a local file in one put, which
    buckets make whole.

    Args:
        path: where the file is to be; its directory is created.

    Yields:
        The path to write to.
    """
    if "://" in str(path):
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / str(path).rsplit("/", 1)[-1]
            yield local
            _put(str(path), local.read_bytes())
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Writes `data` to `path` atomically (see `atomic_path`)."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary folder beside `path` that becomes `path` when the block has no error.

    On an exception the temporary folder is removed, and `path` is not there. What killed writers
    of `path` left is removed first: a living one holds a lock on its folder.

    Args:
        path: where the folder is to be: not there yet, or empty.

    Yields:
        The folder to write into.

    Raises:
        FileExistsError: `path` is a file, or a folder that is not empty.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{path}: not empty")
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear(path)
    temporary, lock = _locked_folder(path)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            with contextlib.suppress(IsADirectoryError), open(file, "rb") as handle:
                os.fsync(handle.fileno())
        os.replace(temporary, path)
        _sync_directory(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _clear(path: Path) -> None:
    """Removes the temporary folders of `path` that nobody holds."""
    own = re.compile(re.escape(f".{path.name}.") + r"\d+(-\d+)?\.tmp")
    for folder in path.parent.iterdir():
        if own.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            lock = _lock(folder, wait=False)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _locked_folder(path: Path) -> tuple[Path, int | None]:
    """A new temporary folder of `path`, and the lock on it where the system has such."""
    attempt = 0
    while True:
        number = f"{os.getpid()}-{attempt}" if attempt else f"{os.getpid()}"
        attempt += 1
        folder = path.with_name(f".{path.name}.{number}.tmp")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        lock = _lock(folder, wait=True)
        # Between the two lines another process may have taken it for a dead one's.
        if folder.exists():
            return folder, lock
        if lock is not None:
            os.close(lock)


def _lock(folder: Path, *, wait: bool) -> int | None:
    """A lock on a folder that ends with this process; None where another holds it, or none is."""
    try:
        import fcntl
    except ImportError:
        return None
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
