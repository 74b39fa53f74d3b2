"""Clusters resampled with replacement, or dealt to each other's places."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import scipy.stats

# Intervals of fewer clusters than this are not given: a few tasks on a line look like certainty.
FEWEST_CLUSTERS = 6


def effective_clusters(weights: np.ndarray) -> float:
    """How many equal clusters weigh as unequally as these do: (Σw)²/Σw² (Kish 1965).

    Args:
        weights: of each cluster what it adds, such as its number of rows; none is negative.
    """
    square = float(np.square(weights, dtype=np.float64).sum())
    return float(np.sum(weights)) ** 2 / square if square > 0 else 0.0


def too_few(labels: np.ndarray, effective: float | None = None) -> str:
    """Why clusters give no interval; nothing where there are enough of them.

    Args:
        labels: of each row its cluster, 0, 1, ...
        effective: see `effective_clusters`; of their rows when None.
    """
    sizes = np.bincount(labels)
    effective = effective_clusters(sizes) if effective is None else effective
    if sizes.size < FEWEST_CLUSTERS:
        return f"no interval: {sizes.size} clusters given, at least {FEWEST_CLUSTERS} wanted"
    if effective < FEWEST_CLUSTERS - 1e-9:
        return (
            f"no interval: {sizes.size} clusters weigh as unequally as {effective:.1f} equal ones, "
            f"at least {FEWEST_CLUSTERS} wanted"
        )
    return ""


def cluster_weights(count: int, resamples: int, seed: int) -> np.ndarray:
    """How often each resample holds each cluster, `[resamples, count]`."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples)


def expanded_interval(draws: np.ndarray, count: float, confidence: float) -> tuple[float, float]:
    """Interval from finite draws over resamples of `count` clusters; nan where no draw is finite.

    See `correlation.bootstrap_interval`.
    """
    draws = draws[np.isfinite(draws)]
    if not draws.size:
        return (math.nan, math.nan)
    tail = scipy.stats.t.ppf((1 - confidence) / 2, count - 1) * math.sqrt(count / (count - 1))
    level = scipy.stats.norm.cdf(tail)
    low, high = np.quantile(draws, [level, 1 - level])
    return (float(low), float(high))


def cluster_blocks(blocks: np.ndarray | None, labels: np.ndarray) -> tuple[int, ...]:
    """The block, 0, 1, ..., of each cluster; nothing where there is one block."""
    if blocks is None:
        return ()
    blocks = np.asarray(blocks)
    if blocks.shape != labels.shape:
        raise ValueError(f"blocks: shape {blocks.shape} given, {labels.shape} wanted")
    _, numbers = np.unique(blocks, return_inverse=True)
    _, first = np.unique(labels, return_index=True)
    of_cluster = numbers[first]
    if (of_cluster[labels] != numbers).any():
        raise ValueError("blocks: a cluster lies in several")
    return tuple(of_cluster.tolist())


@functools.lru_cache(maxsize=4)
def cluster_orders(
    labels: tuple[int, ...], permutations: int, seed: int, blocks: tuple[int, ...]
) -> tuple[int, np.ndarray]:
    """Permutations of rows that deal whole clusters to clusters of the same size and block.

    Every measure of an experiment asks for the same ones, so the last four lots are kept.

    Args:
        labels: of each row its cluster.
        permutations: as in `correlation.permutation_p_value`.
        seed: likewise.
        blocks: of each cluster; one block when empty.

    Returns:
        How many there are when all are enumerated, else 0; and the permutations, `[p, n]`.
    """
    sizes = np.bincount(labels)
    kinds = np.stack([sizes, np.array(blocks or (0,) * sizes.size)], axis=1)
    _, kind = np.unique(kinds, axis=0, return_inverse=True)
    groups = [np.flatnonzero(kind.ravel() == k) for k in range(int(kind.max()) + 1)]
    total = math.prod(math.factorial(group.size) for group in groups)
    exact = total <= permutations
    if exact:
        dealt = itertools.product(*map(itertools.permutations, groups))
    else:
        rng = np.random.default_rng(seed)
        dealt = ([rng.permutation(group) for group in groups] for _ in range(permutations))
    by_cluster = np.argsort(labels, kind="stable")
    rows = np.split(by_cluster.astype(np.int32), np.cumsum(sizes)[:-1])
    out = np.empty((total if exact else permutations, len(labels)), np.int32)
    for row, choice in zip(out, dealt, strict=True):
        order = _dealt(sizes.size, groups, choice)
        row[by_cluster] = np.concatenate([rows[cluster] for cluster in order])
    out.flags.writeable = False
    return (total if exact else 0), out


def _dealt(count: int, groups, choice) -> np.ndarray:
    order = np.empty(count, np.int64)
    for group, dealt in zip(groups, choice, strict=True):
        order[group] = dealt
    return order
