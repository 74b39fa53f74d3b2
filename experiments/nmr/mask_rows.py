"""From the frames' values under wrong masks to what a row of the table says."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from iss_jax.against_success.units import by_unit, suites_of, unit_of
from iss_jax.stats import correlation as stats
from iss_jax.stats.groups import clustered_mean
from iss_jax.stats.units import variation

# Of suites, where they are the unit of success.
PERMUTATIONS = 999


@dataclasses.dataclass(frozen=True)
class FrameValues:
    """What each of n frames has under some masks.

    Attributes:
        nmr: [n], nmr@k of ISS.
        chance: [n], nuisance share of the area.
        random: [draws, n], nmr@k of random explanations.
        overlap: [n], intersection over union of the relevant regions with the right ones.
    """

    nmr: np.ndarray
    chance: np.ndarray
    random: np.ndarray
    overlap: np.ndarray

    @property
    def excess(self) -> np.ndarray:
        """Nmr less the nuisance share, [n]."""
        return self.nmr - self.chance


class Groups(Protocol):
    """Where frames are from; see `mask_sensitivity.Frames`."""

    @property
    def task(self) -> np.ndarray: ...
    @property
    def row(self) -> np.ndarray: ...
    @property
    def success(self) -> np.ndarray: ...


def summary(
    clean: FrameValues, found: FrameValues, frames: Groups, **settings: Any
) -> dict[str, float]:
    """One row: means with intervals, rank correlations, correlation with success.

    Args:
        clean: under the right masks.
        found: under the wrong ones.
        frames: where the frames are from.
        settings: confidence and resamples.
    """
    row: dict[str, float] = {"overlap": float(found.overlap.mean())}
    for name, value in (
        ("nmr", found.nmr),
        ("nmr_change", found.nmr - clean.nmr),
        ("excess", found.excess),
        ("excess_change", found.excess - clean.excess),
        ("random_excess", found.random.mean(0) - found.chance),
    ):
        mean = clustered_mean(value, frames.task, **settings)
        row |= {name: mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}
    row["chance"] = float(found.chance.mean())
    pairs = {"rank": (clean.nmr, found.nmr), "excess_rank": (clean.excess, found.excess)}
    for name, (right, wrong) in pairs.items():
        low, high = stats.bootstrap_interval(
            right, wrong, clusters=frames.task, kind="spearman", **settings
        )
        row |= {f"{name}_frames": _spearman(right, wrong)}
        row |= {f"{name}_frames_low": low, f"{name}_frames_high": high}
        right, wrong = (group_means(x, frames.task) for x in (right, wrong))
        low, high = stats.bootstrap_interval(right, wrong, kind="spearman", **settings)
        row |= {f"{name}_tasks": _spearman(right, wrong)}
        row |= {f"{name}_tasks_low": low, f"{name}_tasks_high": high}
    for level, grouped in (("frames", lambda x: x), ("tasks", _by(frames.task))):
        draws = zip(clean.random, found.random, strict=True)
        row[f"random_rank_{level}"] = float(
            np.mean([_spearman(grouped(right), grouped(wrong)) for right, wrong in draws])
        )
    # One value a row of the success table, as the paper's Figure 3, by the unit of success.
    nmr, rates = group_means(found.nmr, frames.row), group_means(frames.success, frames.row)
    tasks = frames.task[np.unique(frames.row, return_index=True)[1]]
    suites = suites_of(tasks)
    one = by_unit(
        nmr,
        rates,
        tasks,
        suites,
        unit=unit_of(variation(rates, tasks, suites)),
        kind="pearson",
        permutations=PERMUTATIONS,
        **settings,
    )
    low, high = one["bootstrap"]
    row |= {"success_r": one["r"], "success_r_low": low, "success_r_high": high}
    return row | {"success_r_reason": one["reason"]}


def group_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The mean of each group, in the order of the groups' names."""
    names, place = np.unique(groups, return_inverse=True)
    return np.bincount(place, values, len(names)) / np.bincount(place, minlength=len(names))


def _by(groups: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: group_means(values, groups)


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    return stats.coefficient(one, other, kind="spearman")
