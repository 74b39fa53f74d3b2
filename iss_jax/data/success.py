"""Success tables: how often a policy solved each task, a row per task and seed."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from scipy import stats

from iss_jax.data.atomic import write_bytes
from iss_jax.data.table import cell, text
from iss_jax.few import few, short


class Success(NamedTuple):
    """One row of a success table.

    Attributes:
        task: the task's name.
        suite: the benchmark suite the task belongs to.
        split: the condition it was run under (`seen`, `native`, `shuffled`, ...).
        policy_seed: the seed the policy was trained with.
        seed: the seed of the rollouts.
        trials: number of rollouts.
        successes: how many of them succeeded.
    """

    task: str
    suite: str
    split: str
    policy_seed: int
    seed: int
    trials: int
    successes: int

    @property
    def rate(self) -> float:
        """Success rate in [0, 1]."""
        return self.successes / self.trials


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a success rate (Wilson 1927)."""
    interval = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def read_success(path: str | os.PathLike) -> list[Success]:
    """Reads a success table.

    Args:
        path: a CSV file with the columns of `Success`; further columns are ignored.

    Returns:
        Its rows.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a column is missing, a value is not what it should be, or two rows are about
            the same task, suite, split and seeds; the message names the file and the line.
    """
    path = Path(path)
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in Success._fields if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path}: columns {missing} missing, {few(reader.fieldnames or ())} found"
            )
        rows, seen = [], set()
        for line in reader:
            where = f"{path}, line {reader.line_num}"
            try:
                row = Success(
                    text(line["task"]),
                    text(line["suite"]),
                    text(line["split"]),
                    *(int(line[name]) for name in Success._fields[3:]),
                )
            except (AttributeError, TypeError, ValueError):
                raise ValueError(f"{where}: integers wanted, {short(dict(line))} given") from None
            if not (0 <= row.successes <= row.trials and row.trials > 0):
                raise ValueError(f"{where}: {row.successes} successes in {row.trials} trials")
            if row[:5] in seen:
                raise ValueError(f"{where}: a second row for {row[:5]}")
            seen.add(row[:5])
            rows.append(row)
    return rows


def write_success(path: str | os.PathLike, rows: Iterable[Success]) -> None:
    """Writes a success table atomically, in the order of `rows`.

    Texts that a spreadsheet would run are written as `iss_jax.data.table.cell` has them, and read
    back as they were.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(Success._fields)
    writer.writerows([cell(value) for value in row] for row in rows)
    write_bytes(path, buffer.getvalue().encode())
