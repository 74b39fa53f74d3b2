"""A file that holds one JSON object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_object(path: Path) -> dict[str, Any]:
    """Reads it.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it cannot be read, or holds something else; the message names it.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: missing") from None
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: an object wanted, {type(content).__name__} given")
    return content
