"""From measured frames to the table, the correlations and the random-explanation control."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from iss_jax.against_success.effects import effect_rows
from iss_jax.against_success.units import by_unit, given, reasons_of, unit_of
from iss_jax.data.success import ALL_SPLITS, Success
from iss_jax.stats import correlation as stats
from iss_jax.stats.correlation import fisher_interval
from iss_jax.stats.exact import rank_correlation
from iss_jax.stats.resampling import FEWEST_CLUSTERS
from iss_jax.stats.units import Variation, variation

Key = tuple[str, str, str, int]  # suite, task, split, seed


class Row(NamedTuple):
    """One task under one seed.

    Attributes:
        success: its row of the success table.
        episodes: episodes measured.
        frames: frames measured.
        measures: name to the mean over those frames.
        random: [D, K], nmr@k of each random explanation, a mean over those frames too.
        errors: name to the standard error of a measure, of those that have one.
    """

    success: Success
    episodes: int
    frames: int
    measures: dict[str, float]
    random: np.ndarray
    errors: Mapping[str, float] = MappingProxyType({})


def join_success(
    rows: Iterable[Success], policy_seed: int, *, by_split: bool = True
) -> dict[Key, Success]:
    """The success of one policy, by suite, task, split and seed.

    Args:
        rows: a success table.
        policy_seed: the policy.
        by_split: False adds up the trials of all splits, as split `all`.
    """
    found: dict[Key, Success] = {}
    for row in rows:
        if row.policy_seed == policy_seed:
            row = row if by_split else row._replace(split=ALL_SPLITS)
            key = (row.suite, row.task, row.split, row.seed)
            if key in found:
                row = row._replace(
                    trials=row.trials + found[key].trials,
                    successes=row.successes + found[key].successes,
                )
            found[key] = row
    return found


def make_rows(
    items: Sequence[Mapping[str, Any]],
    results: Sequence[Mapping[str, Any]],
    success: Mapping[Key, Success],
    percents: Sequence[float],
) -> list[Row]:
    """A row per suite, task, split and seed, in the order in which the items name them.

    Frames weigh equally, whatever episode they are of: Eq. 10 is a mean over observations. A frame
    without any saliency has no critical set by mass and is left out of those means.
    """
    groups: dict[Key, list[Mapping[str, Any]]] = {}
    for item, result in zip(items, results, strict=True):
        key = (item["suite"], item["task"], item["split"], item["seed"])
        groups.setdefault(key, []).append(result)
    rows = []
    for key, group in groups.items():
        frames = {
            name: np.concatenate([np.asarray(r[name], np.float64) for r in group])
            for name in (
                *("nmr", "nmr_mass", "mass_ratio", "chance", "random_nmr"),
                *("attention_nmr", "norm_nmr"),
            )
        }
        views = {
            view: np.concatenate([np.asarray(r["view_nmr"][view], np.float64) for r in group])
            for view in group[0]["view_nmr"]
        }
        mean = {name: _mean(value) for name, value in frames.items()}
        by_effect, errors = effect_rows(group)
        measures = dict(by_effect)
        measures |= {nmr_name(k): mean["nmr"][i] for i, k in enumerate(percents)}
        measures |= {f"nmr_mass@{k:g}": mean["nmr_mass"][i] for i, k in enumerate(percents)}
        for method in ("attention", "norm"):
            found = mean[f"{method}_nmr"]
            measures |= {f"{method}_nmr@{k:g}": found[i] for i, k in enumerate(percents)}
        for view, values in views.items():
            found = _mean(values)
            measures |= {f"nmr@{k:g} in {view}": found[i] for i, k in enumerate(percents)}
        measures |= {"mass_ratio": mean["mass_ratio"], "chance": mean["chance"]}
        measures |= {
            f"excess@{k:g}": mean["nmr"][i] - mean["chance"] for i, k in enumerate(percents)
        }
        rows.append(
            Row(
                success=success[key],
                episodes=len(group),
                frames=len(frames["chance"]),
                measures={name: float(value) for name, value in measures.items()},
                random=mean["random_nmr"],
                errors=errors,
            )
        )
    return rows


def table(rows: Sequence[Row], percents: Sequence[float]) -> list[dict[str, Any]]:
    """The rows as `results.csv` holds them; `reason` says why a value is nan."""
    return [
        {
            **row.success._asdict(),
            "success_rate": row.success.rate,
            "episodes": row.episodes,
            "frames": row.frames,
            **row.measures,
            **{f"{name}_stderr": error for name, error in row.errors.items()},
            **{f"random_nmr@{k:g}": row.random[:, i].mean() for i, k in enumerate(percents)},
            "reason": reasons_of(row.measures),
        }
        for row in rows
    ]


def correlations(
    rows: Sequence[Row],
    percents: Sequence[float],
    *,
    confidence: float,
    resamples: int,
    permutations: int,
) -> list[dict[str, Any]]:
    """Pearson and Spearman correlation of every measure with success, by the unit of success.

    The unit that intervals resample and tests deal is the suite where success varies between
    suites, and else the task: see `iss_jax.stats.units.variation`.

    Beside each stand its partial correlations, given the nuisance area and the split (`partial`)
    and, of several suites, given the area and the suite (`within_suites`, permuted inside suites):
    whether it tells the tasks of a suite apart. The area is that of all views.

    For nmr@k by count the same coefficient under each random explanation stands beside it: its mean
    and central 95 % over the draws, and the share of the draws that are at most the observed one.

    Args:
        rows: the episodes.
        percents: the values of k.
        confidence: level of the intervals.
        resamples: bootstrap resamples.
        permutations: random permutations.

    Returns:
        An entry a measure and kind, with the `reason` where a number of it is nan; none of fewer
        than three rows.
    """
    if len(rows) < 3:
        return []
    # Blocks of rows are dealt from task to task, so they have to be in the same order in each.
    rows = sorted(rows, key=lambda row: (row.success.split, row.success.seed))
    rates, tasks, suites = _groups(rows)
    unit = unit_of(variation(rates, tasks, suites))
    covariates = {"partial": _covariates(rows, "split")}
    if len(set(suites)) > 1:
        covariates["within_suites"] = _covariates(rows, "suite")
    settings: dict[str, Any] = {
        "unit": unit,
        "confidence": confidence,
        "resamples": resamples,
        "permutations": permutations,
    }
    found = []
    for name in rows[0].measures:
        x = np.array([row.measures.get(name, np.nan) for row in rows])
        there = np.isfinite(x)
        for kind in ("pearson", "spearman"):
            entry = by_unit(
                x[there], rates[there], tasks[there], suites[there], kind=kind, **settings
            )
            found.append({"measure": name, **entry})
            if name != "chance" and not name.startswith("excess"):
                for label, (names, columns) in covariates.items():
                    both = there & np.isfinite(columns).all(1)
                    partial = given(
                        x[both],
                        rates[both],
                        columns[both],
                        tasks[both],
                        suites[both],
                        inside=label == "within_suites",
                        kind=kind,
                        **settings,
                    )
                    found[-1][label] = {"given": names, **partial}
            for i, k in enumerate(percents):
                if name == nmr_name(k):
                    found[-1]["random"] = _random(rows, rates, i, kind, entry["r"])
    return found


def _groups(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each row its success, its task and its suite."""
    rates = np.array([row.success.rate for row in rows])
    suites = np.array([row.success.suite for row in rows])
    return rates, np.array(task_names(rows)), suites


