"""Statistics of features: of an episode, and of a whole dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def feature_stats(value: np.ndarray, *, image: bool) -> dict[str, Any]:
    """Minimum, maximum, mean, standard deviation and count of one feature over an episode.

    Args:
        value: [T, ...]; uint8 [T, h, w, 3] for an image.
        image: whether it is one.

    Returns:
        The statistics as lists: [3, 1, 1] in [0, 1] for an image, the shape of one frame otherwise.
    """
    if image:
        # v2.1 samples frames too: max(100, T^0.75) of them.
        count = min(len(value), max(100, int(len(value) ** 0.75)))
        rows = np.round(np.linspace(0, len(value) - 1, count)).astype(int)
        # A histogram of the 256 values gives the exact moments at a fraction of the cost.
        weights = np.stack(
            [np.bincount(value[rows, ..., c].ravel(), minlength=256) for c in range(3)], axis=-1
        )
        levels = np.arange(256)[:, None] / 255
        mean = (weights * levels).sum(0) / weights.sum(0)
        stats = {
            "min": np.argmax(weights > 0, axis=0) / 255,
            "max": (255 - np.argmax(weights[::-1] > 0, axis=0)) / 255,
            "mean": mean,
            "std": np.sqrt((weights * np.square(levels - mean)).sum(0) / weights.sum(0)),
        }
        shape = (3, 1, 1)
    else:
        sample, count = np.asarray(value, np.float64), len(value)
        stats = {
            "min": sample.min(0),
            "max": sample.max(0),
            "mean": sample.mean(0),
            "std": sample.std(0),
        }
        shape = tuple(value.shape[1:]) or (1,)
    result = {key: np.asarray(entry).reshape(shape).tolist() for key, entry in stats.items()}
    return {**result, "count": [count]}


def aggregated(episodes: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The statistics of a whole dataset from those of its episodes (v3.0's `stats.json`).

    Args:
        episodes: what `feature_stats` gives of each feature, for each episode.

    Returns:
        The same per feature: exact moments of all that was counted.
    """
    found = {}
    for name in episodes[0]:
        parts = [entry[name] for entry in episodes]
        counts = np.array([part["count"][0] for part in parts], np.float64)
        mean, std = (np.array([part[key] for part in parts]) for key in ("mean", "std"))
        share = (counts / counts.sum()).reshape(-1, *(1,) * (mean.ndim - 1))
        center = (share * mean).sum(0)
        spread = np.sqrt((share * (np.square(std) + np.square(mean - center))).sum(0))
        found[name] = {
            "min": np.min([part["min"] for part in parts], axis=0).tolist(),
            "max": np.max([part["max"] for part in parts], axis=0).tolist(),
            "mean": center.tolist(),
            "std": spread.tolist(),
            "count": [int(counts.sum())],
        }
    return found
