"""Results in npz files: plain arrays under the fields' names, and JSON that says what they are."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np
from etils import epath

from iss_jax.data.atomic import atomic_path
from iss_jax.data.npz import read_arrays, save_arrays
from iss_jax.records import Record, is_static, require_concrete

# Raised whenever fields, names or forms change.
LAYOUT = 1
HEADER = "record"

Found = TypeVar("Found", bound=Record)


def write_record(path: str | os.PathLike, record: Record) -> None:
    """Writes a result, see `Record.save`."""
    require_concrete(record, "save()")
    arrays: dict[str, np.ndarray] = {}
    header = {"layout": LAYOUT, **_encoded(record, "", arrays)}
    arrays[HEADER] = np.asarray(json.dumps(header))
    with atomic_path(path) as temporary:
        save_arrays(temporary, arrays)


def read_record(path: str | os.PathLike, kind: type[Found]) -> Found:
    """Reads a result, see `Record.load`."""
    where = str(path)
    with epath.Path(path).open("rb") as handle:
        arrays = read_arrays(handle, where)
    if HEADER not in arrays or arrays[HEADER].dtype.kind != "U":
        raise ValueError(
            f"{where}: no result of iss_jax, it lacks the text {HEADER!r}; its arrays are "
            f"{sorted(arrays)[:8]}"
        )
    try:
        header = json.loads(str(arrays[HEADER]))
        layout, name = header["layout"], header["kind"]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{where}: its text {HEADER!r} cannot be read ({error!r})") from error
    if layout != LAYOUT:
        raise ValueError(f"{where}: has layout {layout!r}, this version of iss_jax reads {LAYOUT}")
    if name != kind.__name__:
        raise ValueError(f"{where}: holds a {name}, {kind.__name__} wanted")
    try:
        return _decoded(header, "", arrays, where)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{where}: its text {HEADER!r} is malformed ({error!r})") from error


def _encoded(value: Any, name: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """JSON that says what a value is; its arrays are added under names that begin with `name`."""
    if value is None:
        return {"kind": "none"}
    if isinstance(value, Record):
        prefix = f"{name}/" if name else ""
        fields = {
            field.name: _encoded(getattr(value, field.name), prefix + field.name, arrays)
            for field in dataclasses.fields(value)  # pyright: ignore[reportArgumentType]
            if not is_static(field)
        }
        return {"kind": type(value).__name__, "fields": fields, "facts": value.facts()}
    if isinstance(value, Mapping):
        entries = {key: _encoded(entry, f"{name}/{key}", arrays) for key, entry in value.items()}
        return {"kind": "mapping", "entries": entries}
    if isinstance(value, bool | int | float):
        return {"kind": "number", "value": value}
    array = np.asarray(value)
    dtype = array.dtype.name
    if array.dtype.kind == "V":
        # numpy's own format has no bfloat16: the bits are kept as integers.
        array = array.view(f"u{array.dtype.itemsize}")
    arrays[name] = array
    return {"kind": "array", "dtype": dtype}


def _decoded(node: dict[str, Any], name: str, arrays: dict[str, np.ndarray], where: str) -> Any:
    kind = node["kind"]
    if kind == "none":
        return None
    if kind == "number":
        return node["value"]
    if kind == "mapping":
        entries = node["entries"]
        return {
            key: _decoded(entry, f"{name}/{key}", arrays, where) for key, entry in entries.items()
        }
    if kind == "array":
        return _array(node, name, arrays, where)
    if kind not in Record.kinds:
        raise ValueError(f"{where}: {name}: holds a {kind!r}, which this version does not know")
    cls, prefix = Record.kinds[kind], f"{name}/" if name else ""
    wanted = {field.name for field in dataclasses.fields(cls) if not is_static(field)}  # pyright: ignore[reportArgumentType]
    if set(node["fields"]) != wanted:
        lacks, unknown = wanted - set(node["fields"]), set(node["fields"]) - wanted
        raise ValueError(
            f"{where}: {kind}: lacks the fields {sorted(lacks)}, has the unknown {sorted(unknown)}"
        )
    values = {
        field: _decoded(entry, prefix + field, arrays, where)
        for field, entry in node["fields"].items()
    }
    try:
        facts = cls.from_facts(node["facts"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {kind}: {error}") from error
    return cls(**values, **facts)


def _array(
    node: dict[str, Any], name: str, arrays: dict[str, np.ndarray], where: str
) -> np.ndarray:
    if name not in arrays:
        raise ValueError(f"{where}: lacks the array {name!r}; it has {sorted(arrays)[:8]}")
    array, dtype = arrays[name], jnp.dtype(node["dtype"])
    if dtype.kind == "V" and array.dtype == np.dtype(f"u{dtype.itemsize}"):
        array = array.view(dtype)
    if array.dtype != dtype:
        raise ValueError(f"{where}: array {name!r} is {array.dtype}, {dtype} noted")
    return array
