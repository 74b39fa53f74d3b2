"""Tables as CSV that a spreadsheet takes for text and numbers, and for nothing else."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iss_jax.few import few

# What spreadsheets take for the start of a formula, the wide forms included.
_FORMULA = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    r"""A line per row under the keys of the first.

    >>> csv_text([{"task": "=1+1", "r": -0.5}])
    "task,r\n'=1+1,-0.5\n"

    Args:
        rows: Cell by column; texts that a spreadsheet would run get a leading apostrophe.

    Raises:
        ValueError: A row has a key that the first has not.
    """
    buffer = io.StringIO()
    names = list(rows[0]) if rows else []
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writerow({name: cell(name) for name in names})
    writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)
    return buffer.getvalue()


def cell(value: Any) -> Any:
    """The value, or a text that is no formula and of one row: numbers stay what they are.

    >>> cell("-0.5"), cell("-rf"), cell("pick up the milk"), cell(-0.5)
    ('-0.5', "'-rf", 'pick up the milk', -0.5)
    """
    if not isinstance(value, str):
        return value
    if "\r" in value:
        # Readers take it for the end of a row, quoted or not.
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{value}" if _would_run(value.lstrip("'")) else value


def text(value: str) -> str:
    """What `cell` made a cell of.

    >>> text("-0.5"), text("'-rf"), text("'tis the milk")
    ('-0.5', '-rf', "'tis the milk")
    """
    return value[1:] if value[:1] == "'" and _would_run(value.lstrip("'")) else value


def read_rows(path: str | os.PathLike) -> list[dict[str, str]]:
    """The rows of a table that `csv_text` made, texts as they were before it.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no UTF-8 text, a column stands twice, or a row has other cells than the
            first one names.
    """
    # A spreadsheet may have put a byte order mark before it.
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        try:
            names, *rows = list(csv.reader(file)) or [[]]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: no table ({error})") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: columns {few(twice)} stand twice")
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise ValueError(f"{path}: row {number} has {len(row)} cells, {len(names)} wanted")
    names = [text(name) for name in names]
    return [dict(zip(names, map(text, row), strict=True)) for row in rows]


def _would_run(value: str) -> bool:
    if not value.startswith(_FORMULA):
        return False
    try:
        float(value)
    except ValueError:
        return True
    return False
