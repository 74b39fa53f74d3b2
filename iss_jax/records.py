"""What every result can do: print itself in a few lines, be drawn, be kept in a file.

A result is a frozen dataclass that is a pytree, so that it passes through `jit`, `vmap`, `scan`,
`grad` and `jax.tree.map`:

    @record
    class Found(Record):
        scores: Float[Array, "*b n"]
        unit: str = static(default="")

Fields made by `static` are part of its structure: hashable, equal in all results that are mapped
over together.
"""

import base64
import dataclasses
import html
import importlib
import io
import os
import reprlib
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

import jax
import numpy as np
from jax.core import Tracer

T = TypeVar("T")


def static(*, default: Any = dataclasses.MISSING) -> Any:
    """A field that is structure and no array."""
    return dataclasses.field(default=default, metadata={"pytree_node": False})


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(static,))
def record(cls: type[T]) -> type[T]:
    """Makes a class a frozen dataclass and a pytree, whose repr and equality are its own.

    Not `flax.struct`: importing flax would double the time that importing this package takes.
    """
    made = dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
    parts: dict[bool, list[str]] = {False: [], True: []}
    for field in dataclasses.fields(made):  # pyright: ignore[reportArgumentType]
        parts[is_static(field)].append(field.name)
    jax.tree_util.register_dataclass(made, data_fields=parts[False], meta_fields=parts[True])
    return made


def is_static(field: dataclasses.Field) -> bool:
    """Whether a result's field was made by `static`."""
    return not field.metadata.get("pytree_node", True)


