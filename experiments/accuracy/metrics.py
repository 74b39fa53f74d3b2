"""How close maps are to a converged one; for `estimator_accuracy`, which says what is compared."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import iss_jax
from experiments.accuracy.frames import Runs
from iss_jax import estimators, gradient_estimators
from iss_jax.masks import upsample
from iss_jax.stats.correlation import coefficient, mean_interval

METRICS = ("pearson", "spearman", "contrast_error", "overlap", "nmr_error")
BIAS = ("bias", "variance", "claimed", "claimed_contrast")


@dataclasses.dataclass(frozen=True)
class Reference:
    """A converged map and how good it is.

    Attributes:
        scores: `centred` on all masks, [views, rows, columns].
        contrast_stderr: standard error of its contrasts.
        reliability: share of the variance over cells that is not sampling noise.
        regions: labels of the frame.
    """

    scores: np.ndarray
    contrast_stderr: np.ndarray
    reliability: float
    regions: dict[str, jax.Array]

    @property
    def scale(self) -> float:
        """Highest correlation that a map can have with it; nan where it is all noise."""
        return float(np.sqrt(self.reliability)) if self.reliability > 0 else float("nan")


def reference_map(
    parts: Sequence[Runs], keep_prob: float, regions: dict[str, jax.Array]
) -> Reference:
    """`centred` on all parts together, and the agreement of its halves."""
    masks = jnp.concatenate([part.masks for part in parts])
    effects = jnp.concatenate([part.effects for part in parts])
    centred = functools.partial(estimators.estimate, keep_prob=keep_prob)
    half = len(masks) // 2
    halves = [
        np.asarray(centred(masks[rows], effects[rows]).scores).ravel()
        for rows in (slice(None, half), slice(half, None))
    ]
    agreement = coefficient(halves[0], halves[1])
    whole = centred(masks, effects)
    return Reference(
        np.asarray(whole.scores),
        np.asarray(whole.contrast_stderr),
        2 * agreement / (1 + agreement),
        regions,
    )


def agreement(
    maps: Sequence[estimators.Estimate], reference: Reference, percent: float
) -> dict[str, list[float]]:
    """Each metric of `compared` for every map, correlations over the reference's own."""
    values: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for one in maps:
        metrics = compared(np.asarray(one.scores), reference, percent)
        for metric in METRICS:
            corrected = reference.scale if metric in ("pearson", "spearman") else 1.0
            values[metric].append(metrics[metric] / corrected)
    return values


def about_frame(
    parts: Sequence[Runs], gradients: Sequence[Runs], reference: Reference, keep_prob: float
) -> dict[str, float]:
    """What makes a frame easy or hard, from all of its runs.

    Returns:
        `reliability` of the reference; `additive`, the share of the effects' variance that single
        cells make, the rest being their interactions; `tail`, the 90th percentile of the gradients'
        lengths over their median; and the correlations with the reference that `gradient` and
        `clipped` have of all gradient runs together, `all_gradient` and `all_clipped`.
    """
    effects = np.concatenate([np.asarray(part.effects, np.float64) for part in parts])
    slopes = reference.scores.astype(np.float64) - effects.mean()
    error = np.square(reference.contrast_stderr.astype(np.float64)).sum()
    share = (np.square(slopes).sum() - error) / keep_prob * (1.0 - keep_prob) / effects.var()
    of_gradients = [part.gradients for part in gradients if part.gradients is not None]
    slopes = jnp.concatenate(of_gradients)
    lengths = np.linalg.norm(np.asarray(slopes).reshape(len(slopes), -1), axis=1)
    about = {
        "reliability": reference.reliability,
        "additive": float(share),
        "tail": float(np.quantile(lengths, 0.9) / np.median(lengths)),
    }
    for name in gradient_estimators.ESTIMATORS:
        whole = gradient_estimators.estimate_from_gradients(
            jnp.concatenate([part.masks for part in gradients]),
            jnp.concatenate([part.effects for part in gradients]),
            slopes,
            estimator=name,
            keep_prob=keep_prob,
        )
        agreed = coefficient(np.ravel(whole.scores), reference.scores.ravel())
        about[f"all_{name}"] = float(agreed / reference.scale)
    return about


