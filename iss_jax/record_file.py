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
from iss_jax.few import few

# Raised whenever fields, names or forms change.
LAYOUT = 1
HEADER = "record"

Found = TypeVar("Found")
Kinds = Mapping[str, Any]  # the classes of results, by name


def array_fields(kind: Any) -> list[dataclasses.Field]:
    """The fields of a result that hold arrays; the others are its facts."""
    return [f for f in dataclasses.fields(kind) if f.metadata.get("pytree_node", True)]


def write_record(path: str | os.PathLike, record: Any, kinds: Kinds) -> None:
    """Writes a result, see `Record.save`."""
    arrays: dict[str, np.ndarray] = {}
    header = {"layout": LAYOUT, **_encoded(record, "", arrays, kinds)}
    arrays[HEADER] = np.asarray(json.dumps(header))
    with atomic_path(path) as temporary:
        save_arrays(temporary, arrays)


def read_record(path: str | os.PathLike, kind: type[Found], kinds: Kinds) -> Found:
    """Reads a result, see `Record.load`."""
    where = str(path)
    with epath.Path(path).open("rb") as handle:
        arrays = read_arrays(handle, where)
    if HEADER not in arrays or arrays[HEADER].dtype.kind != "U":
        raise ValueError(
            f"{where}: no result of iss_jax, it lacks the text {HEADER!r}; its arrays are "
            f"{few(sorted(arrays))}"
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
        return _decoded(header, "", arrays, where, kinds)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{where}: its text {HEADER!r} is malformed ({error!r})") from error


def _encoded(value: Any, name: str, arrays: dict[str, np.ndarray], kinds: Kinds) -> dict[str, Any]:
    """JSON that says what a value is; its arrays are added under names that begin with `name`."""
    if value is None:
        return {"kind": "none"}
    if type(value) in kinds.values():
        prefix = f"{name}/" if name else ""
        fields = {
            field.name: _encoded(getattr(value, field.name), prefix + field.name, arrays, kinds)
            for field in array_fields(type(value))
        }
        return {"kind": type(value).__name__, "fields": fields, "facts": value.facts()}
    if isinstance(value, Mapping):
        entries = {
            key: _encoded(entry, f"{name}/{key}", arrays, kinds) for key, entry in value.items()
        }
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


def _decoded(
    node: dict[str, Any], name: str, arrays: dict[str, np.ndarray], where: str, kinds: Kinds
) -> Any:
    kind = node["kind"]
    if kind == "none":
        return None
    if kind == "number":
        return node["value"]
    if kind == "mapping":
        entries = node["entries"]
        return {
            key: _decoded(entry, f"{name}/{key}", arrays, where, kinds)
            for key, entry in entries.items()
        }
    if kind == "array":
        return _array(node, name, arrays, where)
    if kind not in kinds:
        raise ValueError(f"{where}: {name}: holds a {kind!r}, which this version does not know")
    cls, prefix = kinds[kind], f"{name}/" if name else ""
    wanted = {field.name for field in array_fields(cls)}
    if set(node["fields"]) != wanted:
        lacks, unknown = wanted - set(node["fields"]), set(node["fields"]) - wanted
        raise ValueError(
            f"{where}: {kind}: lacks the fields {few(sorted(lacks))}, has the unknown "
            f"{few(sorted(unknown))}"
        )
    values = {
        field: _decoded(entry, prefix + field, arrays, where, kinds)
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
        raise ValueError(f"{where}: lacks the array {name!r}; it has {few(sorted(arrays))}")
    array, dtype = arrays[name], jnp.dtype(node["dtype"])
    if dtype.kind == "V" and array.dtype == np.dtype(f"u{dtype.itemsize}"):
        array = array.view(dtype)
    if array.dtype != dtype:
        raise ValueError(f"{where}: array {name!r} is {array.dtype}, {dtype} noted")
    return array
