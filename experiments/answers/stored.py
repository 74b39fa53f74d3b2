"""What a run directory holds, as answers read it."""

import json
from pathlib import Path
from typing import Any

from iss_jax.data import table


def stored(folder: Path) -> Any:
    """What `results.json` holds.

    Args:
        folder: The run directory.
    """
    return json.loads((folder / "results.json").read_bytes())


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    """The rows of one of its tables.

    Args:
        folder: The run directory.
        name: Of the CSV file.
    """
    return table.read_rows(folder / name)
