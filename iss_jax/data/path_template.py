"""Path templates of a dataset's metadata, filled so that they stay in the dataset."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LONGEST_NAME = 255
# At most two digits: a width of 10^9 would be a path of 10^9 characters.
_SPEC = re.compile(r"(0?\d{1,2})?d?")


def filled(root: Path, info: Mapping[str, Any], template: str, **values: Any) -> Path:
    """A path template of `info.json`, such as `data_path`, with its values.

    Args:
        root: the dataset's folder.
        info: its `info.json`.
        template: the template's key.
        values: what it may ask for.

    Raises:
        ValueError: there is no such template, it asks for other values, or it leaves the dataset.
    """
    given = info.get(template)
    where = f"{root}/meta/info.json: {template} is {given!r}"
    if not isinstance(given, str):
        raise ValueError(f"{where}, a template of {sorted(values)} wanted")
    try:
        parts = list(string.Formatter().parse(given))
        for _, name, spec, conversion in parts:
            if name is not None and (
                name not in values or conversion or not _SPEC.fullmatch(spec or "")
            ):
                raise ValueError(name)
        relative = given.format(**values)
    except (KeyError, AttributeError, IndexError, ValueError) as error:
        raise ValueError(f"{where}, a template of {sorted(values)} wanted") from error
    # Of names alone: the files themselves may be links to a store elsewhere.
    names = Path(os.path.normpath(relative)).parts
    if not relative or Path(relative).is_absolute() or names[:1] == ("..",) or "\0" in relative:
        raise ValueError(f"{where}, which leads out of the dataset")
    if any(len(os.fsencode(name)) > _LONGEST_NAME for name in names):
        raise ValueError(f"{where}, a name of more than {_LONGEST_NAME} bytes")
    return root / relative
