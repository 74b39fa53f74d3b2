"""One table of many runs: their rows, told apart by the options in which the runs differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iss_jax.data.atomic import write_bytes
from iss_jax.data.json_file import read_object
from iss_jax.data.table import csv_text, read_rows
from iss_jax.few import few
from iss_jax.jobs.directory import short_digest

RUN = "run"
TABLE = "results.csv"
# Under a workdir to which runs are added.
FOLDER = "runs"
# Options that change nothing in a table.
_IDLE = ("name", "quiet")


def own_folder(workdir: Path, config: Mapping[str, Any]) -> Path:
    """Where a run that is added to a workdir lies: of the same options always the same.

    Args:
        workdir: Of all of them.
        config: Of the run.
    """
    return workdir / FOLDER / short_digest(dict(config))


def write_joined(workdir: Path) -> Path:
    """Writes `<workdir>/results.csv` of the runs that were added to a workdir.

    Raises:
        ValueError: As `join_runs`.
    """
    path = workdir / TABLE
    write_bytes(path, csv_text(join_runs(runs_in([workdir / FOLDER]))).encode())
    return path


def runs_in(folders: Sequence[Path], table: str = TABLE) -> list[Path]:
    """The run directories among some folders and directly inside them, in order.

    Args:
        folders: Run directories, or folders of them.
        table: What a run directory has beside `config.json`.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: A folder holds no run with that table.
    """
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no folder here")
        inside = sorted(path for path in folder.iterdir() if path.is_dir())
        own = [
            path
            for path in ([folder] if (folder / "config.json").exists() else inside)
            if (path / "config.json").exists() and (path / table).exists()
        ]
        if not own:
            raise ValueError(f"{folder}: neither a run directory with {table} nor a folder of some")
        found += own
    return list(dict.fromkeys(found))


def join_runs(runs: Sequence[Path], table: str = TABLE) -> list[dict[str, Any]]:
    """The rows of all runs.

    Args:
        runs: Run directories.
        table: Which of their tables.

    Returns:
        Each row after `run`, the name of its directory, and `config.<key>` of every option in which
        the runs differ. A column that a run's table lacks is empty.

    Raises:
        FileNotFoundError: A run has no such table or no `config.json`.
        ValueError: One of them cannot be read, or two runs have one name.
    """
    configs = [_flat(read_object(run / "config.json")) for run in runs]
    tables = [read_rows(run / table) for run in runs]
    keys = list(dict.fromkeys(key for config in configs for key in config))
    differ = [
        key
        for key in keys
        if key not in _IDLE and len({_text(config.get(key)) for config in configs}) > 1
    ]
    names = _names(runs)
    columns = dict.fromkeys(column for rows in tables for row in rows for column in row)
    return [
        {
            RUN: name,
            **{f"config.{key}": _shown(config.get(key)) for key in differ},
            **{column: row.get(column, "") for column in columns if column != RUN},
        }
        for name, config, rows in zip(names, configs, tables, strict=True)
        for row in rows
    ]


def _names(runs: Sequence[Path]) -> list[str]:
    """Of their folders, with those above as far as it takes to tell them apart."""
    for count in range(1, max([len(run.parts) for run in runs], default=0) + 1):
        names = ["/".join(run.parts[-count:]) for run in runs]
        if len(set(names)) == len(names):
            return names
    if runs:
        raise ValueError(f"runs: {few([str(run) for run in runs])} given, each once wanted")
    return []


def _flat(content: Mapping[str, Any], inside: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{inside}{key}.")
        else:
            found[f"{inside}{key}"] = value
    return found


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _shown(value: Any) -> Any:
    """Numbers and texts as they are, nothing as nothing, lists as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str | int | float) else _text(value)
