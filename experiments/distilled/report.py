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
    for cue, rho, seed in _values(rows, "kind", "rho", "seed"):
        own = _where(rows, kind=cue, rho=rho, seed=seed)
        # All methods' rows say the same of a frame.
        own = _where(own, method=own[0]["method"], budget=own[0]["budget"])
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
    """A row a cue, method and budget.

    Returns:
        `auc` of the cue's share, rho 1 against rho 0, with `low` and `high` by resampled tasks;
        `rank_auc`, the same of its pixels' rank; `rank` and `first` at rho 1 (the latter where the
        true effect exceeds half the instruction's, of `strong` frames); `false_first` at rho 0;
        `spearman` of the cue's share with its true share over all policies and frames; `reason`,
        why what needs policies of both rho is empty: nan, where the rows have but one of them.
    """
    found = []
    for cue, method, budget in _values(rows, "kind", "method", "budget"):
        own = _where(rows, kind=cue, method=method, budget=budget)
        full, none = _where(own, rho=1.0), _where(own, rho=0.0)
        strong = [r for r in full if r["true"] > STRONG * r["instruction"]]
        area = _auc(full, none, "share", resamples, confidence)
        found.append(
            {
                "cue": cue,
                "method": method,
                "budget": budget,
                "auc": area.value,
                "low": area.low,
                "high": area.high,
                "rank_auc": _auc(full, none, "rank", resamples, confidence).value,
                "rank": _mean(full, "rank"),
                "share": _mean(full, "share"),
                "share_at_0": _mean(none, "share"),
                "first": _mean(strong, "first"),
                "strong": len(strong),
                "false_first": _mean(none, "first"),
                "spearman": coefficient(
                    np.array([r["share"] for r in own]),
                    np.array([_share(r) for r in own]),
                    kind="spearman",
                ),
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
    return out


def _reason(full: Rows, none: Rows) -> str:
    missing = [rho for rho, own in (("0", none), ("1", full)) if not own]
    return f"no policy of rho {' and none of rho '.join(missing)}" if missing else ""


def _auc(full: Rows, none: Rows, name: str, resamples: int, confidence: float) -> Estimate:
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


def _mean(rows: Rows, name: str) -> float:
    return float(np.mean([float(row[name]) for row in rows])) if rows else math.nan


def _values(rows: Rows, *names: str) -> list[tuple[Any, ...]]:
    return list(dict.fromkeys(tuple(row[name] for name in names) for row in rows))


def _where(rows: Rows, **wanted: Any) -> list[dict[str, Any]]:
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]
