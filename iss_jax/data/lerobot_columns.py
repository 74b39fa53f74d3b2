"""Columns of an episode's parquet file, to and from numpy."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from iss_jax.data.pictures import decode
from iss_jax.extras import imports_of

with imports_of("data"):
    import pyarrow as pa
    from PIL import Image

IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
# Fast rather than small: level 1 costs a few per cent of size against level 6 on rendered frames,
# but more than half on plain areas of few numbers.
FAST, SMALL = 1, 9
_CHANNELS = (1, 2, 3, 4)
_CHANNEL_NAMES = ("c", "rgb", "bgr", "depth")


def describe(value: np.ndarray, *, image: bool) -> dict[str, Any]:
    """The entry of `info.json` for a column [T, ...]."""
    if image:
        names = ["height", "width", "channel"]
        return {"dtype": "image", "shape": list(value.shape[1:]), "names": names}
    return {"dtype": value.dtype.name, "shape": list(value.shape[1:]) or [1], "names": None}


def number_names(names: Any) -> tuple[str, ...]:
    """What a feature's `names` say of its numbers, one each; nothing where they say none.

    >>> number_names({"motors": ["x", "y", "z"]}), number_names(["q0", "q1"]), number_names(None)
    (('x', 'y', 'z'), ('q0', 'q1'), ())

    Args:
        names: of `info.json`: a list, or an object that holds one.
    """
    if isinstance(names, Mapping):
        lists = [own for own in names.values() if isinstance(own, list)]
        names = lists[0] if len(lists) == 1 else None
    return tuple(map(str, names)) if isinstance(names, list | tuple) else ()


def image_shape(feature: Mapping[str, Any]) -> tuple[int, ...]:
    """[h, w, channels] of an image or video feature, which LeRobot also lists as [channels, h, w].

    The names of the axes say which is which, where they fit the shape.

    >>> image_shape({"shape": [3, 48, 64], "names": ["c", "h", "w"]})
    (48, 64, 3)
    >>> image_shape({"shape": [3, 48, 64], "names": ["height", "width", "channel"]})
    (48, 64, 3)
    """
    shape = tuple(feature["shape"])
    if len(shape) != 3:
        return shape
    names = feature.get("names")
    if isinstance(names, Mapping):
        names = next((value for value in names.values() if isinstance(value, list)), None)
    names = [str(name).lower() for name in names] if isinstance(names, list | tuple) else []
    first, last = shape[0] in _CHANNELS, shape[-1] in _CHANNELS
    if first == last:
        first = len(names) == 3 and names[0].startswith(_CHANNEL_NAMES)
    return (shape[1], shape[2], shape[0]) if first else shape


def to_arrow(feature: Mapping[str, Any], value: np.ndarray, level: int = FAST) -> pa.Array:
    """A column of T rows: PNG structs for images, (nested) lists for arrays.

    Args:
        feature: the column's entry of `info.json`.
        value: [T, ...].
        level: of PNG's compression, which loses nothing.
    """
    if feature["dtype"] == "image":
        encoded = [{"bytes": _png(image, level), "path": None} for image in value]
        return pa.array(encoded, IMAGE_TYPE)
    array = pa.array(np.ascontiguousarray(value).reshape(-1))
    for axis, size in reversed(list(enumerate(value.shape[1:]))):
        if axis == 0 and value.ndim == 2:
            array = pa.FixedSizeListArray.from_arrays(array, size)
        else:
            offsets = np.arange(0, len(array) + 1, size, dtype=np.int32)
            array = pa.ListArray.from_arrays(pa.array(offsets), array)
    return array


def to_numpy(
    feature: Mapping[str, Any], column: pa.ChunkedArray, name: str, rows: np.ndarray, where: str
) -> np.ndarray:
    """The inverse of `to_arrow`.

    Args:
        feature: the column's entry of `info.json`.
        column: the column, reduced to the wanted rows.
        name: its name, for messages.
        rows: int64 [T], the frames those rows are, for messages.
        where: the file and episode, for messages.

    Returns:
        [T, ...], of the feature's shape and dtype.

    Raises:
        ValueError: an image cannot be decoded, or the values are not of the feature's shape.
    """
    shape = tuple(feature["shape"])
    array = column.combine_chunks()
    if feature["dtype"] == "image":
        shape = image_shape(feature)
        if len(array) == 0:
            return np.zeros((0, *shape), np.uint8)
        if not pa.types.is_struct(array.type) or array.type.get_field_index("bytes") < 0:
            raise ValueError(f"{where}: column {name!r} is {array.type}, encoded images wanted")
        found = np.empty((len(array), *shape), np.uint8)
        for place, (png, row) in enumerate(zip(array.field("bytes"), rows, strict=True)):
            found[place] = _decode(png.as_py(), shape, f"{where}, frame {row}, column {name!r}")
        return found
    values = _flat(array, shape, f"{where}: column {name!r}")
    dtype = np.dtype(feature["dtype"])
    if values.size != rows.size * math.prod(shape):
        raise ValueError(f"{where}: column {name!r} does not hold {feature['dtype']} {list(shape)}")
    with np.errstate(invalid="ignore"):
        found = values.astype(dtype, copy=False)
    if not (values.dtype.kind == dtype.kind == "f") and not np.array_equal(found, values):
        raise ValueError(
            f"{where}: column {name!r} holds {values.dtype} that are no {feature['dtype']}"
        )
    return found.reshape(rows.size, *(() if shape == (1,) else shape))


def _flat(array: pa.Array, shape: tuple[int, ...], where: str) -> np.ndarray:
    """All numbers of a column, after it was made sure that each row has its own."""
    sizes = []
    while True:
        if array.null_count:
            raise ValueError(f"{where} has empty places, {list(shape)} wanted in each frame")
        kind = array.type
        if pa.types.is_fixed_size_list(kind):
            sizes.append(kind.list_size)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            lengths = np.diff(array.offsets.to_numpy())
            if lengths.size and np.any(lengths != lengths[0]):
                other = int(np.argmax(lengths != lengths[0]))
                raise ValueError(
                    f"{where}: lists of {lengths[0]} and of {lengths[other]} elements, "
                    f"{list(shape)} wanted in each frame"
                )
            sizes.append(int(lengths[0]) if lengths.size else 0)
        else:
            break
        array = array.flatten()
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not number:
        raise ValueError(f"{where} is {kind}, numbers wanted")
    if len(sizes) == len(shape) and len(array) and tuple(sizes) != shape:
        raise ValueError(f"{where} does not hold {list(shape)}, but {sizes} in each frame")
    return array.to_numpy(zero_copy_only=False)


def _png(image: np.ndarray, level: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def _decode(png: bytes | None, shape: tuple[int, ...], where: str) -> np.ndarray:
    decoded = decode(png, where, shape=shape)
    if decoded.shape != shape or decoded.dtype != np.uint8:
        raise ValueError(
            f"{where}: image {decoded.dtype} {list(decoded.shape)} found, uint8 {list(shape)} "
            "wanted by info.json"
        )
    return decoded


def huggingface_schema(features: Mapping[str, Any]) -> dict[str, str]:
    """The parquet metadata from which the `datasets` library knows the features."""

    def of(feature: Mapping[str, Any]) -> dict[str, Any]:
        shape, dtype = feature["shape"], feature["dtype"]
        if dtype == "image":
            return {"_type": "Image"}
        value = {"dtype": dtype, "_type": "Value"}
        if shape == [1]:
            return value
        if len(shape) == 1:
            return {"feature": value, "length": shape[0], "_type": "Sequence"}
        return {"shape": shape, "dtype": dtype, "_type": f"Array{len(shape)}D"}

    schema = {"info": {"features": {name: of(feature) for name, feature in features.items()}}}
    return {"huggingface": json.dumps(schema)}
