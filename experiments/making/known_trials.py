"""Trials as a table: what came of each, to be handed on, and to seed a run that has them already.

`trials.csv` holds a row a trial: everything that its outcome depends on, then `success` and
`steps`. A trial of a new run that agrees with a row in all of it, the policy's fingerprint
included, is not run again. Steps may be left empty where they are not known.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from iss_jax.data.table import text
from iss_jax.few import few
from iss_jax.jobs.directory import RunDirectory

RESULT = ("success", "steps")


def trial_rows(items: Iterable[Mapping[str, Any]], results: Iterable[Any]) -> list[dict[str, Any]]:
    """A row a trial. Whether its frames were recorded changes nothing and is left out."""
    return [
        {**_names(item), "success": int(result["success"]), "steps": result["steps"]}
        for item, result in zip(items, results, strict=True)
    ]


def seed_run(run: RunDirectory, items: Sequence[Mapping[str, Any]], path: str | Path) -> int:
    """Stores the outcomes that a table of trials knows of this process's unfinished items.

    Items that are to be recorded are left to be run: a table has no frames.

    Args:
        run: the run directory.
        items: its trials.
        path: a `trials.csv`.

    Returns:
        How many it stored.

    Raises:
        FileNotFoundError: there is no such table.
        ValueError: it is not a table of trials, or it has none of the items' policy; the message
            names the file, and the line where one is wrong.
    """
    if not items:
        return 0
    known = read_trials(path, tuple(_names(items[0])))
    policies = {dict(key)["policy"] for key in known}
    wanted = {str(item["policy"]) for item in items}
    if not wanted & policies:
        raise ValueError(
            f"{path}: trials of policies {few(sorted(policies))}, of {few(sorted(wanted))} wanted"
        )
    count = 0
    for item in run.unfinished(items):
        result = known.get(_key(item))
        if result is not None and not item.get("record"):
            run.save(item, result)
            count += 1
    return count


def read_trials(path: str | Path, names: Sequence[str]) -> dict[tuple, dict[str, Any]]:
    """Outcomes by the text of what they depend on, ((name, value), ...) in order of `names`.

    Raises:
        FileNotFoundError: there is no such table.
        ValueError: a column is missing, a value is no outcome, or two rows disagree about a trial.
    """
    found: dict[tuple, dict[str, Any]] = {}
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in (*names, *RESULT) if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path}: columns {few(missing)} missing, {few(reader.fieldnames or ())} found"
            )
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            try:
                success = ("0", "1").index(row["success"])
                steps = int(row["steps"]) if row["steps"] else None
                result = {"success": bool(success), "steps": steps}
            except (TypeError, ValueError):
                raise ValueError(
                    f"{where}: success {row['success']!r}, steps {row['steps']!r} given, 0 or 1 "
                    "and an integer or nothing wanted"
                ) from None
            key = _key({name: text(row[name]) for name in names})
            if found.setdefault(key, result) != result:
                raise ValueError(f"{where}: another outcome of a trial that stands above")
    return found


def _names(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "record"}


def _key(item: Mapping[str, Any]) -> tuple:
    return tuple((name, str(value)) for name, value in _names(item).items())