def success_variation(rows: Sequence[Row]) -> dict[str, Any]:
    """Where success varies: shares of its sum of squares over the rows.

    Returns:
        `between_suites`, the share that lies between the means of suites; `within_suites`, each
        suite's share of the rest. Nothing where success does not vary, in all or inside suites.
    """
    rates, _, suites = _groups(rows)
    square = lambda values: float(np.square(values - values.mean()).sum())  # noqa: E731
    inside = {suite: square(rates[suites == suite]) for suite in sorted(set(suites.tolist()))}
    total, within = square(rates), sum(inside.values())
    # Equal rates have a sum of squares of rounding.
    none = 1e-12 * len(rates)
    found: dict[str, Any] = {"between_suites": 1 - within / total} if total > none else {}
    if within > none:
        found["within_suites"] = {suite: part / within for suite, part in inside.items()}
    return found


def unit_of_success(rows: Sequence[Row]) -> dict[str, Any]:
    """The unit of intervals and tests, and what decides it.

    Returns:
        `unit`, `suite` or `task`; the shares of `iss_jax.stats.units.variation`.
    """
    found: Variation = variation(*_groups(rows))
    return {"unit": unit_of(found), **found._asdict()}


def by_suite(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rank correlation of the suites' means of every measure with their mean success.

    Success varies between suites far more than inside them, so that a suite is the unit.

    Returns:
        An entry a measure, with Fisher's interval from six suites on and the `reason` where there
        is none; none of fewer than three suites.
    """
    suites = np.array([row.success.suite for row in rows])
    names = list(dict.fromkeys(suites.tolist()))
    if len(names) < 3:
        return []
    rates = np.array([row.success.rate for row in rows])
    success = [float(rates[suites == suite].mean()) for suite in names]
    found = []
    for measure in rows[0].measures:
        values = np.array([row.measures.get(measure, np.nan) for row in rows])
        parts = [values[suites == suite] for suite in names]
        means = [
            float(np.mean(part[np.isfinite(part)])) if _any(part) else np.nan for part in parts
        ]
        found.append({"measure": measure, **_of_suites(names, means, success)})
    return found


def _of_suites(
    names: Sequence[str], means: Sequence[float], success: Sequence[float]
) -> dict[str, Any]:
    """Rank correlation of suites' means, with the reason where a number is nan."""
    nan = float("nan")
    absent = [name for name, value in zip(names, means, strict=True) if not np.isfinite(value)]
    if absent:
        entry = {"r": nan, "n": len(names) - len(absent), "p_value": nan, "orders": 0}
        entry |= {"exact": False, "low": nan, "high": nan}
        entry["reason"] = f"no correlation: no row of {', '.join(absent)} has a value"
    else:
        entry = rank_correlation(means, success)._asdict()
        enough = len(names) >= FEWEST_CLUSTERS
        r = entry["r"] if enough else nan
        low, high = fisher_interval(r, len(names), kind="spearman")
        entry |= {"low": low, "high": high, "reason": ""}
        if np.isnan(entry["r"]):
            which = "the measure" if np.ptp(means) == 0 else "success"
            entry["reason"] = f"no correlation: {which} does not vary between suites"
        elif not enough:
            entry["reason"] = (
                f"no interval: {len(names)} suites given, at least {FEWEST_CLUSTERS} wanted"
            )
    return {**entry, "means": dict(zip(names, means, strict=True))}


def _any(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).any())


