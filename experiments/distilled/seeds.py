"""What another training seed does: every method on each pair of policies alone."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.distilled.report import auc_of, mean_of, spearman_of, strong_rows, values_of, where

Rows = Sequence[dict[str, Any]]

COLUMNS = ("auc", "first", "spearman")


def by_seed(rows: Rows) -> list[dict[str, Any]]:
    """A row a cue, method and budget: means over training seeds, and how far seeds lie apart.

    The intervals of `report.summary` are of tasks, with the seeds that there are taken as given.
    What seeds add to that is here: each seed's policy of rho 1 against its policy of rho 0.

    Args:
        rows: Of `measured`, with `rho` and `seed`.

    Returns:
        `seeds`, how many have both policies; mean, standard deviation over seeds, least and most of
        `auc`, `first` (at rho 1, where the cue is strong) and `spearman`. nan where no seed says
        anything, and deviations of fewer than two seeds.
    """
    found = []
    for cue, method, budget in values_of(rows, "kind", "method", "budget"):
        own = where(rows, kind=cue, method=method, budget=budget)
        rhos: dict[int, set[float]] = {}
        for row in own:
            rhos.setdefault(row["seed"], set()).add(row["rho"])
        seeds = sorted(seed for seed, known in rhos.items() if {0.0, 1.0} <= known)
        each = [_of_one([r for r in own if r["seed"] == s]) for s in seeds]
        row: dict[str, Any] = {"cue": cue, "method": method, "budget": budget, "seeds": len(seeds)}
        for name in COLUMNS:
            row |= _spread(name, [one[name] for one in each])
        found.append(row)
    return found


def _of_one(rows: Rows) -> dict[str, float]:
    full, none = where(rows, rho=1.0), where(rows, rho=0.0)
    return {
        "auc": auc_of(full, none, "share").value,
        "first": mean_of(strong_rows(full), "first"),
        # Policies of other rho were taught with some seeds only.
        "spearman": spearman_of([*full, *none]),
    }


def _spread(name: str, values: Sequence[float]) -> dict[str, float]:
    known = np.array([value for value in values if not math.isnan(value)])
    if not len(known):
        return dict.fromkeys((name, f"{name}_sd", f"{name}_least", f"{name}_most"), math.nan)
    return {
        name: float(known.mean()),
        f"{name}_sd": float(known.std(ddof=1)) if len(known) > 1 else math.nan,
        f"{name}_least": float(known.min()),
        f"{name}_most": float(known.max()),
    }
