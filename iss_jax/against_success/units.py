"""Whether tasks or suites are what success varies between, and measures compared by that unit."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from iss_jax.stats import correlation as stats
from iss_jax.stats.resampling import FEWEST_CLUSTERS
from iss_jax.stats.units import Variation, unit_correlation

# Rows that have a measure, below which it is not compared with anything.
FEWEST_ROWS = 3


def unit_of(variation: Variation) -> str:
    """The unit of tests and intervals: `suite` or `task`."""
    return "suite" if variation.of_groups else "task"


def by_unit(
    x: np.ndarray,
    y: np.ndarray,
    tasks: np.ndarray,
    suites: np.ndarray,
    *,
    unit: str,
    kind: Any,
    confidence: float,
    resamples: int,
    permutations: int,
) -> dict[str, Any]:
    """Correlation of rows with the interval and p of the unit, and the reason where one is nan."""
    if x.size < FEWEST_ROWS:
        return nothing(kind, x.size, confidence, few_rows(x.size)) | {"unit": unit}
    common = {"kind": kind, "confidence": confidence, "permutations": permutations}
    if unit == "suite":
        found = unit_correlation(x, y, suites, **common)
    else:
        found = stats.correlate(x, y, clusters=tasks, resamples=resamples, **common)
    return _plain(found, unit) | {"unit": unit}


def given(
    x: np.ndarray,
    y: np.ndarray,
    columns: np.ndarray,
    tasks: np.ndarray,
    suites: np.ndarray,
    *,
    unit: str,
    inside: bool,
    kind: Any,
    confidence: float,
    resamples: int,
    permutations: int,
) -> dict[str, Any]:
    """Partial correlation of rows; `inside` suites, tasks are the unit whatever success does.

    Where suites are the unit, the area and the split leave too few of them for a test, so that the
    coefficient stands alone.
    """
    if x.size < FEWEST_ROWS:
        return nothing(kind, x.size, confidence, few_rows(x.size))
    alone = unit == "suite" and not inside
    found = stats.partial_correlate(
        x,
        y,
        columns,
        clusters=tasks,
        blocks=suites if inside else None,
        kind=kind,
        confidence=confidence,
        resamples=0 if alone else resamples,
        permutations=0 if alone else permutations,
    )
    if alone:
        count = len(set(suites.tolist()))
        unknown = (float("nan"), float("nan"))
        why = f"not identifiable: {count} suites are the unit, and covariates take some of them"
        found = found._replace(
            clusters=count,
            fisher=unknown,
            bootstrap=unknown,
            p_value=float("nan"),
            reason=why if np.isfinite(found.r) else found.reason,
        )
    return _plain(found, "task" if inside else unit)


def nothing(kind: str, rows: int, confidence: float, reason: str) -> dict[str, Any]:
    """An entry that has no correlation, and why."""
    nan = float("nan")
    unknown = (nan, nan)
    found = stats.Correlation(kind, nan, rows, 0, confidence, unknown, unknown, nan, reason)
    return found._asdict()


def few_rows(rows: int) -> str:
    """Why so few rows are not compared."""
    return f"no correlation: {rows} rows have a value, at least {FEWEST_ROWS} wanted"


def _plain(found: stats.Correlation, unit: str) -> dict[str, Any]:
    """In the words of the table: x is the measure, y is success, a cluster is the unit."""
    words = (
        (" x and y do", " the measure and success do"),
        (" x does", " the measure does"),
        (" y does", " success does"),
        (" x or y", " the measure or success"),
        ("clusters", f"{unit}s"),
        ("units", f"{unit}s"),
    )
    reason = found.reason
    for of_library, of_table in words:
        reason = reason.replace(of_library, of_table)
    return {**found._asdict(), "reason": reason}


def unit_line(content: Mapping[str, Any]) -> str:
    """What the intervals and p deal, in a sentence; says where nothing can be identified."""
    found = content["unit"]
    if found["unit"] != "suite":
        return "Intervals and p: by task."
    groups, share, chance = (found[name] for name in ("groups", "between", "by_chance"))
    line = (
        f"Intervals and p: by suite, the unit in which success varies ({100 * share:.0f} % of its "
        f"variance between tasks is between suites; {100 * chance:.0f} % by chance)."
    )
    if groups < FEWEST_CLUSTERS:
        line += f"\nNot identifiable: {groups} suites, an interval takes {FEWEST_CLUSTERS} or more."
    return line


def reasons_of(measures: Mapping[str, float]) -> str:
    """Which measures of a row are nan, and why; empty where none is."""
    absent = [name for name, value in measures.items() if not np.isfinite(value)]
    if not absent:
        return ""
    return f"no frame of this row has a value of {', '.join(absent)}"


def suites_of(tasks: Iterable[str]) -> np.ndarray:
    """The suite of each `suite/task`."""
    return np.array([task.split("/", 1)[0] for task in tasks])
