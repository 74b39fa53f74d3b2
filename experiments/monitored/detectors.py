"""Detectors: from an episode's signals to a score an inference, fitted on tasks of their own."""

import itertools
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Float

from experiments.monitored.episodes import Watched
from iss_jax.monitoring.alarm import episode_maximum
from iss_jax.monitoring.novelty import fit_novelty
from iss_jax.monitoring.probe import fit_probe

Score = Callable[[Watched], Float[np.ndarray, " t"]]

ALONE = ("nuisance share", "NMR of the paper", "entropy", "novelty", "probe")
# Any of some signals, each at its part of the level.
ANY = {
    "share or entropy": ("nuisance share", "entropy"),
    "share or probe": ("nuisance share", "probe"),
    "any of the five": ALONE,
}
TOGETHER = (*ANY, "sum")
CONTROLS = ("clock", "dice")
RAW = {"nuisance share": "nuisance_share", "NMR of the paper": "nmr", "entropy": "entropy"}


def recent_mean(values: Float[np.ndarray, " t"], window: int) -> Float[np.ndarray, " t"]:
    """Mean of the last so many values that are known, at each inference; nan where none is.

    >>> recent_mean(np.array([1.0, 3.0, np.nan, 5.0]), 2).tolist()
    [1.0, 2.0, 3.0, 5.0]
    """
    known = np.isfinite(values)
    sums = np.cumsum(np.where(known, values, 0.0))
    counts = np.cumsum(known)
    before = np.maximum(np.arange(len(values)) - window, -1)
    total = sums - np.where(before >= 0, sums[before], 0.0)
    count = counts - np.where(before >= 0, counts[before], 0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def fitted(episodes: Sequence[Watched], window: int, seed: int) -> dict[str, Score]:
    """Every detector but the joined ones, fitted to some episodes.

    Novelty is taught by the successful ones alone; the probe by both kinds, each episode weighing
    alike. Every score is a mean over the last inferences, the clock's apart.

    Args:
        episodes: Of the tasks that are for fitting.
        window: Inferences that a score is a mean of.
        seed: Of the random network and of the dice.
    """
    good = [one for one in episodes if one.success]
    novelty = fit_novelty(
        np.concatenate([one.features["image"] for one in good]), key=jax.random.key(seed)
    )
    lengths = [one.length for one in episodes]
    probe = fit_probe(
        np.concatenate([one.features["hidden"] for one in episodes]),
        np.repeat([not one.success for one in episodes], lengths),
        np.repeat([1 / n for n in lengths], lengths),
        penalty=10.0,
    )

    def raw(name: str) -> Score:
        return lambda one: recent_mean(one.signals[name], window)

    def dice(one: Watched) -> Float[np.ndarray, " t"]:
        name = [ord(letter) for letter in f"{one.policy}{one.place}{one.panel}"]
        rng = np.random.default_rng([seed, one.trial, *name])
        return recent_mean(rng.random(one.length), window)

    found: dict[str, Score] = {name: raw(column) for name, column in RAW.items()}
    found["novelty"] = lambda one: recent_mean(novelty(one.features["image"]), window)
    found["probe"] = lambda one: recent_mean(probe(one.features["hidden"]), window)
    found["clock"] = lambda one: np.arange(float(one.length))
    found["dice"] = dice
    return found


def chosen_sum(
    scores: dict[str, Score], episodes: Sequence[Watched], horizon: int
) -> tuple[Score, tuple[str, ...]]:
    """The sum of those standardised signals that tells failures best on some tasks.

    Args:
        scores: Of the detectors that may be summed, by the names of `ALONE`; fitted to other tasks
            than those of the episodes, or those that were fitted would always be chosen.
        episodes: Of the tasks that choose.
        horizon: Inferences that count.

    Returns:
        The sum's score, and the names that are in it.
    """
    values = {name: [scores[name](one) for one in episodes] for name in ALONE}
    scale = {}
    for name, own in values.items():
        every = np.concatenate([v[:horizon] for v in own])
        every = every[np.isfinite(every)]
        scale[name] = (every.mean(), max(float(every.std()), 1e-9)) if every.size else (0.0, 1.0)
    z = {name: [(v - scale[name][0]) / scale[name][1] for v in own] for name, own in values.items()}
    failed = np.array([not one.success for one in episodes])
    best, names = -1.0, ALONE[:1]
    for size in range(1, len(ALONE) + 1):
        for some in itertools.combinations(ALONE, size):
            total = [np.sum([z[name][i] for name in some], axis=0) for i in range(len(episodes))]
            most = np.array([episode_maximum(t, horizon) for t in total])
            found = area(most[failed], most[~failed])
            # Of two that tell as well the smaller sum is taken.
            if found > best + 1e-9:
                best, names = found, some

    def score(one: Watched) -> Float[np.ndarray, " t"]:
        return np.sum([(scores[n](one) - scale[n][0]) / scale[n][1] for n in names], axis=0)

    return score, names


def area(failed: Float[np.ndarray, " f"], good: Float[np.ndarray, " s"]) -> float:
    """Probability that a failure's score is above a success's, ties counting half; nan without.

    >>> area(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    0.875
    """
    if not len(failed) or not len(good):
        return float("nan")
    above, same = failed[:, None] > good[None], failed[:, None] == good[None]
    return float(above.mean() + same.mean() / 2)
