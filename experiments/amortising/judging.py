"""How close maps are to a converged one: the head's, surrogates', and runs with a control."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from experiments.accuracy.frames import GRID, Runs
from experiments.amortising.surrogates import gaussian_process, trees, wiener
from iss_jax import estimators, gradient_estimators
from iss_jax.amortised import agreement_with_runs
from iss_jax.control import estimate_with_control
from iss_jax.pi05.observation import VIEWS
from iss_jax.stats.correlation import coefficient

SHAPE = (len(VIEWS), *GRID)
Map = Float[np.ndarray, " cells"]


@dataclasses.dataclass(frozen=True)
class Judged:
    """One frame that no head learnt from.

    Attributes:
        about: Its work item's facts, with `kind`: a new episode or a new task.
        wanted: Contrasts of the converged map.
        scale: The highest correlation that a map can have with it.
        plain: Runs without gradients.
        sloped: Runs with them.
        guesses: Maps that take no run: `head`, `mean map`.
        doubt: Of the head's.
    """

    about: Mapping[str, Any]
    wanted: Map
    scale: float
    plain: Runs
    sloped: Runs
    guesses: Mapping[str, Map]
    doubt: float


def converged(parts: Sequence[Runs], sloped: Runs, keep_prob: float) -> tuple[Map, float]:
    """Contrasts of many plain runs, and the root of their reliability.

    Unbiased: the map of the runs with gradients is the control variate of the plain ones. The
    reliability is that of the halves, stepped up by Spearman-Brown.
    """
    control = jnp.asarray(contrast_of(sloped, "clipped", keep_prob).reshape(SHAPE), jnp.float32)

    def scores(some: Sequence[Runs]) -> Map:
        masks, effects = (
            jnp.concatenate([getattr(part, name) for part in some]) for name in ("masks", "effects")
        )
        found = estimate_with_control(masks, effects, control, keep_prob=keep_prob)
        return np.asarray(found.scores, np.float64).ravel()

    half = len(parts) // 2
    agreed = coefficient(scores(parts[:half]), scores(parts[half:]))
    whole = scores(parts)
    reliability = max(2 * agreed / (1 + agreed), 0.0)
    return (whole - whole.mean()) / keep_prob, float(np.sqrt(reliability))


def contrast_of(runs: Runs, estimator: str, keep_prob: float) -> Map:
    """Contrasts, but for a constant, by an estimator of the library."""
    options = {"estimator": estimator, "design": "bernoulli", "keep_prob": keep_prob}
    if runs.gradients is None:
        found = estimators.estimate(runs.masks, runs.effects, **options)
    else:
        found = gradient_estimators.estimate_from_gradients(
            runs.masks, runs.effects, runs.gradients, **options
        )
    scores = np.asarray(found.scores, np.float64).ravel()
    return (scores - scores.mean()) / keep_prob


def _arrays(runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    masks = np.asarray(runs.masks)
    return masks.reshape(len(masks), -1), np.asarray(runs.effects, np.float64)


def _slopes(runs: Runs) -> np.ndarray:
    return np.asarray(runs.gradients, np.float64).reshape(len(runs.masks), -1)


def methods(frame: Judged, keep_prob: float) -> Iterator[tuple[str, str, Callable[[Runs], Map]]]:
    """Name, `plain` or `sloped` (which runs it takes), and how it makes a map of them."""
    head, mean = frame.guesses["head"], frame.guesses["mean map"]

    def controlled(control: Map) -> Callable[[Runs], Map]:
        given = jnp.asarray(control.reshape(SHAPE), jnp.float32)

        def of(runs: Runs) -> Map:
            found = estimate_with_control(runs.masks, runs.effects, given, keep_prob=keep_prob)
            scores = np.asarray(found.scores, np.float64).ravel()
            return (scores - scores.mean()) / keep_prob

        return of

    for name in ("centred", "ridge"):
        yield name, "plain", lambda runs, name=name: contrast_of(runs, name, keep_prob)
    for name, control in (("head", head), ("mean map", mean), ("converged map", frame.wanted)):
        yield f"control: {name}", "plain", controlled(control)

    def process(guess: Map | None, single: bool) -> Callable[[Runs], Map]:
        options: dict[str, Any] = {"interactions": (0.0,)} if single else {}
        return lambda runs: gaussian_process(
            *_arrays(runs), keep_prob=keep_prob, shape=SHAPE, guess=guess, **options
        )

    yield "Gaussian process, single cells", "plain", process(None, True)
    yield "Gaussian process", "plain", process(None, False)
    yield "Gaussian process, head", "plain", process(head, False)
    yield "trees", "plain", lambda runs: trees(*_arrays(runs), keep_prob=keep_prob)
    for name in ("clipped", "gradient"):
        yield name, "sloped", lambda runs, name=name: contrast_of(runs, name, keep_prob)
    for name, guess in (("bands", None), ("bands, head", head)):
        yield (
            name,
            "sloped",
            lambda runs, guess=guess: wiener(
                _arrays(runs)[0], _slopes(runs), shape=SHAPE, guess=guess
            ),
        )

    def both(runs: Runs) -> Map:
        own = [contrast_of(runs, name, keep_prob) for name in ("clipped", "gradient")]
        first, second = (one / max(float(np.linalg.norm(one)), 1e-30) for one in own)
        return first + second

    yield "clipped and gradient", "sloped", both


def judge(
    frame: Judged, keep_prob: float, budgets: Mapping[str, Sequence[int]], repeats: int
) -> list[dict[str, Any]]:
    """A row a method and number of runs: mean correlation with the converged map over repeats.

    Args:
        frame: Of `Judged`.
        keep_prob: p.
        budgets: Numbers of runs of either sort.
        repeats: Disjoint sets of runs at most.
    """
    rows = [
        {"method": name, "runs": 0, "sort": "none", "r": _agreed(guess, frame)}
        for name, guess in frame.guesses.items()
    ]
    for name, sort, make in methods(frame, keep_prob):
        runs: Runs = getattr(frame, sort)
        for budget in budgets[sort]:
            if name.startswith("bands") and budget < 3:
                continue
            starts = range(0, len(runs.masks) - budget + 1, budget)[:repeats]
            found = [_agreed(make(runs.part(s, s + budget)), frame) for s in starts]
            rows.append({"method": name, "runs": budget, "sort": sort, "r": float(np.mean(found))})
    return rows


def _agreed(found: Map, frame: Judged) -> float:
    if not found.std() > 0 or not frame.scale > 0:
        return 0.0
    return float(coefficient(found, frame.wanted) / frame.scale)


def checks(frame: Judged, counts: Sequence[int]) -> list[dict[str, Any]]:
    """What tells whether the head's map is good: its own doubt, and a few fresh runs."""
    head = frame.guesses["head"]
    truth = _agreed(head, frame)
    rows = [{"check": "doubt", "runs": 0, "says": -frame.doubt, "r": truth}]
    cells = jnp.asarray(head.reshape(SHAPE), jnp.float32)
    for count in counts:
        part = frame.plain.part(0, count)
        said = float(agreement_with_runs(cells, part.masks, part.effects))
        rows.append({"check": "fresh runs", "runs": count, "says": said, "r": truth})
        if count <= len(frame.sloped.masks):
            mean = mean_slope(frame.sloped.part(0, count))
            rows.append(
                {
                    "check": "fresh runs with gradients",
                    "runs": count,
                    "says": float(coefficient(head, mean)) if mean.std() > 0 else 0.0,
                    "r": truth,
                }
            )
    return rows


def mean_slope(runs: Runs) -> Map:
    """The mean contrast of runs with gradients, each shortened to the median length."""
    slopes = _slopes(runs)
    lengths = np.linalg.norm(slopes, axis=1, keepdims=True)
    return -(slopes * np.minimum(1.0, np.median(lengths) / np.maximum(lengths, 1e-30))).mean(0)