def compared(scores: np.ndarray, reference: Reference, percent: float) -> dict[str, float]:
    """How close a map [views, gh, gw] is to the reference; see the module."""
    a, b = scores.ravel().astype(np.float64), reference.scores.ravel().astype(np.float64)
    top = max(1, round(0.1 * len(a)))
    best = [set(np.argsort(-x, kind="stable")[:top].tolist()) for x in (a, b)]
    regions = tuple(reference.regions.values())
    nmr = [
        float(_nmr(jnp.asarray(x, jnp.float32), regions, percent))
        for x in (scores, reference.scores)
    ]
    deviation = (a - a.mean()) - (b - b.mean())
    return {
        "pearson": coefficient(a, b),
        "spearman": coefficient(a, b, kind="spearman"),
        "contrast_error": float(deviation.std() / b.std()),
        "overlap": len(best[0] & best[1]) / top,
        "nmr_error": abs(nmr[0] - nmr[1]),
    }


@functools.partial(jax.jit, static_argnames="percent")
def _nmr(scores: jax.Array, regions: tuple[jax.Array, ...], percent: float) -> jax.Array:
    maps = {
        str(view): upsample(scores[None, view], (labels.shape[1], labels.shape[2]))
        for view, labels in enumerate(regions)
    }
    labels = {str(view): labels for view, labels in enumerate(regions)}
    return iss_jax.nuisance_mass_ratio(maps, labels, k=percent)[0]


def bias_and_spread(found: Sequence[estimators.Estimate], reference: Reference) -> dict[str, float]:
    """Squared, in units of the reference's variance over cells; contrasts only.

    `claimed` alone is about whole scores, which hold the mean effect and its error as well. The
    bias may come out negative by chance, as what is subtracted from it is estimated.
    """
    scores = np.array([one.scores for one in found], np.float64).reshape(len(found), -1)
    scores -= scores.mean(1, keepdims=True)
    wanted = reference.scores.astype(np.float64).ravel()
    wanted -= wanted.mean()
    noise = float(np.square(reference.contrast_stderr).mean())
    unit = max(float(wanted.var()) - noise, 1e-30)
    variance = float(scores.var(0, ddof=1).mean())
    error = float(np.square(scores.mean(0) - wanted).mean())
    claimed = {
        name: float(np.square([np.asarray(error, np.float64) for error in errors]).mean()) / unit
        for name, errors in (
            ("claimed", [one.stderr for one in found]),
            ("claimed_contrast", [one.contrast_stderr for one in found]),
        )
    }
    return {
        "bias": (error - variance / len(found) - noise) / unit,
        "variance": variance / unit,
        **claimed,
    }


def summarise(
    found: Sequence[Mapping[str, Any]], prices: Mapping[str, float]
) -> list[dict[str, Any]]:
    """A row a candidate: cost, and each metric's mean over frames with its 95 % t-interval.

    Args:
        found: of every frame.
        prices: `flops` of a gradient run, and of scores that take other runs, by their name.
    """
    rows = []
    for number, first in enumerate(found[0]["candidates"]):
        each = [one["candidates"][number] for one in found]
        row = {k: first[k] for k in ("estimator", "design", "gradient_runs", "plain_runs")}
        runs = prices["flops"] * row["gradient_runs"] + row["plain_runs"]
        row["cost"] = round(runs + prices.get(row["estimator"], 0.0), 1)
        row["frames"] = len(each)
        for name in METRICS:
            values = np.array([np.nanmean(np.asarray(one[name], float)) for one in each])
            row[name] = float(values.mean())
            row[f"{name}_low"], row[f"{name}_high"] = mean_interval(values)
        rows.append(row)
    return sorted(rows, key=lambda row: (row["estimator"], row["design"], row["cost"]))


def summarise_bias(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a candidate: medians over frames of squared bias, variance, and claimed variance."""
    rows = []
    for number, first in enumerate(found[0]["bias"]):
        each = [one["bias"][number] for one in found]
        row = {k: first[k] for k in ("estimator", "design", "gradient_runs", "plain_runs")}
        for name in BIAS:
            row[name] = float(np.median([one[name] for one in each]))
        row["frames_below"] = sum(one["bias"] < one["variance"] for one in each)
        rows.append(row)
    return sorted(rows, key=lambda row: (row["estimator"], row["design"], row["gradient_runs"]))
