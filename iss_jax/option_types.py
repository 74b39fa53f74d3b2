"""Options whose values are of the types that their fields name."""

import dataclasses
import functools
import math
import operator
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

WORDS = {
    bool: "True or False",
    int: "an integer",
    float: "a finite number",
    str: "text",
    type(None): "None",
}


def check_types(options: Any) -> None:
    """Says which field of a dataclass holds a value of another type than its annotation.

    Numpy's and JAX's numbers, arrays of one axis and ranges become Python's own in fields of
    numbers, so that options stay hashable. Lists pass for tuples, integers for numbers; True and
    False are no integers.

    Args:
        options: An instance of a dataclass, which may be frozen.

    Raises:
        ValueError: A value does not fit; the message names class, field, what is wanted and given.
    """
    hints = _hints(type(options))
    for field in dataclasses.fields(options):
        value = plain = getattr(options, field.name)
        hint = hints[field.name]
        if _is_of_numbers(hint):
            plain = _plain(value)
        if not _fits(plain, hint):
            raise ValueError(
                f"{type(options).__name__}.{field.name} must be {_words(hint)}, got {value!r}"
            )
        if plain is not value:
            object.__setattr__(options, field.name, plain)


def _is_of_numbers(hint: Any) -> bool:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType, tuple):
        return all(_is_of_numbers(one) for one in inner if one not in (type(None), Ellipsis))
    return hint in (int, float)


def _plain(value: Any) -> Any:
    """Python's own numbers and tuples for what numpy and JAX have of them."""
    if isinstance(value, range):
        return tuple(value)
    if isinstance(value, tuple | list):
        found = tuple(map(_plain, value))
        same = isinstance(value, tuple) and all(map(operator.is_, found, value))
        return value if same else found
    if isinstance(value, np.generic | np.ndarray | jax.Array) and not isinstance(value, Tracer):
        if np.ndim(value) == 0:
            return np.asarray(value).item()
        if np.ndim(value) == 1:
            return tuple(np.asarray(value).tolist())
    return value


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if hint in (int, float):
        if isinstance(value, bool):
            return False
        return isinstance(value, int) or (
            hint is float and isinstance(value, float) and math.isfinite(value)
        )
    if origin is tuple:
        if not isinstance(value, tuple | list):
            return False
        if inner[-1] is not Ellipsis:
            return len(value) == len(inner) and all(map(_fits, value, inner))
        return all(_fits(one, inner[0]) for one in value)
    if origin in (Mapping, dict):
        return isinstance(value, Mapping) and all(
            _fits(key, inner[0]) and _fits(one, inner[1]) for key, one in value.items()
        )
    if origin is Callable or hint is Callable:
        return callable(value)
    if hint is Any or not isinstance(hint, type):
        return True
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_words, inner))
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return f"a tuple, each {_words(inner[0])}"
        return f"a tuple of {len(inner)}, each {_words(inner[0])}"
    if origin in (Mapping, dict):
        return f"a mapping from {_words(inner[0])} to {_words(inner[1])}"
    if origin is Callable or hint is Callable:
        return "a function"
    return WORDS.get(hint, getattr(hint, "__name__", str(hint)))
