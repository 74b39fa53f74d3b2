"""Does what is measured beforehand foretell which policy generalises, and what will break it?"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Float

from experiments.zoo.shifts import AXES
from experiments.zoo.table import PREDICTORS, Zoo
from iss_jax.stats import correlation as stats
from iss_jax.stats.resampling import cluster_weights, expanded_interval

FEWEST = 6
"""Policies below which nothing is said: six resampled ones are the fewest that an interval has."""

TARGETS = ("all axes", "without the cue's", "within equal rho")
DIFFERENCE = 0.2
"""Of success: pairs of policies that differ by less are no choice worth making."""

Row = dict[str, Any]


def predictors(zoo: Zoo) -> list[str]:
    """Those that every policy has a value of."""
    return [
        name
        for name in PREDICTORS
        if name in zoo.measures and np.isfinite(zoo.measures[name]).all()
    ]


def require_enough(zoo: Zoo) -> None:
    """Says that there are too few policies to say anything.

    Raises:
        ValueError: There are.
    """
    if len(zoo.recipes) < FEWEST:
        raise ValueError(
            f"{len(zoo.recipes)} policies are measured and rolled out, {FEWEST} at least wanted"
        )


def correlations(zoo: Zoo, *, resamples: int, permutations: int, seed: int = 0) -> list[Row]:
    """Spearman's coefficient of every predictor with every target, a row each.

    Args:
        zoo: The policies.
        resamples: Of recipes, for the intervals.
        permutations: For the p-values.
        seed: Of both.
    """
    options = {
        "clusters": zoo.groups,
        "kind": "spearman",
        "resamples": resamples,
        "permutations": permutations,
        "seed": seed,
    }
    rho = np.array([one.rho for one in zoo.recipes])
    levels = np.unique(rho)
    dummies = (rho[:, None] == levels[None, 1:]).astype(float)
    rows = []
    for target in TARGETS:
        success = zoo.shifted(("cue",) if target == "without the cue's" else ())
        for name in predictors(zoo):
            x = zoo.measures[name]
            if target == "within equal rho":
                found = stats.partial_correlate(x, success, dummies, **options)
            else:
                found = stats.correlate(x, success, **options)
            rows.append(
                {
                    "predictor": name,
                    "target": target,
                    "r": _number(found.r),
                    "low": _number(found.bootstrap[0]),
                    "high": _number(found.bootstrap[1]),
                    "p": _number(found.p_value),
                }
            )
    return rows


def leads(zoo: Zoo, over: str = "validation_loss", *, resamples: int, seed: int = 0) -> list[Row]:
    """By how much each predictor is ahead of another one, in resamples that they share.

    A coefficient counts in the direction that was expected of it beforehand, so that a strong one
    of the wrong sign is far behind.

    Args:
        zoo: The policies.
        over: The predictor that is to be beaten.
        resamples: Of recipes.
        seed: Of them.
    """
    known = predictors(zoo)
    if over not in known:
        return []
    success = zoo.shifted()
    _, labels = np.unique(zoo.groups, return_inverse=True)
    count = int(labels.max()) + 1
    weights = cluster_weights(count, resamples, seed)[:, labels]

    def signed(name: str) -> tuple[float, np.ndarray]:
        x, sign = zoo.measures[name], PREDICTORS[name]
        draws = stats.weighted_coefficients(x, success, weights, kind="spearman")
        return sign * stats.coefficient(x, success, kind="spearman"), sign * draws

    base, base_draws = signed(over)
    rows = []
    for name in known:
        if name == over:
            continue
        own, draws = signed(name)
        low, high = expanded_interval(draws - base_draws, count, 0.95)
        rows.append(
            {
                "predictor": name,
                "over": over,
                "lead": _number(own - base),
                "low": _number(low),
                "high": _number(high),
            }
        )
    return rows


def picks(zoo: Zoo, *, resamples: int, seed: int = 0) -> list[Row]:
    """How often each predictor picks the better of two policies that differ by `DIFFERENCE`.

    Args:
        zoo: The policies.
        resamples: Of recipes, for the intervals.
        seed: Of them.
    """
    success = zoo.shifted()
    _, labels = np.unique(zoo.groups, return_inverse=True)
    count = int(labels.max()) + 1
    weights = cluster_weights(count, resamples, seed)[:, labels]
    rows = []
    for name in predictors(zoo):
        right, counts = pair_table(PREDICTORS[name] * zoo.measures[name], success)
        pairs = counts.sum()
        # How often each pair is in a resample: as often as both of its policies, together.
        taken = np.einsum("ri,rj,ij->r", weights, weights, counts)
        hits = np.einsum("ri,rj,ij->r", weights, weights, right)
        shares = np.divide(hits, taken, out=np.full(len(taken), math.nan), where=taken > 0)
        low, high = expanded_interval(shares, count, 0.95)
        share = right.sum() / pairs if pairs else math.nan
        rows.append(
            {
                "predictor": name,
                "picked": _number(share),
                "low": _number(low),
                "high": _number(min(high, 1.0)),
                "pairs": int(pairs),
            }
        )
    return rows


def pair_table(
    score: Float[np.ndarray, " n"], success: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]:
    """Pairs whose better policy a score picks, and all pairs that count.

    >>> right, all_pairs = pair_table(np.array([1.0, 2.0, 2.0]), np.array([0.1, 0.5, 0.9]))
    >>> float(right.sum()), float(all_pairs.sum())
    (2.5, 3.0)

    Args:
        score: Higher for what is thought better; equal scores pick by a coin.
        success: Of each policy.

    Returns:
        [i, j] above the diagonal: the share of right picks, and 1 where the pair counts.
    """
    gap = success[:, None] - success[None]
    counts = np.triu(np.abs(gap) >= DIFFERENCE - 1e-9, 1).astype(float)
    ahead = np.sign(score[:, None] - score[None]) * np.sign(gap)
    return counts * (ahead + 1) / 2, counts


def breaks(zoo: Zoo, *, resamples: int, permutations: int, seed: int = 0) -> list[Row]:
    """Of every axis, what it touches of a policy against what the policy loses, and all pooled.

    The ceiling is what a perfect forecast would reach, given how few trials there are: the root of
    the reliability of the losses, from even and odd trials (Spearman and Brown).

    Args:
        zoo: The policies.
        resamples: Of recipes.
        permutations: For the p-values.
        seed: Of both.
    """
    options = {
        "kind": "spearman",
        "resamples": resamples,
        "permutations": permutations,
        "seed": seed,
    }
    rows, pool = [], []
    for axis in AXES:
        touched, loss = zoo.touched(axis), zoo.loss(axis)
        halves = [zoo.loss(axis, half) for half in (0, 1)]
        known = np.isfinite(touched) & np.isfinite(loss) & np.isfinite(halves).all(0)
        if known.sum() < FEWEST:
            continue
        own = [touched[known], loss[known], halves[0][known], halves[1][known]]
        groups = zoo.groups[known]
        rows.append(_break(axis, own, groups, options))
        pool.append((*(_within(one) for one in own), groups))
    if pool:
        columns = [np.concatenate(column) for column in zip(*pool, strict=True)]
        rows.append(_break("all axes", columns[:4], columns[4], options))
    return rows


def _within(values: np.ndarray) -> np.ndarray:
    """Ranks within an axis, so that no axis is ahead of another in the pool."""
    return (scipy.stats.rankdata(values) - 0.5) / len(values)


def _break(
    name: str, columns: Sequence[np.ndarray], groups: np.ndarray, options: dict[str, Any]
) -> Row:
    touched, loss, even, odd = columns
    found = stats.correlate(touched, loss, clusters=groups, **options)
    limit = ceiling(even, odd)
    return {
        "axis": name,
        "loss": _number(float(np.mean(loss))) if name != "all axes" else math.nan,
        "r": _number(found.r),
        "low": _number(found.bootstrap[0]),
        "high": _number(found.bootstrap[1]),
        "p": _number(found.p_value),
        "ceiling": _number(limit),
        "policies": len(np.unique(groups)),
    }


def ceiling(even: Float[np.ndarray, " n"], odd: Float[np.ndarray, " n"]) -> float:
    """The largest correlation to be expected with what two halves measure; nan where they disagree.

    >>> ceiling(np.arange(9.0), np.arange(9.0))
    1.0

    Args:
        even: Of one half of the trials.
        odd: Of the other.
    """
    r = stats.coefficient(even, odd, kind="spearman")
    if math.isnan(r) or r <= 0:
        return math.nan
    return math.sqrt(2 * r / (1 + r))


def smallest_shown(policies: int, *, power: float = 0.8, level: float = 0.05) -> float:
    """The size of a rank correlation that so many policies show with this power.

    From Fisher's z, whose variance is 1.06 / (n - 3) for ranks (Fieller, Hartley and Pearson 1957).

    >>> round(smallest_shown(24), 2)
    0.56

    Args:
        policies: How many.
        power: How often it is to be shown.
        level: Of the two-sided test.
    """
    if policies <= 3:
        return math.nan
    tails = scipy.stats.norm.ppf(1 - level / 2) + scipy.stats.norm.ppf(power)
    return float(np.tanh(tails * np.sqrt(1.06 / (policies - 3))))


def summary(zoo: Zoo) -> Row:
    """How many policies there are, and what could be shown with them."""
    success = zoo.shifted()
    halves = zoo.shifted(half=0), zoo.shifted(half=1)
    known = np.isfinite(halves).all(0)
    limit = ceiling(halves[0][known], halves[1][known]) if known.sum() >= 3 else math.nan
    return {
        "policies": len(zoo.recipes),
        "mean_shifted": _number(float(success.mean())),
        "least": _number(float(success.min())),
        "most": _number(float(success.max())),
        "ceiling": _number(limit),
        "smallest_shown": _number(smallest_shown(len(zoo.recipes))),
    }


def _number(value: float) -> float:
    return round(float(value), 4)
