"""The zoo as one table: of each policy its recipe, what was measured of it, and its success."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.zoo.design import NO_CUE, Recipe
from experiments.zoo.shifts import AXES, UNSHIFTED
from experiments.zoo.success import mean_shifted, rates

Rows = Sequence[Mapping[str, Any]]

PREDICTORS = {
    "nuisance_share": -1,
    "nmr": -1,
    "attention": -1,
    "norm": -1,
    "gradient": -1,
    "random": -1,
    "validation_loss": -1,
    "unshifted": 1,
    "entropy": -1,
}
"""Measure -> the sign that its correlation with success is expected to have."""

TITLES = {
    "nuisance_share": "nuisance share by effect",
    "nmr": "NMR@10 of the paper",
    "attention": "ATT, NMR@10",
    "norm": "NORM, NMR@10",
    "gradient": "input gradient, NMR@10",
    "random": "random, NMR@10",
    "validation_loss": "validation loss",
    "unshifted": "unshifted success",
    "entropy": "entropy of chunks",
}

TOUCHED = {
    "layout": ("wanted_share", "basket_share", "others_share"),
    "looks": ("wanted_share", "basket_share", "others_share"),
    "distractors": ("floor_share", "others_share"),
    "texture": ("floor_share",),
    "light": ("tint_ratio",),
    "camera": ("all_effect",),
    "noise": ("all_effect",),
}
"""Axis -> measures whose sum is what it touches. Of the cue it depends on its kind: `CUE_THING`."""

CUE_THING = {"panel": "panel_share", "floor": "floor_share", "tint": "tint_ratio"}


class Zoo(NamedTuple):
    """What is known of n policies.

    Attributes:
        recipes: Of each.
        measures: Measure -> a value a policy; nan where it has none. `unshifted` is among them.
        rate: Axis -> success of each policy; nan where it has no trials.
        halves: The same of even and of odd trials.
    """

    recipes: list[Recipe]
    measures: dict[str, Float[np.ndarray, " n"]]
    rate: dict[str, Float[np.ndarray, " n"]]
    halves: tuple[dict[str, Float[np.ndarray, " n"]], dict[str, Float[np.ndarray, " n"]]]

    @property
    def groups(self) -> np.ndarray:
        """What resampling keeps together: policies that differ in their training seed alone."""
        return np.array([one.group for one in self.recipes])

    def shifted(self, without: Sequence[str] = (), half: int | None = None) -> np.ndarray:
        """Mean shifted success of each policy."""
        of_axis = self.rate if half is None else self.halves[half]
        count = len(self.recipes)
        return np.array(
            [
                mean_shifted({axis: own[i] for axis, own in of_axis.items()}, without)
                for i in range(count)
            ]
        )

    def touched(self, axis: str) -> np.ndarray:
        """What of each policy's effects an axis touches; nan where it has no such thing."""
        found = []
        for i, recipe in enumerate(self.recipes):
            names = TOUCHED.get(axis, ())
            if axis == "cue":
                names = () if recipe.cue == NO_CUE else (CUE_THING[recipe.cue],)
            known = [self.measures[name][i] for name in names if name in self.measures]
            found.append(float(np.sum(known)) if len(known) == len(names) > 0 else math.nan)
        return np.array(found)

    def loss(self, axis: str, half: int | None = None) -> np.ndarray:
        """What of its success each policy loses along an axis."""
        of_axis = self.rate if half is None else self.halves[half]
        return of_axis[UNSHIFTED] - of_axis[axis]


def read_zoo(recipes: Sequence[Recipe], measures: Rows, trials: Rows) -> Zoo:
    """The policies that have been measured and rolled out.

    Args:
        recipes: Of the design.
        measures: Rows with `row`, `measure`, `value`.
        trials: Rows with `row`, `axis`, `trial`, `success`, one strength an axis.

    Raises:
        ValueError: An axis has several strengths.
    """
    strengths: dict[str, set[str]] = {}
    for trial in trials:
        strengths.setdefault(trial["axis"], set()).add(str(float(trial.get("strength", 0))))
    several = {axis: sorted(own) for axis, own in strengths.items() if len(own) > 1}
    if several:
        raise ValueError(f"trials: strengths {several} given, one of each axis wanted")
    values: dict[int, dict[str, float]] = {}
    for row in measures:
        values.setdefault(int(row["row"]), {})[row["measure"]] = float(row["value"])
    whole, halves = rates(trials), (rates(trials, 0), rates(trials, 1))
    done = [one for one in recipes if one.row in values and one.row in whole]
    names = dict.fromkeys(name for one in done for name in values[one.row])
    columns = {
        name: np.array([values[one.row].get(name, math.nan) for one in done]) for name in names
    }

    def by_axis(of: Mapping[int, Mapping[str, float]]) -> dict[str, np.ndarray]:
        axes = (UNSHIFTED, *AXES)
        return {a: np.array([of.get(o.row, {}).get(a, math.nan) for o in done]) for a in axes}

    rate = by_axis(whole)
    columns["unshifted"] = rate[UNSHIFTED]
    return Zoo(done, columns, rate, (by_axis(halves[0]), by_axis(halves[1])))
