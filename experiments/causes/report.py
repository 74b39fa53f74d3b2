"""What the rows of all frames say: tables by split, method and kind, with their intervals."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.stats

from experiments.causes.cues import KINDS
from iss_jax.stats.correlation import coefficient
from iss_jax.stats.groups import auc

Row = Mapping[str, Any]
Answers = Sequence[tuple[str, int]]

CLEAN = 0.1
"""Where other values of the cue move the policy of alpha 0 by more than this part of what they do
at alpha 1, the embedded policy reacts to the cue by itself: such a frame has no control."""

GOALS = {"auc": 0.95, "low": 0.9, "first": 0.9, "spearman": 0.9, "false_first": 0.05}
"""What the answer has to reach on held-out kinds; the last from below."""


def clean_frames(rows: Iterable[Row]) -> set[tuple[Any, ...]]:
    """The frames and kinds in which the cue is no cause at alpha 0, by the truth alone."""
    true: dict[tuple[Any, ...], dict[float, float]] = {}
    for row in rows:
        true.setdefault(_frame(row), {})[row["alpha"]] = row["true"]
    return {frame for frame, by_alpha in true.items() if by_alpha[0.0] <= CLEAN * by_alpha[1.0]}


def summary(
    rows: Sequence[Row], *, resamples: int, confidence: float = 0.95
) -> list[dict[str, Any]]:
    """A row a split, method, budget and kind.

    Args:
        rows: Of `tables.rows_of`, with their split.
        resamples: Of tasks.
        confidence: Of the intervals.

    Returns:
        `auc` of the cue's share, alpha 1 against 0, with `low` and `high` by resampled tasks;
        `rank_auc`, the same of its pixels' rank; `rank`, `first` and `held` at alpha 1, the last
        two over frames whose true effect exceeds half the instruction's; `false_first` at alpha 0;
        `spearman` of the effect with the true one over alpha and frames, `within` one alpha, and
        `ratio` to it; `decoys`, how much the share of the other cues grows with alpha; `left`, how
        much of the cue is still read. All over clean frames but `auc_all`.
    """
    clean = clean_frames(rows)
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = (row["split"], row["method"], row["budget"], row["kind"])
        groups.setdefault(key, []).append(row)
    out = []
    for (split, method, budget, kind), own in groups.items():
        good = [row for row in own if _frame(row) in clean and row["share"] is not None]
        answered = [row for row in own if row["share"] is not None]
        found = {"split": split, "method": method, "budget": budget, "kind": kind}
        found |= {"frames": len({_frame(r) for r in own}), "clean": len({_frame(r) for r in good})}
        if not good:
            found |= dict.fromkeys(_COLUMNS, math.nan)
            out.append(found)
            continue
        settings = {"resamples": resamples, "confidence": confidence}
        area = _auc(good, "share", **settings)
        strong = [r for r in good if r["alpha"] > 0 and r["true"] > 0.5 * r["instruction"]]
        full, none = _at(good, 1.0), _at(good, 0.0)
        found |= {
            "auc": area.value,
            "low": area.low,
            "high": area.high,
            "auc_all": _auc(answered, "share", **settings).value,
            "rank_auc": math.nan if kind == "tint" else _auc(good, "rank", **settings).value,
            "rank": _mean(full, "rank"),
            "first": _mean(strong, "first"),
            "held": _mean(strong, "held"),
            "first_dense": _mean(strong, "first_dense"),
            "false_dense": _mean(none, "first_dense"),
            "false_first": _mean(none, "first"),
            "spearman": _spearman(good),
            "within": _average([_spearman(_at(good, a)) for a in (0.25, 0.5, 0.75, 1.0)]),
            "ratio": float(np.median([r["effect"] / r["true"] for r in full])),
            "decoys": _mean(full, "decoys") - _mean(none, "decoys"),
            "left": _mean(full, "left"),
        }
        out.append(found)
    order = {kind: i for i, kind in enumerate(KINDS)}
    return sorted(out, key=lambda r: (r["split"], order[r["kind"]]))


_COLUMNS = (
    "auc",
    "low",
    "high",
    "auc_all",
    "rank_auc",
    "rank",
    "first",
    "held",
    "first_dense",
    "false_first",
    "false_dense",
    "spearman",
    "within",
    "ratio",
    "decoys",
    "left",
)


def goals(table: Sequence[Row], answers: Answers) -> list[dict[str, Any]]:
    """Of the answers, each goal and whether it is met, kind by kind.

    Args:
        table: Of `summary`.
        answers: Method and budget of each.
    """
    out = []
    for method, budget in answers:
        for row in table:
            if (row["method"], row["budget"]) != (method, budget):
                continue
            names = ("split", "method", "budget", "kind", "clean", *GOALS)
            met = [
                name
                for name, goal in GOALS.items()
                if (row[name] <= goal if name == "false_first" else row[name] >= goal)
            ]
            missed = ", ".join(name for name in GOALS if name not in met)
            out.append({**{name: row[name] for name in names}, "missed": missed})
    return out


def by_size(rows: Sequence[Row], answers: Answers) -> list[dict[str, Any]]:
    """Of the answers at alpha 1, each kind's small and large cues apart."""
    clean = clean_frames(rows)
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        answer = (row["method"], row["budget"]) in set(answers)
        if answer and row["alpha"] == 1.0 and row["share"] is not None and _frame(row) in clean:
            key = tuple(row[name] for name in ("split", "method", "budget", "kind", "size"))
            groups.setdefault(key, []).append(row)
    out = []
    for key, own in sorted(groups.items()):
        names = ("split", "method", "budget", "kind", "size")
        found: dict[str, Any] = dict(zip(names, key, strict=True))
        for name in ("area", "share", "first", "left"):
            found[name] = _mean(own, name)
        out.append(found | {"frames": len(own)})
    return out


