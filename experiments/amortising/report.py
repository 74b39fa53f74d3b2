"""Tables and the figure of `amortise`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from iss_jax.stats.correlation import coefficient, mean_interval

Rows = Sequence[Mapping[str, Any]]

GOOD = 0.5
"""A predicted map is called good where its correlation with the converged one is above this."""


def summarised(rows: Rows) -> list[dict[str, Any]]:
    """A row a method and number of runs: means over frames, and over those of each kind and half.

    Args:
        rows: Of all frames, with `cost`, `kind`, and `half`, `choice` or `test`: variants are
            chosen on the one and reported on the other.
    """
    found = []
    for method, sort, runs in dict.fromkeys((r["method"], r["sort"], r["runs"]) for r in rows):
        own = [r for r in rows if (r["method"], r["sort"], r["runs"]) == (method, sort, runs)]
        values = np.array([r["r"] for r in own])
        low, high = mean_interval(values) if len(values) > 1 else (np.nan, np.nan)
        row = {
            "method": method,
            "runs": runs,
            "sort": sort,
            "cost": own[0]["cost"],
            "frames": len(own),
            "r": float(values.mean()),
            "low": float(low),
            "high": float(high),
        }
        for name, column in (("kind", "new episode"), ("kind", "new task"), ("half", "choice")):
            row[column] = _mean([r["r"] for r in own if r[name] == column])
        test = np.array([r["r"] for r in own if r["half"] == "test"])
        row["test"] = _mean(test)
        row["test_low"], row["test_high"] = (
            mean_interval(test)
            if len(test) > 1
            else (
                np.nan,
                np.nan,
            )
        )
        found.append(row)
    return found


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def trusted(rows: Rows) -> list[dict[str, Any]]:
    """A row a check: how well it tells good predictions from bad ones.

    Returns:
        `spearman` of what it says with the head's correlation, and `auc`: the probability that it
        says more of a good prediction than of a bad one.
    """
    found = []
    for check, runs in dict.fromkeys((r["check"], r["runs"]) for r in rows):
        own = [r for r in rows if (r["check"], r["runs"]) == (check, runs)]
        said, truth = (np.array([r[name] for r in own]) for name in ("says", "r"))
        good, bad = said[truth > GOOD], said[truth <= GOOD]
        wins = (good[:, None] > bad[None]) + 0.5 * (good[:, None] == bad[None])
        several = len(own) > 2 and said.std() > 0 and truth.std() > 0
        found.append(
            {
                "check": check,
                "runs": runs,
                "frames": len(own),
                "good": len(good),
                "auc": float(wins.mean()) if wins.size else float("nan"),
                "spearman": float(coefficient(said, truth, kind="spearman"))
                if several
                else float("nan"),
            }
        )
    return found


def lines(content: Mapping[str, Any]) -> list[str]:
    """What the command prints."""
    cost = content["cost"]
    out = [
        "",
        f"the head: {cost['parameters']} numbers, {100 * cost['flops']:.1f} % of a pass by FLOPs, "
        f"{100 * cost['time']:.1f} % by the clock",
        f"taught on {content['samples']} samples; loss shown and left out, by epoch: "
        + ", ".join(f"{a:.3f}/{b:.3f}" for a, b in content["losses"]),
        f"r with the gradients of samples left out: {content['left_out']:.2f}",
        "",
        f"{'method':34}{'runs':>5}{'cost':>8}  r [95 %]             episodes  tasks  choice  test",
    ]
    out += [
        f"{r['method']:34}{r['runs']:5d}{r['cost']:8.2f}  {r['r']:5.2f} [{r['low']:.2f}, "
        f"{r['high']:.2f}]{r['new episode']:14.2f}{r['new task']:7.2f}{r['choice']:8.2f}"
        f"{r['test']:6.2f} [{r['test_low']:.2f}, {r['test_high']:.2f}]"
        for r in content["rows"]
    ]
    out += ["", f"{'when to distrust it':34}{'runs':>5}   AUC   Spearman"]
    out += [
        f"{r['check']:34}{r['runs']:5d}{r['auc']:6.2f}{r['spearman']:11.2f}"
        for r in content["checks"]
    ]
    return out


def figure(rows: Rows) -> Any:
    """Correlation with the converged map against cost."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(8, 4.5), layout="constrained")
    axes = drawn.subplots()
    axes.set_prop_cycle(color=[colormaps["tab20"](index) for index in range(20)])
    for number, method in enumerate(dict.fromkeys(r["method"] for r in rows)):
        own = sorted((r for r in rows if r["method"] == method), key=lambda r: r["cost"])
        axes.errorbar(
            [max(r["cost"], 0.01) for r in own],
            [r["r"] for r in own],
            yerr=[max(r["high"] - r["r"], 0.0) if r["high"] == r["high"] else 0.0 for r in own],
            label=method,
            marker="osv^D"[number % 5],
            markersize=4,
            linewidth=1,
        )
    axes.set(xlabel="cost, forward equivalents", ylabel="Pearson r with the converged map")
    axes.set(xscale="log", ylim=(-0.1, 1))
    drawn.legend(loc="outside right upper", fontsize=7)
    return drawn
