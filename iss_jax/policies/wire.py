"""openpi's websocket protocol: nested dicts of arrays as MessagePack.

A server greets with its metadata (a dict), then answers every observation (a dict) with a dict that
holds `actions` [H, a]. A text message instead of a binary one is the server's error, after which it
hangs up. An array travels as a map of its bytes, dtype and shape, a numpy scalar as its value and
dtype. Booleans, integers, floats of up to eight bytes and strings travel; nothing else does, and
nothing is ever unpickled.

A message is checked against its own size before memory is taken for what it says it holds.

One thing is added to openpi's protocol. A server whose metadata hold `infer_batch`, the most
observations that it takes at once, answers `{"infer_batch": [observations]}` with
`{"infer_batch": [answers]}`.

openpi's own client, `openpi-client`, wants numpy below 2; this one runs on either.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from iss_jax.extras import imports_of

with imports_of("serve"):
    import msgpack

MOST_BYTES = 2**28  # of a message: some forty frames of 1080p
BATCH = "infer_batch"

_OURS = "a message of openpi's protocol: "  # how our own errors begin
_MOST_ITEMS = 2**14  # of a list: the reader takes its memory before it has seen the items
_MOST_EMPTY = 2**20  # elements that an array without bytes would have, were no dimension zero
_DTYPE = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248]|[SU][1-9]\d{0,8})")
# What `item()` of a numpy scalar of each kind is.
_VALUES: dict[str, tuple[type, ...]] = {
    "b": (bool,),
    "i": (int,),
    "u": (int,),
    "f": (float, int),
    "S": (bytes,),
    "U": (str,),
}


def pack(content: Any, most_bytes: int = MOST_BYTES) -> bytes:
    """A nested dict of arrays, numbers, strings and bytes as one message.

    Args:
        content: What is sent.
        most_bytes: Of the message.

    Raises:
        ValueError: Something that does not travel, or more bytes than that.
    """
    try:
        message = msgpack.packb(content, default=_encode)
    except (OverflowError, TypeError) as error:
        raise ValueError(f"this does not travel ({error})") from error
    assert message is not None
    check_size(len(message), most_bytes)
    return message


def unpack(message: bytes, most_bytes: int = MOST_BYTES) -> Any:
    """Inverse of `pack`; arrays are read-only views of the message.

    Args:
        message: As it was received.
        most_bytes: Of the message.

    Raises:
        ValueError: Not such a message, one of more bytes, an array of another size than it says, or
            one that does not say its dtype, shape or data, or an extension type of MessagePack's.
    """
    if not isinstance(message, bytes | bytearray | memoryview):
        raise ValueError(f"a message of type {type(message).__name__} given, a binary one wanted")
    check_size(len(message), most_bytes)
    try:
        content = msgpack.unpackb(
            message,
            object_hook=_decode,
            list_hook=_items,
            ext_hook=_extension,
            strict_map_key=False,
            max_array_len=_MOST_ITEMS,
        )
        _no_time(content)
        return content
    except (
        KeyError,
        TypeError,
        OverflowError,
        RecursionError,
        UnicodeDecodeError,
        msgpack.UnpackException,
    ) as error:
        raise ValueError(f"not a message of openpi's protocol ({error!r})") from error
    except ValueError as error:
        if str(error).startswith(_OURS):
            raise
        raise ValueError(f"not a message of openpi's protocol ({error!r})") from error


def unpack_dict(message: Any, what: str, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """The dict that a message must hold.

    Args:
        message: As it was received.
        what: What it is, for the error.
        most_bytes: Of the message.

    Raises:
        ValueError: Not a message, or one that holds something else.
    """
    try:
        content = unpack(message, most_bytes)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{what}: {type(content).__name__} given, a dict wanted")
    return dict(content)


def check_size(size: int, most_bytes: int) -> None:
    """Refuses a message of more bytes than are taken.

    Raises:
        ValueError: It is larger.
    """
    if size > most_bytes:
        raise ValueError(f"{_OURS}{size} bytes given, at most {most_bytes} wanted")


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic) and not _DTYPE.fullmatch(value.dtype.str):
        raise ValueError(f"arrays of dtype {value.dtype} do not travel")
    if isinstance(value, np.ndarray):
        return {
            b"__ndarray__": True,
            b"data": value.tobytes(),
            b"dtype": value.dtype.str,
            b"shape": value.shape,
        }
    if isinstance(value, np.generic):
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}
    if hasattr(value, "__array__"):
        return _encode(np.asarray(value))
    raise ValueError(f"{type(value).__name__} does not travel")


def _extension(code: int, data: bytes) -> Any:
    raise ValueError(
        f"{_OURS}an extension type {code} of {len(data)} bytes; arrays travel as maps of their "
        "bytes, dtype and shape"
    )


def _no_time(*values: Any) -> None:
    """Times are extension type -1, which the reader makes of itself what it is."""
    if any(isinstance(value, msgpack.Timestamp) for value in values):
        raise ValueError(f"{_OURS}an extension type -1, a time; times travel as numbers")


def _items(values: list) -> list:
    _no_time(*values)
    return values


def _decode(value: dict) -> Any:
    _no_time(*value, *value.values())
    if b"__ndarray__" in value:
        return _array(_dtype(value), value[b"shape"], value[b"data"])
    if b"__npgeneric__" in value:
        return _scalar(_dtype(value), value[b"data"])
    return value


def _array(dtype: np.dtype, shape: Any, data: Any) -> np.ndarray:
    if not isinstance(shape, list) or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"{_OURS}an array of shape {_short(shape)}, a list of sizes wanted")
    if not isinstance(data, bytes):
        raise ValueError(f"{_OURS}an array's data are {type(data).__name__}, bytes wanted")
    if len(data) != dtype.itemsize * math.prod(shape):
        raise ValueError(f"{_OURS}an array of {len(data)} bytes, {dtype} {_short(shape)} said")
    if not data and math.prod(max(n, 1) for n in shape) > _MOST_EMPTY:
        raise ValueError(f"{_OURS}an empty array of shape {_short(shape)}")
    return np.ndarray(shape, dtype, buffer=data)


def _scalar(dtype: np.dtype, value: Any) -> np.generic:
    if type(value) not in _VALUES[dtype.kind]:
        raise ValueError(f"{_OURS}a scalar of dtype {dtype} whose value is {_short(value)}")
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        raise ValueError(f"{_OURS}{_short(value)} is beyond {dtype}")
    with np.errstate(over="ignore"):
        found = dtype.type(value)
    if dtype.kind == "f" and np.isinf(found) and not math.isinf(value):
        raise ValueError(f"{_OURS}{_short(value)} is beyond {dtype}")
    return found


def _dtype(value: dict) -> np.dtype:
    name = value[b"dtype"]
    if not isinstance(name, str) or not _DTYPE.fullmatch(name):
        raise ValueError(f"{_OURS}arrays of dtype {_short(name)} do not travel")
    return np.dtype(name)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
