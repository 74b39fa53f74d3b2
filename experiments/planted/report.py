"""What trials and maps of the planted policies say: tables, intervals, and the figure's numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.planted.maps import METHODS
from experiments.planted.trials import CONDITIONS
from iss_jax.data.success import wilson_interval
from iss_jax.stats import correlation as stats
from iss_jax.stats.groups import auc, clustered_mean

Row = Mapping[str, Any]


def policies_of(rows: Sequence[Row]) -> list[tuple[float, int]]:
    """The policies, (rho, seed), in order."""
    return sorted({(row["rho"], row["seed"]) for row in rows})


def success(trials: Sequence[Row], confidence: float) -> list[dict[str, Any]]:
    """Success of each policy under each condition, with Wilson intervals."""
    out = []
    for rho, seed in policies_of(trials):
        for condition in CONDITIONS:
            own = [
                t["success"] for t in trials if _of(t, rho, seed) and t["condition"] == condition
            ]
            low, high = wilson_interval(sum(own), len(own), confidence)
            counts = {"trials": len(own), "successes": sum(own), "rate": sum(own) / len(own)}
            out.append(
                {
                    "rho": rho,
                    "seed": seed,
                    "condition": condition,
                    **counts,
                    "low": low,
                    "high": high,
                }
            )
    return out


def shares(frames: Sequence[Row], **settings: Any) -> list[dict[str, Any]]:
    """Means over each policy's frames, with intervals from resampled tasks.

    `panel_share` is the panel's part in what panel and instruction do to the actions; of each
    method its mass on the panel over the panel's area (1 by chance), the probability that a pixel
    of the panel outranks another (0.5 by chance), and its nmr.
    """
    out = []
    for rho, seed in policies_of(frames):
        own = [frame for frame in frames if _of(frame, rho, seed)]
        tasks = np.array([frame["task"] for frame in own])
        values = {"panel_share": panel_share(own)}
        for method in METHODS:
            values[f"{method}_mass"] = _column(own, f"{method}_mass") / _column(own, "area")
            for kind in ("rank", "nmr"):
                values[f"{method}_{kind}"] = _column(own, f"{method}_{kind}")
        for name, value in values.items():
            mean = clustered_mean(value, tasks, **settings)
            out.append({"rho": rho, "seed": seed, "measure": name, **mean._asdict()})
    return out


def panel_share(frames: Sequence[Row]) -> np.ndarray:
    """The panel's share of what changes of panel and instruction do to the actions, [n]."""
    panel, named = _column(frames, "panel_effect"), _column(frames, "instruction_effect")
    return panel / np.maximum(panel + named, np.finfo(float).tiny)


def areas(frames: Sequence[Row], **settings: Any) -> list[dict[str, Any]]:
    """Of each method, how well its scores on the panel tell shortcut-taking policies' frames.

    Positive are the frames of the policies of one rho above 0, negative those of rho 0. The row
    `panel_share` is what the intervention on the panel itself tells: the most to be expected.
    """
    out = []
    control = [frame for frame in frames if frame["rho"] == 0]
    for rho in sorted({frame["rho"] for frame in frames} - {0.0}):
        taken = [frame for frame in frames if frame["rho"] == rho]
        groups = [np.array([f["task"] for f in group]) for group in (taken, control)]
        scores = [f"{method}_{kind}" for method in METHODS for kind in ("rank", "mass", "top")]
        for name in ("panel_share", *scores):
            pair = [
                panel_share(group) if name == "panel_share" else _column(group, name)
                for group in (taken, control)
            ]
            area = auc(*pair, *groups, **settings)
            out.append({"rho": rho, "measure": name, **area._asdict()})
    return out


def tracking(frames: Sequence[Row], **settings: Any) -> list[dict[str, Any]]:
    """Of each method, the correlation over all frames of its `rank` with `panel_share`."""
    tasks = np.array([frame["task"] for frame in frames])
    truth = panel_share(frames)
    out = []
    for method in METHODS:
        found = stats.correlate(
            _column(frames, f"{method}_rank"),
            truth,
            clusters=tasks,
            kind="spearman",
            **settings,
        )
        low, high = found.bootstrap
        out.append(
            {"measure": method, "value": found.r, "low": low, "high": high, "p": found.p_value}
        )
    return out


def nmr_against_success(
    frames: Sequence[Row], successes: Sequence[Row], confidence: float
) -> list[dict[str, Any]]:
    """Of each method, the correlation over policies of nmr with success under a shuffled cue."""
    names = policies_of(frames)
    rates = {
        (row["rho"], row["seed"]): row["rate"]
        for row in successes
        if row["condition"] == "shuffled"
    }
    out = []
    for method in METHODS:
        x = [
            float(np.mean(_column([f for f in frames if _of(f, *name)], f"{method}_nmr")))
            for name in names
        ]
        if len(names) >= 3:
            y = np.array([rates[name] for name in names])
            found = stats.correlate(np.array(x), y, confidence=confidence)
            low, high = found.fisher
            numbers = {"r": found.r, "low": low, "high": high, "p": found.p_value}
            out.append({"measure": method, "policies": len(names), **numbers})
    return out


def report_lines(content: Mapping[str, Any]) -> list[str]:
    """The results in print."""
    lines = ["success, with Wilson intervals"]
    lines += [
        f"  rho {row['rho']:<4g} seed {row['seed']}  {row['condition']:<9}"
        f"{row['successes']:>4} of {row['trials']:<4}{row['rate']:.2f} {_interval(row)}"
        for row in content["success"]
    ]
    lines += ["", "mean over the frames (mass is over the panel's area; chance: mass 1, rank 0.5)"]
    policies = policies_of(content["shares"])
    means = {(row["measure"], row["rho"], row["seed"]): row for row in content["shares"]}
    names = dict.fromkeys(row["measure"] for row in content["shares"])
    lines.append(f"  {'':<20}" + "".join(f"rho {rho:<4g} seed {seed:<8}" for rho, seed in policies))
    for name in names:
        cells = [means[name, *policy] for policy in policies]
        text = "".join(f"{cell['value']:<6.3f}{_interval(cell):<15}" for cell in cells)
        lines.append(f"  {name:<20}{text}")
    lines += ["", "AUC against the frames of rho 0"]
    levels = sorted({row["rho"] for row in content["auc"]})
    found = {(row["measure"], row["rho"]): row for row in content["auc"]}
    lines.append(f"  {'':<20}" + "".join(f"rho {rho:<17g}" for rho in levels))
    for name in dict.fromkeys(row["measure"] for row in content["auc"]):
        cells = [found[name, rho] for rho in levels]
        text = "".join(f"{cell['value']:<6.3f}{_interval(cell):<15}" for cell in cells)
        lines.append(f"  {name:<20}{text}")
    for title, key, value in (
        (
            "Spearman, rank of the panel with its share of the effect, all frames",
            "tracking",
            "value",
        ),
        ("Pearson over policies, nmr with success under a shuffled cue", "nmr", "r"),
    ):
        lines += ["", title]
        for row in content[key]:
            number = f"{row[value]:<6.2f}{_interval(row):<15} p = {row['p']:.2g}"
            lines.append(f"  {row['measure']:<20}{number}")
    return lines


def _interval(row: Row) -> str:
    return f"[{row['low']:.2f}, {row['high']:.2f}]"


def _of(row: Row, rho: float, seed: int) -> bool:
    return row["rho"] == rho and row["seed"] == seed


def _column(rows: Sequence[Row], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows], np.float64)
