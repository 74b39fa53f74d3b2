"""Tables as CSV that a spreadsheet takes for text and numbers, and for nothing else."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

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
    if not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
