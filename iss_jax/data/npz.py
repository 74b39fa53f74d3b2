"""Arrays in numpy's npz and npy files, without pickle either way."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

_DAMAGE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an npz file; unlike numpy's own function it takes any name and never pickles.

    Args:
        path: the file.
        arrays: name to array.

    Raises:
        ValueError: an array holds Python objects.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)


def load_arrays(path: Path, where: str) -> dict[str, np.ndarray]:
    """All arrays of an npz file, or the one of an npy file under the name ``; nothing is unpickled.

    Raises:
        ValueError: the file cannot be read, or an array could only be had by unpickling.
    """
    with open(path, "rb") as handle:
        return read_arrays(handle, where)


def read_arrays(handle: IO[bytes], where: str) -> dict[str, np.ndarray]:
    """As `load_arrays`, from a file that is open for reading."""
    try:
        file = np.load(handle, allow_pickle=False)
    except _DAMAGE as error:
        raise ValueError(f"{where}: {_unreadable(error)}") from error
    if isinstance(file, np.ndarray):
        return {"": file}
    found = {}
    with file:
        for name in file.files:
            try:
                found[name] = file[name]
            except _DAMAGE as error:
                raise ValueError(f"{where}, array {name!r}: {_unreadable(error)}") from error
    return found


def _unreadable(error: Exception) -> str:
    if "allow_pickle" in str(error):
        return (
            "holds Python objects, which could only be unpickled, and nothing is; store plain "
            "arrays of numbers or strings"
        )
    return f"cannot be read ({error})"
