"""Success tables: how often a policy solved each task, a row per task and seed.

`task,trials,successes` is enough. What a table has no column of is the same for all of its rows.
"""

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

# The split of rows that are of all splits together.
ALL_SPLITS = "all"

NEEDED = ("task", "trials", "successes")


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


class Table(NamedTuple):
    """A success table as it was read.

    Attributes:
        rows: its rows; a column that it lacks has its default in all of them.
        columns: those of `Success` that it has.
    """

    rows: list[Success]
    columns: frozenset[str]


def read_success(path: str | os.PathLike) -> list[Success]:
    r"""Reads a success table.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.csv"
    ...     _ = path.write_text("task,trials,successes\npick up the milk,20,13\n")
    ...     (row,) = read_success(path)
    >>> row.task, row.rate, row.split
    ('pick up the milk', 0.65, 'all')

    Args:
        path: a CSV file with the columns of `Success`, of which `task`, `trials` and `successes`
            are enough; further columns are ignored.

    Returns:
        Its rows. Without the column, the suite is empty, the split `all`, and both seeds are 0.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a column is missing, a value is not what it should be, or two rows are about
            the same task, suite, split and seeds; the message names the file and the line.
    """
    return read_table(path).rows


def read_table(path: str | os.PathLike) -> Table:
    """Reads a success table, and which columns it has.

    Args:
        path: as of `read_success`.

    Raises:
        FileNotFoundError, ValueError: as `read_success`.
    """
    path = Path(path)
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        names = [name for name in Success._fields if name in (reader.fieldnames or ())]
        missing = [name for name in NEEDED if name not in names]
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
                    text(line["suite"]) if "suite" in names else "",
                    text(line["split"]) if "split" in names else ALL_SPLITS,
                    *(int(line[name]) if name in names else 0 for name in Success._fields[3:]),
                )
            except (AttributeError, TypeError, ValueError):
                raise ValueError(f"{where}: integers wanted, {short(dict(line))} given") from None
            if not (0 <= row.successes <= row.trials and row.trials > 0):
                raise ValueError(f"{where}: {row.successes} successes in {row.trials} trials")
            if row[:5] in seen:
                raise ValueError(f"{where}: a second row for {row[:5]}")
            seen.add(row[:5])
            rows.append(row)
    return Table(rows, frozenset(names))


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
