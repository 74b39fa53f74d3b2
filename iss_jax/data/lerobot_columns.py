"""Columns of an episode's parquet file, to and from numpy."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from iss_jax.extras import imports_of

with imports_of("data"):
    import pyarrow as pa
    from PIL import Image

IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
# Fast rather than small: level 1 costs a few per cent of size against level 6 on rendered frames,
# but more than half on plain areas of few numbers.
FAST, SMALL = 1, 9


def describe(value: np.ndarray, *, image: bool) -> dict[str, Any]:
    """The entry of `info.json` for a column [T, ...]."""
    if image:
        names = ["height", "width", "channel"]
        return {"dtype": "image", "shape": list(value.shape[1:]), "names": names}
    return {"dtype": value.dtype.name, "shape": list(value.shape[1:]) or [1], "names": None}


def image_shape(feature: Mapping[str, Any]) -> tuple[int, int, int]:
    """[h, w, 3] of an image or video feature, which LeRobot also lists as [3, h, w]."""
    shape = tuple(feature["shape"])
    names = feature.get("names") or ()
    first = str(names[0]).startswith("channel") if names else shape[-1] != 3
    return (shape[1], shape[2], shape[0]) if len(shape) == 3 and first else shape


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
        encoded = array.field("bytes").to_pylist()
        return np.stack(
            [
                _decode(png, shape, f"{where}, frame {row}, column {name!r}")
                for png, row in zip(encoded, rows, strict=True)
            ]
        )
    while pa.types.is_nested(array.type) and not pa.types.is_struct(array.type):
        array = array.flatten()
    if pa.types.is_nested(array.type):
        raise ValueError(f"{where}: column {name!r} is {column.type}, numbers wanted")
    values = array.to_numpy(zero_copy_only=False)
    if shape == (1,) and values.shape == rows.shape and not array.null_count:
        return values.astype(feature["dtype"], copy=False)
    if array.null_count or values.size != rows.size * math.prod(shape):
        raise ValueError(f"{where}: column {name!r} does not hold {feature['dtype']} {list(shape)}")
    return values.astype(feature["dtype"], copy=False).reshape(rows.size, *shape)


def _png(image: np.ndarray, level: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def _decode(png: bytes | None, shape: tuple[int, ...], where: str) -> np.ndarray:
    try:
        if png is None:
            raise ValueError("no bytes")
        with Image.open(io.BytesIO(png)) as image:
            decoded = np.asarray(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"{where}: the image cannot be decoded ({error})") from error
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
