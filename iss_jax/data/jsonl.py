"""JSON lines that one process appends to: an interrupted append is as if it had not been.

A last line without its newline counts where it is a whole object: no beginning of an object is one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iss_jax.data.json_file import parse_object


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
    texts = path.read_bytes().split(b"\n")
    if not _is_object(texts[-1]):
        del texts[-1]
    return [
        parse_object(text, f"{path}, line {number}")
        for number, text in enumerate(texts, 1)
        if text.strip()
    ]


def _is_object(text: bytes) -> bool:
    try:
        parse_object(text, "")
    except ValueError:
        return False
    return True


def _tail(path: Path) -> tuple[int, bytes]:
    """Start and text of the last line; ends it where it is whole, and cuts what is not off."""
    with open(path, "r+b") as file:
        end = file.seek(0, os.SEEK_END)
        start, text, block = end, b"", 1 << 16
        while start and text.strip().count(b"\n") < 2:
            start = max(0, end - block)
            file.seek(start)
            text = file.read(end - start)
            block *= 4
        body = text.rstrip()
        before, newline, last = body.rpartition(b"\n")
        if b"\n" not in text[len(body) :] and not _is_object(last):
            body = before.rstrip()
            before, newline, last = body.rpartition(b"\n")
        whole = body + b"\n" if body else b""
        if whole != text:
            file.seek(start)
            file.truncate(start + len(body))
            file.seek(start + len(body))
            file.write(whole[len(body) :])
            file.flush()
            os.fsync(file.fileno())
    return start + len(before + newline), last


def last_line(path: Path) -> dict[str, Any] | None:
    """The last complete line, None when there is none; cuts an interrupted append off.

    Raises:
        ValueError: it is not a JSON object.
    """
    if not path.exists():
        return None
    _, text = _tail(path)
    return parse_object(text, f"{path}, last line") if text else None


def drop_last_line(path: Path) -> None:
    """Removes the last complete line."""
    os.truncate(path, _tail(path)[0])