class Record:
    """Base of all results, see the module."""

    kinds: ClassVar[dict[str, type["Record"]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Record.kinds[cls.__name__] = cls

    def __repr__(self) -> str:
        title, rows = self.summary()
        return "\n".join([title, *(f"  {name + ':':<9} {text}" for name, text in rows)])

    def _repr_html_(self) -> str:
        """A table of what `repr` says, and the picture where matplotlib is there."""
        title, rows = self.summary()
        lines = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(text)}</td></tr>"
            for name, text in rows
        )
        table = f"<table><caption>{html.escape(title)}</caption>{lines}</table>"
        if not is_concrete(self):
            return table
        try:
            figure = self.plot()
        except (ModuleNotFoundError, NotImplementedError):
            return table
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=80)
        data = base64.b64encode(buffer.getvalue()).decode()
        return f'{table}<img alt="{html.escape(title)}" src="data:image/png;base64,{data}">'

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """What `repr` says: a title, and rows of a name and a text."""
        rows = []
        for field in dataclasses.fields(self):  # pyright: ignore[reportArgumentType]
            value = getattr(self, field.name)
            if value is not None and not (isinstance(value, str) and value == ""):
                rows.append((field.name, described(value)))
        return type(self).__name__, rows

    def plot(self, index: int | tuple[int, ...] = 0) -> Any:
        """A picture of one observation, a `matplotlib.figure.Figure`.

        Args:
            index: Of the observation in the batch; several indices where there are several batch
                axes. A result without batch axes has 0 alone.

        Raises:
            ModuleNotFoundError: Matplotlib is missing; the message names the extra.
            TypeError: Called on traced values, inside `jit`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no picture")

    def save(self, path: str | os.PathLike) -> None:
        """Writes an npz file that `load` reads, whole or not at all; nothing is pickled.

        `numpy.load` reads it, too: its arrays have the names of the fields (`cells`,
        `maps/base_0_rgb`), beside `record`, JSON that says what they are.

        Args:
            path: Where.

        Raises:
            TypeError: Called on traced values, inside `jit`.
        """
        from iss_jax.record_file import write_record

        require_concrete(self, "save()")
        write_record(path, self, Record.kinds)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """What `save` wrote, bit for bit, as numpy arrays.

        Args:
            path: The file.

        Raises:
            FileNotFoundError: There is none.
            ValueError: The file is none of this kind or layout, or is damaged; the message names
                the file and what it lacks.
        """
        from iss_jax.record_file import read_record

        return read_record(path, cls, Record.kinds)

    def facts(self) -> dict[str, Any]:
        """The static fields as JSON holds them."""
        fields = dataclasses.fields(self)  # pyright: ignore[reportArgumentType]
        return {field.name: getattr(self, field.name) for field in fields if is_static(field)}

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> dict[str, Any]:
        """Inverse of `facts`.

        Raises:
            ValueError: Facts that cannot be.
        """
        return facts


class MapsRecord(Record):
    """A result whose fields are `maps` and perhaps `valid`, `frames` and `unit`."""

    def plot(
        self, index: int | tuple[int, ...] = 0, *, frames: Mapping[str, Any] | None = None
    ) -> Any:
        """The maps of one observation, a `matplotlib.figure.Figure`, as in `Record.plot`.

        Args:
            index: See there.
            frames: View -> frames beneath, with the maps' batch axes; the result's own when None.
        """
        require_concrete(self, "plot()")
        maps, valid, own = (getattr(self, name, None) for name in ("maps", "valid", "frames"))
        assert maps is not None
        index = batch_index(tuple(next(iter(maps.values())).shape[:-2]), index)
        maps, valid, frames = jax.tree.map(
            lambda leaf: leaf[index], (maps, valid, own if frames is None else frames)
        )
        return drawing("maps_figure").maps_figure(
            maps,
            valid=valid,
            frames=frames,
            label=getattr(self, "unit", ""),
            note="No error of this map is known.",
        )


def batch_index(batch: tuple[int, ...], index: int | tuple[int, ...]) -> tuple[int, ...]:
    """An index for each batch axis; of a result without any, 0 means the whole.

    >>> batch_index((4,), -1), batch_index((), 0)
    ((-1,), ())

    Raises:
        IndexError: No such observation.
    """
    index = index if isinstance(index, tuple) else (index,)
    if not batch and index == (0,):
        return ()
    if len(index) != len(batch) or not all(
        -size <= i < size for i, size in zip(index, batch, strict=True)
    ):
        raise IndexError(f"observation {index} of a batch of shape {batch}")
    return index


def drawing(module: str) -> Any:
    """A module of `iss_jax.viz`, imported where a picture is wanted and not before.

    Raises:
        ModuleNotFoundError: Matplotlib is missing; the message names the extra.
    """
    return importlib.import_module(f"iss_jax.viz.{module}")


def is_concrete(tree: Any) -> bool:
    """Whether all leaves have values that this process can read."""
    return all(map(_has_value, jax.tree.leaves(tree)))


def _has_value(leaf: Any) -> bool:
    if isinstance(leaf, Tracer):
        return False
    if isinstance(leaf, jax.Array):
        return not leaf.is_deleted() and leaf.is_fully_addressable
    return isinstance(leaf, np.ndarray | np.generic | int | float)


def require_concrete(record: Record, what: str) -> None:
    """Says that values are needed.

    Raises:
        TypeError: They are traced, abstract, deleted, or on another host.
    """
    if not is_concrete(record):
        raise TypeError(
            f"{type(record).__name__}.{what} needs values, but some are traced, abstract, deleted "
            f"or on another host: call it on the result of the jitted function, not inside"
        )


def described(value: Any) -> str:
    """A value in a few words: arrays by dtype and shape."""
    if isinstance(value, Record):
        return type(value).__name__
    if isinstance(value, Mapping):
        entries = [(str(name), described(entry)) for name, entry in value.items()]
        texts = {text for _, text in entries}
        if len(texts) == 1:
            return f"{texts.pop()} of {', '.join(name for name, _ in entries)}"
        return ", ".join(f"{name} {text}" for name, text in entries)
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        return f"{dtype} {list(shape)}"
    return value if isinstance(value, str) else reprlib.repr(value)
