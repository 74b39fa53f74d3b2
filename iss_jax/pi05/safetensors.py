"""Files of safetensors, read without torch: a header of JSON, then the numbers as they are."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from iss_jax.few import few

__all__ = ["read_safetensors"]

DTYPES: dict[str, Any] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": jnp.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
LONGEST_HEADER = 100_000_000


def read_safetensors(path: Any) -> dict[str, np.ndarray]:
    """The tensors of a file by name, read-only and mapped: nothing is loaded before it is used.

    >>> import json, pathlib, struct, tempfile
    >>> header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "model.safetensors"
    ...     _ = file.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<2f", 1, 2))
    ...     read_safetensors(file)["w"].tolist()
    [1.0, 2.0]

    Args:
        path: The file.

    Returns:
        Name -> array in the dtype that it has there, bfloat16 included.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is cut short or says something of itself that cannot be; the message names
            the tensor.
    """
    path = Path(path)
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, LONGEST_HEADER):
            raise ValueError(f"{path}: no safetensors file, or cut short ({size} bytes)")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise ValueError(f"{path}: its header is no JSON ({error})") from error
    if not isinstance(header, Mapping):
        raise ValueError(f"{path}: its header is a {type(header).__name__}, an object wanted")
    start = 8 + length
    data = np.memmap(path, np.uint8, "r") if size > start else np.zeros(start, np.uint8)
    return {
        name: _tensor(f"{path}: tensor {name!r}", entry, data[start:])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _tensor(where: str, entry: Any, data: np.ndarray) -> np.ndarray:
    try:
        kind, shape = entry["dtype"], tuple(map(int, entry["shape"]))
        first, last = map(int, entry["data_offsets"])
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{where}: its entry {entry!r} is malformed") from error
    if kind not in DTYPES:
        raise ValueError(f"{where}: dtype {kind!r}, one of {few(DTYPES, len(DTYPES))} wanted")
    dtype = np.dtype(DTYPES[kind])
    wanted = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or first < 0 or last - first != wanted or last > len(data):
        raise ValueError(
            f"{where}: bytes {first} to {last} of {len(data)} for {kind} {list(shape)}, which "
            f"takes {wanted}"
        )
    return data[first:last].view(dtype).reshape(shape)