def coverage(errors: Sequence[Row], *, confidence: float = 0.95) -> list[dict[str, Any]]:
    """How often the intervals of players' effects hold their values at many draws.

    Both the normal interval and Student's, with one degree of freedom less than there are draws;
    the reference's own error is added. Players that no draw moves are left out.

    Args:
        errors: Of `tables.error_rows`, with their split.
        confidence: Of the intervals.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in errors:
        if row["value"] > 0 and row["draws"] > 1:
            key = tuple(row[name] for name in ("split", "method", "budget", "draws"))
            groups.setdefault(key, []).append(row)
    out = []
    for key, own in sorted(groups.items()):
        names = ("split", "method", "budget", "draws")
        found: dict[str, Any] = dict(zip(names, key, strict=True))
        level = (1 + confidence) / 2
        reaches = {
            "normal": float(scipy.stats.norm.ppf(level)),
            "student": float(scipy.stats.t.ppf(level, found["draws"] - 1)),
        }
        for name, reach in reaches.items():
            hits = [
                abs(r["effect"] - r["value"]) <= reach * math.hypot(r["stderr"], r["value_stderr"])
                for r in own
            ]
            found[name] = float(np.mean(hits))
        out.append(found | {"intervals": len(own), "tasks": len({r["task"] for r in own})})
    return out


def report_lines(table: Sequence[Row], content: Mapping[str, Any]) -> list[str]:
    """What the command prints."""
    lines = []
    for split in dict.fromkeys(row["split"] for row in table):
        own = [row for row in table if row["split"] == split]
        kinds = list(dict.fromkeys(row["kind"] for row in own))
        lines += ["", f"{split}: AUC of the cue's share, alpha 1 against 0 (cue first)"]
        lines.append(" " * 52 + "".join(f"{kind:<17}" for kind in kinds))
        cells = {(r["method"], r["budget"], r["kind"]): r for r in own}
        methods = sorted({(r["method"], r["budget"]) for r in own}, key=_by_method)
        for method, budget in methods:
            text = ""
            for kind in kinds:
                row = cells.get((method, budget, kind))
                text += (
                    "-".ljust(17)
                    if row is None or math.isnan(row["auc"])
                    else f"{row['auc']:.2f} ({row['first']:.2f})     "
                )
            lines.append(f"{method + f', {budget} runs':<52}{text}")
    lines += ["", "goals of the answers"]
    for row in content["goals"]:
        values = ", ".join(f"{name} {row[name]:.2f}" for name in GOALS)
        missed = row["missed"] or "nothing"
        lines.append(f"{row['split']}, {row['method']}, {row['kind']}: {values}; missed: {missed}")
    lines += ["", "Spearman over methods of metrics of faithfulness with the AUC"]
    lines += [
        f"{row['kind']}: "
        + ", ".join(f"{n} {v:.2f}" for n, v in row.items() if isinstance(v, float))
        for row in content["metrics"]
    ]
    lines += ["", "coverage of 95 % intervals"]
    for row in content["coverage"]:
        lines.append(
            f"{row['split']}, {row['method']}, {row['draws']} draws: normal {row['normal']:.3f}, "
            f"Student {row['student']:.3f} of {row['intervals']}"
        )
    return lines


def _by_method(pair: tuple[str, int]) -> tuple[int, str, int]:
    return (int(not pair[0].startswith(("ISS", "RISE", "random"))), *pair)


def _frame(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("split", "kind", "task", "episode", "frame"))


def _at(rows: Iterable[Row], alpha: float) -> list[Row]:
    return [row for row in rows if row["alpha"] == alpha]


def _auc(rows: Sequence[Row], name: str, **settings: Any) -> Any:
    full, none = _at(rows, 1.0), _at(rows, 0.0)
    return auc(
        np.array([row[name] for row in full]),
        np.array([row[name] for row in none]),
        np.array([row["task"] for row in full]),
        np.array([row["task"] for row in none]),
        **settings,
    )


def _mean(rows: Sequence[Row], name: str) -> float:
    values = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(values)) if values else math.nan


def _average(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _spearman(rows: Sequence[Row]) -> float:
    found = np.array([row["effect"] for row in rows], float)
    true = np.array([row["true"] for row in rows], float)
    return coefficient(found, true, kind="spearman") if len(rows) > 2 else math.nan
