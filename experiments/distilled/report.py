"""What the rows of trained policies say: what their cues do, and which methods find them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from iss_jax.stats.correlation import coefficient
from iss_jax.stats.groups import Estimate, auc, clustered_mean

Rows = Sequence[dict[str, Any]]

STRONG = 0.5
"""A cue whose true effect exceeds this part of the instruction's is to come first."""


def policies(rows: Rows, *, resamples: int, confidence: float) -> list[dict[str, Any]]:
    """A row a policy: what other cues and other instructions do, with intervals by task."""
    found = []
    for cue, rho, seed in values_of(rows, "kind", "rho", "seed"):
        own = where(rows, kind=cue, rho=rho, seed=seed)
        # All methods' rows say the same of a frame.
        own = where(own, method=own[0]["method"], budget=own[0]["budget"])
        row: dict[str, Any] = {"cue": cue, "rho": rho, "seed": seed, "frames": len(own)}
        tasks = np.array([r["task"] for r in own])
        for name, values in (
            ("cue_effect", [r["true"] for r in own]),
            ("instruction_effect", [r["instruction"] for r in own]),
            ("cue_share", [_share(r) for r in own]),
        ):
            one = clustered_mean(
                np.array(values), tasks, resamples=resamples, confidence=confidence
            )
            row |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
        found.append(row)
    return found


def _share(row: dict[str, Any]) -> float:
    return row["true"] / (row["true"] + row["instruction"])


def summary(rows: Rows, *, resamples: int, confidence: float) -> list[dict[str, Any]]:
    """A row a cue, method and budget, training seeds pooled.

    Intervals resample tasks, with all policies' rows of a task: what another seed would give is in
    `experiments.distilled.seeds`.

    Returns:
        `auc` of the cue's share, rho 1 against rho 0, with `low` and `high` by resampled tasks;
        `rank_auc`, the same of its pixels' rank; `rank` and `first` at rho 1 (the latter where the
        true effect exceeds half the instruction's, of `strong` frames); `false_first` at rho 0;
        `spearman` of the cue's share with its true share over all policies and frames; `reason`,
        why what needs policies of both rho is empty: nan, where the rows have but one of them.
    """
    found = []
    for cue, method, budget in values_of(rows, "kind", "method", "budget"):
        own = where(rows, kind=cue, method=method, budget=budget)
        full, none = where(own, rho=1.0), where(own, rho=0.0)
        strong = strong_rows(full)
        settings = {"resamples": resamples, "confidence": confidence}
        area = auc_of(full, none, "share", **settings)
        found.append(
            {
                "cue": cue,
                "method": method,
                "budget": budget,
                "auc": area.value,
                "low": area.low,
                "high": area.high,
                "rank_auc": auc_of(full, none, "rank", **settings).value,
                "rank": mean_of(full, "rank"),
                "share": mean_of(full, "share"),
                "share_at_0": mean_of(none, "share"),
                "first": mean_of(strong, "first"),
                "strong": len(strong),
                "false_first": mean_of(none, "first"),
                "spearman": spearman_of(own),
                "reason": _reason(full, none),
            }
        )
    return found


def lines(content: dict[str, Any]) -> list[str]:
    """What the command prints."""
    out = ["", "what other cues and other instructions do (mean squared change of the actions)"]
    out += [
        f"  {r['cue']}, rho {r['rho']:g}, seed {r['seed']}: cue {r['cue_effect']:.3f}, instruction "
        f"{r['instruction_effect']:.3f}, the cue's share {r['cue_share']:.2f}"
        for r in content["policies"]
    ]
    out += ["", "AUC of the cue's share, rho 1 against 0; cue first at rho 1, at rho 0; Spearman"]
    out += [
        f"  {r['cue']:<10} {r['method'] + ', ' + str(r['budget']):<34} {r['auc']:.2f} "
        f"[{r['low']:.2f}, {r['high']:.2f}]   {r['first']:.2f}   {r['false_first']:.2f}   "
        f"{r['spearman']:.2f}{r['reason'] and '   ' + r['reason']}"
        for r in content["summary"]
    ]
    several = [r for r in content.get("seeds", ()) if r["seeds"] > 1]
    if several:
        out += [
            "",
            "over training seeds: AUC, its standard deviation, least and most; first; seeds",
        ]
    out += [
        f"  {r['cue']:<10} {r['method'] + ', ' + str(r['budget']):<34} {r['auc']:.2f} "
        f"± {r['auc_sd']:.2f} [{r['auc_least']:.2f}, {r['auc_most']:.2f}]   {r['first']:.2f} "
        f"± {r['first_sd']:.2f}   {r['seeds']}"
        for r in several
    ]
    return out


def _reason(full: Rows, none: Rows) -> str:
    missing = [rho for rho, own in (("0", none), ("1", full)) if not own]
    return f"no policy of rho {' and none of rho '.join(missing)}" if missing else ""


def auc_of(
    full: Rows, none: Rows, name: str, *, resamples: int = 1, confidence: float = 0.95
) -> Estimate:
    """Rows of rho 1 against those of rho 0 by one column, tasks resampled; nan without either.

    Args:
        full: Rows of rho 1.
        none: Rows of rho 0.
        name: The column.
        resamples: Of the interval.
        confidence: Of the interval.
    """
    if not full or not none:
        return Estimate(math.nan, math.nan, math.nan)
    return auc(
        np.array([r[name] for r in full]),
        np.array([r[name] for r in none]),
        np.array([r["task"] for r in full]),
        np.array([r["task"] for r in none]),
        resamples=resamples,
        confidence=confidence,
    )


def spearman_of(rows: Rows) -> float:
    """Rank correlation of the cue's share with its true share."""
    shares, true = (
        np.array(own) for own in zip(*((r["share"], _share(r)) for r in rows), strict=True)
    )
    return coefficient(shares, true, kind="spearman")


def strong_rows(rows: Rows) -> list[dict[str, Any]]:
    """Those whose cue does more than half of what another instruction does."""
    return [row for row in rows if row["true"] > STRONG * row["instruction"]]


def mean_of(rows: Rows, name: str) -> float:
    """Of one column; nan of no rows."""
    return float(np.mean([float(row[name]) for row in rows])) if rows else math.nan


def values_of(rows: Rows, *names: str) -> list[tuple[Any, ...]]:
    """What there is in some columns, each once, in order."""
    return list(dict.fromkeys(tuple(row[name] for name in names) for row in rows))


def where(rows: Rows, **wanted: Any) -> list[dict[str, Any]]:
    """The rows that have all these values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]
