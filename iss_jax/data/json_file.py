"""JSON that others wrote: one object a file, or a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeGuard


def parse_object(text: str | bytes, where: str) -> dict[str, Any]:
    """The object that a text is.

    Args:
        text: The text.
        where: The file and line, for messages.

    Raises:
        ValueError: It cannot be read, or is something else.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{where}: an object wanted, {type(content).__name__} given")
    return content


def is_count(value: Any, least: int = 0) -> TypeGuard[int]:
    """Whether a value is an integer of at least `least`; JSON's `true` is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def read_object(path: Path) -> dict[str, Any]:
    """Reads a file of one object.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it cannot be read, or holds something else; the message names it.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: missing") from None
    return parse_object(text, f"{path}")
