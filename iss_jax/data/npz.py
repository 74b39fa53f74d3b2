"""Arrays in numpy's npz and npy files, without pickle either way, of bounded memory."""

from __future__ import annotations

import lzma
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from iss_jax.data.bounds import allowed, check_bytes

_DAMAGE = (
    *(OSError, ValueError, EOFError, KeyError, TypeError, IndexError, SyntaxError, MemoryError),
    *(OverflowError, RuntimeError, NotImplementedError, RecursionError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError),
)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Header(NamedTuple):
    """What a file says of an array.

    Attributes:
        shape: Of the array.
        dtype: Of the array.
    """

    shape: tuple[int, ...]
    dtype: np.dtype


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an npz file; unlike numpy's own function it takes any name and never pickles.

    Args:
        path: the file.
        arrays: name to array.

    Raises:
        ValueError: an array holds Python objects.
    """
    given = {name: np.asarray(array) for name, array in arrays.items()}
    # What is all of a kind deflates so well that no reader could tell it from a bomb.
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        with zipfile.ZipFile(path, "w", compression) as file:
            for name, array in given.items():
                with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, array, allow_pickle=False)
        if sum(array.nbytes for array in given.values()) <= allowed(path.stat().st_size):
            return


def load_arrays(
    path: Path, where: str, names: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """Arrays of an npz file, or the one of an npy file under the name ``; nothing is unpickled.

    Args:
        path: the file.
        where: the file and episode, for messages.
        names: those to be read, of those that are there; all when None.

    Raises:
        ValueError: the file cannot be read, an array could only be had by unpickling, or they take
            more memory than the file's size accounts for.
    """
    with open(path, "rb") as handle:
        return read_arrays(handle, where, names)


def read_arrays(
    handle: IO[bytes], where: str, names: Collection[str] | None = None
) -> dict[str, np.ndarray]:
    """As `load_arrays`, from a file that is open for reading."""
    stored, found, wanted = _size(handle), {}, 0
    for name, header, entry in _entries(handle, where, names):
        wanted += math.prod(header.shape) * header.dtype.itemsize
        own = f"{where}, array {name!r}" if name else where
        check_bytes(wanted, stored, own)
        try:
            entry.seek(0)
            found[name] = np.lib.format.read_array(entry, allow_pickle=False)
            # To the end, where the checksum of a zip file's entry is compared.
            if entry.read(1):
                raise ValueError("more bytes than the array has")
        except _DAMAGE as error:
            raise ValueError(f"{own}: cannot be read ({error})") from error
    return found


def read_headers(path: Path, where: str) -> dict[str, Header]:
    """Shapes and dtypes of the arrays of an npz file; no array is read.

    Args:
        path: The file.
        where: The file and episode, for messages.

    Raises:
        ValueError: The file cannot be read.
    """
    with open(path, "rb") as handle:
        return {name: header for name, header, _ in _entries(handle, where, None, objects=True)}


def _entries(
    handle: IO[bytes], where: str, names: Collection[str] | None, *, objects: bool = False
) -> Iterator[tuple[str, Header, IO[bytes]]]:
    """Name, header and file of each array; the header agrees with the file's size."""
    try:
        handle.seek(0)
        is_zip = handle.read(4)[:2] == b"PK"
        handle.seek(0)
        archive = zipfile.ZipFile(handle) if is_zip else None
    except _DAMAGE as error:
        raise ValueError(f"{where}: cannot be read ({error})") from error
    if archive is None:
        yield "", _header(handle, _size(handle), where, objects), handle
        return
    with archive:
        names_seen: set[str] = set()
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name in names_seen:
                raise ValueError(f"{where}: two arrays are named {name!r}")
            names_seen.add(name)
            if names is not None and name not in names:
                continue
            own = f"{where}, array {name!r}"
            try:
                entry = archive.open(info)
            except _DAMAGE as error:
                raise ValueError(f"{own}: cannot be read ({error})") from error
            with entry:
                yield name, _header(entry, info.file_size, own, objects), entry


def _header(entry: IO[bytes], size: int, where: str, objects: bool) -> Header:
    try:
        version = np.lib.format.read_magic(entry)
        if version not in _HEADERS:
            raise ValueError(f"version {version} of the npy format, one of {list(_HEADERS)} wanted")
        shape, _, dtype = _HEADERS[version](entry)
        if any(side < 0 for side in shape):
            raise ValueError(f"shape {list(shape)}")
        start = entry.tell()
    except _DAMAGE as error:
        raise ValueError(f"{where}: cannot be read ({error})") from error
    if dtype.hasobject and not objects:
        raise ValueError(
            f"{where}: holds Python objects, which could only be unpickled, and nothing is; store "
            "plain arrays of numbers or strings"
        )
    wanted = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and wanted != size - start:
        raise ValueError(
            f"{where}: cannot be read ({dtype} {list(shape)} takes {wanted} bytes, "
            f"{size - start} are there)"
        )
    return Header(tuple(shape), dtype)


def _size(handle: IO[bytes]) -> int:
    here = handle.tell()
    size = handle.seek(0, os.SEEK_END)
    handle.seek(here)
    return size
