"""Maps that `estimator_accuracy` compares, made of stored runs."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.accuracy import first_order
from experiments.accuracy.frames import GRID, Runs
from iss_jax import estimators, gradient_estimators
from iss_jax.estimators import Estimate
from iss_jax.pi05.observation import VIEWS


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A way to a map, and the maps of its repeats.

    Attributes:
        estimator: its name; `first_order` has those that `iss_jax` has not.
        design: of its masks.
        gradient_runs: runs of one map with gradients.
        plain_runs: runs of one map without.
        maps: one a repeat; of first-order scores only the contrasts mean anything, and their errors
            are unknown (nan).
    """

    estimator: str
    design: str
    gradient_runs: int
    plain_runs: int
    maps: Sequence[Estimate]

    @property
    def about(self) -> dict[str, Any]:
        """All but the maps."""
        return {
            "estimator": self.estimator,
            "design": self.design,
            "gradient_runs": self.gradient_runs,
            "plain_runs": self.plain_runs,
        }


def candidates(
    options: Any, kinds: Sequence[Mapping[str, Any]], stored: Sequence[Any]
) -> Iterator[Candidate]:
    """All candidates of one frame.

    Args:
        options: of the experiment.
        kinds: its kinds of work items.
        stored: what each found: `Runs`, or the dict of `first_order.measure`.
    """
    patterns: list[jax.Array] = []
    plain: list[Runs] = []
    for kind, runs in zip(kinds, stored, strict=True):
        if kind["use"] != "candidate":
            continue
        if kind["experiment"] == "first_order":
            yield from _first_order(options, runs)
        else:
            of_kind = list(_of_runs(options, kind, runs))
            if kind["estimator"] == "centred" and kind["design"] == "bernoulli":
                plain = _parts(kind, runs, kind["runs"], kind["repeats"])
            for one in of_kind:
                if (one.estimator, one.design) == ("clipped", "balanced") and (
                    one.gradient_runs == options.surrogate_runs
                ):
                    patterns = [
                        (found.scores - found.scores.mean()) / options.keep_prob
                        for found in one.maps
                    ]
            yield from of_kind
    if patterns and plain:
        for budget in options.plain_runs:
            found = [
                estimators.estimate_with_surrogate(
                    part.masks[:budget],
                    part.effects[:budget],
                    patterns[index % len(patterns)],
                    keep_prob=options.keep_prob,
                )
                for index, part in enumerate(plain)
            ]
            yield Candidate("surrogate", "bernoulli", options.surrogate_runs, budget, found)


def _parts(kind: Mapping[str, Any], runs: Runs, budget: int, most: int) -> list[Runs]:
    """Disjoint parts of i.i.d. runs, or the first of each repeat where those are as many."""
    total = kind["runs"] * kind["repeats"]
    step = kind["runs"] if most <= kind["repeats"] else budget
    starts = range(0, total - budget + 1, step)[:most]
    return [runs.part(start, start + budget) for start in starts]


def _of_runs(options: Any, kind: Mapping[str, Any], runs: Runs) -> Iterator[Candidate]:
    gradient, design = kind["estimator"] == "gradient", kind["design"]
    # The first of a repeat's i.i.d. masks are i.i.d. masks; balanced ones come as they are.
    budgets, most = [kind["runs"]], kind["repeats"]
    if design == "bernoulli":
        budgets = options.gradient_runs if gradient else options.plain_runs
        budgets = [n for n in budgets if n <= kind["runs"]]
        most = options.most_repeats if gradient else most
    names = gradient_estimators.ESTIMATORS if gradient else estimators.ESTIMATORS
    for budget in budgets:
        parts = _parts(kind, runs, budget, most)
        for name in names:
            found = [_estimate(part, name, design, options.keep_prob) for part in parts]
            yield Candidate(name, design, budget * gradient, budget * (not gradient), found)


def _estimate(runs: Runs, name: str, design: str, keep_prob: float) -> Estimate:
    options = {"estimator": name, "design": design, "keep_prob": keep_prob}
    if runs.gradients is None:
        return estimators.estimate(runs.masks, runs.effects, **options)
    return gradient_estimators.estimate_from_gradients(
        runs.masks, runs.effects, runs.gradients, **options
    )


def _first_order(options: Any, found: Mapping[str, Any]) -> Iterator[Candidate]:
    scores = first_order.contrasts(
        found, options.keep_prob, options.straight_points, options.probes
    )
    for name, runs, contrasts in scores:
        maps = [_of_contrast(contrast, options.keep_prob) for contrast in contrasts]
        yield Candidate(name, "none", runs, 0, maps)


def _of_contrast(contrast: np.ndarray, keep_prob: float) -> Estimate:
    scores = jnp.asarray(keep_prob * contrast, jnp.float32).reshape(len(VIEWS), *GRID)
    unknown = jnp.full(scores.shape, jnp.nan)
    return Estimate(scores, unknown, unknown)
