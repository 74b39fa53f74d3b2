"""Success by policy and axis, from the table of trials."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.zoo.shifts import AXES, UNSHIFTED
from iss_jax.data.success import wilson_interval

Rows = Sequence[Mapping[str, Any]]


def axis_rows(trials: Rows) -> list[dict[str, Any]]:
    """A row a policy, axis and strength, with 95 % Wilson intervals.

    Args:
        trials: Rows with `row`, `axis`, `strength` and `success`.
    """
    groups: dict[tuple, list[int]] = defaultdict(list)
    for trial in trials:
        key = int(trial["row"]), trial["axis"], float(trial["strength"])
        groups[key].append(int(trial["success"]))
    found = []
    for (row, axis, strength), own in groups.items():
        low, high = wilson_interval(sum(own), len(own))
        found.append(
            {
                "row": row,
                "axis": axis,
                "strength": strength,
                "trials": len(own),
                "successes": sum(own),
                "rate": round(sum(own) / len(own), 4),
                "low": round(low, 4),
                "high": round(high, 4),
            }
        )
    return found


def rates(trials: Rows, half: int | None = None) -> dict[int, dict[str, float]]:
    """Number of a policy -> axis -> its success; nan for an axis that it has no trials of.

    Args:
        trials: As of `axis_rows`, one strength an axis.
        half: 0 or 1 for the even or the odd trials alone.
    """
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    for trial in trials:
        if half is None or int(trial["trial"]) % 2 == half:
            groups[int(trial["row"]), trial["axis"]].append(int(trial["success"]))
    known = sorted({row for row, _ in groups})
    return {
        row: {
            axis: float(np.mean(groups[row, axis])) if (row, axis) in groups else math.nan
            for axis in (UNSHIFTED, *AXES)
        }
        for row in known
    }


def mean_shifted(rate: Mapping[str, float], without: Sequence[str] = ()) -> float:
    """Mean success over axes; an axis without trials counts as unshifted.

    That of the cue has none where there is no cue: nothing can then be shuffled.

    >>> mean_shifted({"none": 0.9, "cue": float("nan"), **dict.fromkeys(AXES[1:], 0.5)})
    0.55

    Args:
        rate: Axis -> success.
        without: Axes that are left out.
    """
    axes = [axis for axis in AXES if axis not in without]
    own = [rate[UNSHIFTED] if math.isnan(rate[axis]) else rate[axis] for axis in axes]
    return float(np.mean(own))
