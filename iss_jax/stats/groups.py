"""How well a score tells two groups of rows apart, with intervals from resampled clusters."""

import math
from typing import NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Float, Shaped

from iss_jax.stats.resampling import (
    cluster_weights,
    effective_clusters,
    expanded_interval,
    too_few,
)

__all__ = [
    "Estimate",
    "auc",
    "clustered_mean",
]


class Estimate(NamedTuple):
    """A number and its interval.

    >>> from iss_jax.stats.groups import Estimate
    >>> Estimate(value=0.7, low=0.6, high=0.8).low
    0.6

    Attributes:
        value: the estimate.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float


def clustered_mean(
    x: Float[np.ndarray, " n"],
    clusters: Shaped[np.ndarray, " n"],
    *,
    confidence: float = 0.95,
    resamples: int = 4999,
    seed: int = 0,
) -> Estimate:
    """Mean over rows, with the interval of `iss_jax.stats.correlation.bootstrap_interval`.

    >>> import numpy as np
    >>> from iss_jax.stats.groups import clustered_mean
    >>> found = clustered_mean(np.arange(12.0), np.repeat(np.arange(6), 2), resamples=99)
    >>> found.value, found.low < 5.5 < found.high
    (5.5, True)

    Args:
        x: one value a row, finite.
        clusters: the cluster of each row.
        confidence: level of the interval.
        resamples: bootstrap resamples of whole clusters.
        seed: of the resampling.

    Returns:
        The mean; the interval is nan with fewer than six clusters, or with clusters that weigh as
        unequally as fewer than six equal ones.

    Raises:
        ValueError: no rows, a value that is not finite, or not a cluster for each row.
    """
    x = np.asarray(x, np.float64)
    labels, count = _labels([(x, clusters)])
    value = float(x.mean())
    if too_few(labels[0]):
        return Estimate(value, math.nan, math.nan)
    weights = cluster_weights(count, resamples, seed)[:, labels[0]]
    draws = weights @ x / np.maximum(weights.sum(1), 1)
    effective = effective_clusters(np.bincount(labels[0]))
    return Estimate(value, *expanded_interval(draws, effective, confidence))


def auc(
    positive: Float[np.ndarray, " p"],
    negative: Float[np.ndarray, " q"],
    positive_clusters: Shaped[np.ndarray, " p"],
    negative_clusters: Shaped[np.ndarray, " q"],
    *,
    confidence: float = 0.95,
    resamples: int = 4999,
    seed: int = 0,
) -> Estimate:
    """Probability that a positive row scores higher than a negative one, ties counting half.

    The area under the ROC curve, Mann and Whitney's U over p·q. Clusters with the same name in both
    groups are resampled together, since the rows of a task stand in both.

    Args:
        positive: scores of the rows to be found, finite.
        negative: scores of the others.
        positive_clusters: the cluster of each positive row.
        negative_clusters: the cluster of each negative row.
        confidence: level of the interval.
        resamples: bootstrap resamples of whole clusters.
        seed: of the resampling.

    Returns:
        The area; the interval, as in `iss_jax.stats.correlation.bootstrap_interval`, is nan with
        fewer than six clusters, or with clusters that weigh as unequally.

    Raises:
        ValueError: as for `clustered_mean`, of either group.

    >>> import numpy as np
    >>> ids = np.arange(3)
    >>> auc(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0]), ids, ids).value
    0.7777777777777778
    """
    p, q = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    labels, count = _labels([(p, positive_clusters), (q, negative_clusters)])
    statistic = scipy.stats.mannwhitneyu(p, q).statistic
    value = float(statistic / (p.size * q.size))
    every = np.concatenate(labels)
    if too_few(every):
        return Estimate(value, math.nan, math.nan)
    won = (p[:, None] > q[None]) + 0.5 * (p[:, None] == q[None])
    weights = cluster_weights(count, resamples, seed).astype(np.float64)
    wp, wq = weights[:, labels[0]], weights[:, labels[1]]
    pairs = wp.sum(1) * wq.sum(1)
    draws = np.where(pairs > 0, ((wp @ won) * wq).sum(1) / np.maximum(pairs, 1), np.nan)
    effective = effective_clusters(np.bincount(every))
    return Estimate(value, *expanded_interval(draws, effective, confidence))


def _labels(groups: list[tuple[np.ndarray, np.ndarray]]) -> tuple[list[np.ndarray], int]:
    """Clusters numbered over all groups, and how many there are."""
    for x, clusters in groups:
        if x.ndim != 1 or not x.size or len(clusters) != x.size or not np.isfinite(x).all():
            raise ValueError(
                f"scores: shape {x.shape} with {len(clusters)} clusters given, finite [n] and one "
                "cluster a row wanted"
            )
    names, numbers = np.unique(np.concatenate([c for _, c in groups]), return_inverse=True)
    ends = np.cumsum([len(c) for _, c in groups])[:-1]
    return list(np.split(numbers, ends)), len(names)