def _covariates(rows: Sequence[Row], group: str) -> tuple[list[str], np.ndarray]:
    """The nuisance area and, where there are several groups, which one a row is of."""
    names, columns = ["chance"], [[row.measures["chance"] for row in rows]]
    groups = [getattr(row.success, group) for row in rows]
    for value in sorted(set(groups))[1:]:
        names.append(f"{group} is {value}")
        columns.append([float(one == value) for one in groups])
    return names, np.array(columns).T


def task_names(rows: Sequence[Row]) -> list[str]:
    """The task of each row, with its suite when there are several."""
    several = len({row.success.suite for row in rows}) > 1
    return [
        f"{row.success.suite}/{row.success.task}" if several else row.success.task for row in rows
    ]


def nmr_name(percent: float) -> str:
    """The paper's name of the measure, `nmr@10`."""
    return f"nmr@{percent:g}"


def _random(rows: Sequence[Row], rates: np.ndarray, index: int, kind: Any, r: float) -> dict:
    draws = np.stack([row.random[:, index] for row in rows], axis=1)
    values = np.array([stats.coefficient(draw, rates, kind=kind) for draw in draws])
    values = values[np.isfinite(values)]
    if not values.size or np.isnan(r):
        return {
            "draws": int(values.size),
            "reason": "random explanations or the measure do not vary",
        }
    low, high = np.quantile(values, [0.025, 0.975])
    share = float(np.mean(values <= r))
    return {"draws": values.size, "mean": values.mean(), "low": low, "high": high, "at_most": share}


def _mean(values: np.ndarray) -> np.ndarray:
    there = np.isfinite(values)
    count = there.sum(0)
    total = np.where(there, values, 0.0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
