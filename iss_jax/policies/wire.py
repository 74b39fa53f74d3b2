"""openpi's websocket protocol: nested dicts of arrays as MessagePack.

A server greets with its metadata (a dict), then answers every observation (a dict) with a dict that
holds `actions` [H, a]. A text message instead of a binary one is the server's error, after which it
hangs up. An array travels as a map of its bytes, dtype and shape, a numpy scalar as its value and
dtype. Object, void and complex arrays do not travel: nothing is ever unpickled.

openpi's own client, `openpi-client`, wants numpy below 2; this one runs on either.
"""

import math
from typing import Any

import numpy as np

from iss_jax.extras import imports_of

with imports_of("serve"):
    import msgpack

_REFUSED = "OVc"


def pack(content: Any) -> bytes:
    """A nested dict of arrays, numbers, strings and bytes as one message.

    Raises:
        ValueError: An array whose dtype does not travel.
    """
    message = msgpack.packb(content, default=_encode)
    assert message is not None
    return message


def unpack(message: bytes) -> Any:
    """Inverse of `pack`; arrays are read-only views of the message.

    Raises:
        ValueError: Not such a message, or an array of another size than it says, or one that does
            not say its dtype, shape or data.
    """
    try:
        return msgpack.unpackb(message, object_hook=_decode, strict_map_key=False)
    except (KeyError, TypeError, msgpack.UnpackException) as error:
        raise ValueError(f"not a message of openpi's protocol ({error!r})") from error


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in _REFUSED:
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


def _decode(value: dict) -> Any:
    if b"__ndarray__" in value:
        dtype, shape, data = _dtype(value), tuple(value[b"shape"]), value[b"data"]
        if len(data) != dtype.itemsize * math.prod(shape):
            raise ValueError(f"an array of {len(data)} bytes, {dtype} {list(shape)} said")
        return np.ndarray(shape, dtype, buffer=data)
    if b"__npgeneric__" in value:
        return _dtype(value).type(value[b"data"])
    return value


def _dtype(value: dict) -> np.dtype:
    dtype = np.dtype(value[b"dtype"])
    if dtype.kind in _REFUSED:
        raise ValueError(f"arrays of dtype {dtype} do not travel")
    return dtype
