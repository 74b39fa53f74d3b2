"""JSON lines that one process appends to: an interrupted append is as if it had not been."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def append_line(path: Path, line: Mapping[str, Any]) -> None:
    """Appends an object and syncs the file."""
    with open(path, "ab") as file:
        file.write(json.dumps(line).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All complete lines.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is not a JSON object; the message names the file and the line.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: missing")
    lines = []
    # What follows the last newline is an interrupted append.
    for number, text in enumerate(path.read_bytes().split(b"\n")[:-1]):
        try:
            line = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{path}, line {number + 1}: cannot be read ({error})") from error
        if not isinstance(line, dict):
            raise ValueError(f"{path}, line {number + 1}: an object wanted, {line!r} given")
        lines.append(line)
    return lines


def _tail(path: Path) -> tuple[int, bytes]:
    """Start and text of the last complete line; cuts an interrupted append off."""
    with open(path, "r+b") as file:
        end = file.seek(0, os.SEEK_END)
        block, text = 1 << 16, b""
        while len(text) < end:
            start = max(0, end - len(text) - block)
            file.seek(start)
            text = file.read(end - start)
            block *= 4
            complete = text[: text.rfind(b"\n") + 1]
            if complete[:-1].rfind(b"\n") >= 0:
                break
        complete = text[: text.rfind(b"\n") + 1]
        stop = end - len(text) + len(complete)
        if stop < end:
            file.truncate(stop)
    line = complete[complete[:-1].rfind(b"\n") + 1 :]
    return stop - len(line), line


def last_line(path: Path) -> dict[str, Any] | None:
    """The last complete line, None when there is none; cuts an interrupted append off."""
    if not path.exists():
        return None
    _, text = _tail(path)
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}, last line: cannot be read ({error})") from error


def drop_last_line(path: Path) -> None:
    """Removes the last complete line."""
    os.truncate(path, _tail(path)[0])
