"""A zoo whose answer is known: success falls with reliance on nuisance, and only some see it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.zoo.design import NO_CUE, Recipe
from experiments.zoo.shifts import AXES, UNSHIFTED
from experiments.zoo.table import CUE_THING, PREDICTORS, TOUCHED

Rows = list[dict[str, Any]]

TRIALS = 40


def made_up(
    recipes: Sequence[Recipe], *, truth: float = 1.0, trials: int = TRIALS, seed: int = 0
) -> tuple[Rows, Rows]:
    """Rows of measures and of trials.

    Every policy relies on nuisance, the more the larger its rho and the less it was augmented, and
    on each thing by chance. Along an axis it loses what it relies on of what the axis touches. The
    nuisance share says so, validation loss and all else are noise.

    Args:
        recipes: Of the design.
        truth: Share of the nuisance share that is reliance; the rest is noise.
        trials: Of each axis.
        seed: Of all that is drawn.
    """
    rng = np.random.default_rng(seed)
    measures: Rows = []
    table: Rows = []
    for recipe in recipes:
        things = {name: float(rng.uniform(0, 0.6)) for name in _things()}
        reliance = recipe.rho * (1.0 if recipe.augmentation == "none" else 0.5)
        if recipe.cue != NO_CUE:
            things[CUE_THING[recipe.cue]] = 0.9 * reliance
        success = {UNSHIFTED: 0.95}
        for axis in AXES:
            names = TOUCHED.get(axis, ())
            if axis == "cue":
                names = () if recipe.cue == NO_CUE else (CUE_THING[recipe.cue],)
            success[axis] = 0.95 * (1 - min(1.0, sum(things[name] for name in names)))
        if recipe.cue == NO_CUE:
            del success["cue"]
        fragility = 0.95 - np.mean([success.get(axis, success[UNSHIFTED]) for axis in AXES])
        values = {name: float(rng.uniform()) for name in PREDICTORS if name != "unshifted"}
        noise = float(rng.uniform())
        values["nuisance_share"] = float(truth * fragility + (1 - truth) * noise)
        measures += [
            {"row": recipe.row, "measure": name, "value": value, "stderr": 0.01, "frames": 64}
            for name, value in {**values, **things}.items()
        ]
        table += [
            {
                "row": recipe.row,
                "axis": axis,
                "strength": 1.0,
                "task": "made_up",
                "trial": trial,
                "success": int(rng.random() < rate),
                "steps": 100,
                "seconds": 1.0,
            }
            for axis, rate in success.items()
            for trial in range(trials)
        ]
    return measures, table


def _things() -> list[str]:
    return sorted({name for names in TOUCHED.values() for name in names} | set(CUE_THING.values()))
