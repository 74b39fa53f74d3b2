"""Rows measured one by one within a budget of time, each stored as soon as it is known."""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from experiments.timing import machine
from experiments.timing.row_table import csv_rows, device_line, live_line, table_text
from experiments.timing.rows import RowOptions, all_rows, chosen_rows
from experiments.timing.supervise import Limits, Listener, Work, supervise
from experiments.timing.worker import work as measuring
from iss_jax.jobs.directory import RunDirectory
from iss_jax.jobs.processes import current

_MEASURED_WITH = "measured_with.json"


def measure_rows(
    content: Mapping[str, Any], workdir: Path, *, work: Work = measuring
) -> list[dict[str, Any]]:
    """Measures the rows that a run directory does not hold yet; returns those of `results.csv`.

    No accelerator is touched here: the measuring process has all of it.

    Args:
        content: the configuration's.
        workdir: the run directory.
        work: what the measuring process does.

    Raises:
        ValueError: rows that were measured with other versions, code, options or devices.
        RuntimeError: no row at all could be measured.
    """
    start = time.monotonic()
    options = RowOptions.of(content)
    chosen = chosen_rows(options)
    run = RunDirectory(workdir, current())
    now, before = machine.measured_with(content), _measured_with(workdir)
    if before is not None:
        _same(workdir, {k: v for k, v in before.items() if k != "device"}, now)
    stored = {name: run.load({"row": name}) for name in all_rows(options)}
    found = {name: result for name, result in stored.items() if result is not None}
    names = [name for name in stored if name in chosen or name in found]
    run.write_json("config.json", dict(content))
    tell: Callable[[str], None] = (lambda line: None) if options.quiet else _print

    def ready(said: Mapping[str, Any]) -> None:
        if (was := _measured_with(workdir)) is not None:
            _same(workdir, was, now | {"device": said["device"]})
        run.write_json(_MEASURED_WITH, now | {"device": said["device"]})
        run.write_json("environment.json", said["environment"])
        tell(f"{time.monotonic() - start:5.0f} s  {device_line(said['device'], now)}")

    def store(name: str, result: dict[str, Any]) -> None:
        run.save({"row": name}, result)
        found[name] = result
        _write(run, csv_rows(names, found))
        tell(f"{time.monotonic() - start:5.0f} s  {live_line(name, found)}")

    def measured(name: str, result: dict[str, Any]) -> None:
        arguments["measured"].append(name)
        store(name, result)

    # A row that failed before is tried again, after all that were not tried.
    failed = [name for name, result in found.items() if "error" in result]
    arguments: dict[str, Any] = {
        "config": dict(content),
        "cache": cache_folder(options.cache),
        "measured": [name for name in found if name not in failed],
    }
    not_measured = supervise(
        work,
        [name for name in chosen if name not in found] + [n for n in failed if n in chosen],
        arguments,
        Listener(ready, measured, lambda name, reason: store(name, {"error": reason})),
        Limits(start + options.budget_s, options.row_limit_s),
    )
    rows = csv_rows(names, found, not_measured)
    _write(run, rows)
    tell(f"\n{table_text(rows)}\n\n{run.path / 'results.csv'}")
    if not arguments["measured"]:
        reasons = "; ".join(f"{row['name']}: {row['reason']}" for row in rows)
        raise RuntimeError(f"{workdir}: no row was measured. {reasons}")
    return rows


def cache_folder(value: str) -> str:
    """The folder of compiled programs: the user's cache for "user", none for "", else as given."""
    if value != "user":
        return value
    return str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "iss-jax")


def _write(run: RunDirectory, rows: list[dict[str, Any]]) -> None:
    run.write_csv("results.csv", rows)
    run.write_json("results.json", {"rows": rows})


def _measured_with(workdir: Path) -> dict[str, Any] | None:
    path = workdir / _MEASURED_WITH
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path}: unreadable ({error}); give another --workdir") from error


def _same(workdir: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    if changed := machine.differences(before, json.loads(json.dumps(now))):
        raise ValueError(
            f"{workdir}: holds rows that were measured otherwise ({'; '.join(changed)}); give "
            "another --workdir"
        )


def _print(line: str) -> None:
    print(line, flush=True)
