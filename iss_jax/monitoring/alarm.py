"""An alarm with a promise: split conformal calibration of each successful episode's maximum.

The score of an episode is the maximum of its signal over the first so many inferences. An alarm
rings where a score exceeds the ⌈(n + 1)(1 − α)⌉-th smallest maximum of n successful episodes. Of an
episode that is exchangeable with these it rings with probability α at most, over the draw of all
n + 1 episodes (Vovk et al. 2005; Lei et al. 2018). Of other episodes nothing is promised.
"""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["Alarm", "Threshold", "conformal_p", "conformal_threshold", "episode_maximum"]


class Threshold(NamedTuple):
    """Above which a score rings.

    Attributes:
        value: Infinite where there are too few episodes for the level.
        level: Of false alarms an episode, at most.
        episodes: Successful ones that calibrated it.
        rank: Which of their maxima, in rising order, from 1 on.
    """

    value: float
    level: float
    episodes: int
    rank: int

    def sentence(self) -> str:
        """What is promised, in words."""
        if math.isinf(self.value):
            return (
                f"never rings: {self.episodes} successful episodes cannot promise "
                f"{100 * self.level:g} % false alarms, at least {fewest(self.level)} wanted"
            )
        return (
            f"rings above {self.value:.4g}: at most {100 * self.level:g} % false alarms an episode "
            f"on episodes like the {self.episodes} that calibrated it"
        )


def fewest(level: float) -> int:
    """Episodes that a level takes at least: ⌈1/α⌉ − 1.

    >>> fewest(0.1), fewest(0.05), fewest(0.3)
    (9, 19, 3)
    """
    return math.ceil(1 / _exact(level)) - 1


def _exact(level: float) -> Fraction:
    """A level as it is written: 0.1 is a tenth, and 20 · 0.95 is 19 and no more."""
    if not 0 < level < 1:
        raise ValueError(f"level: {level!r} given, a number between 0 and 1 wanted")
    return Fraction(repr(float(level)))


def conformal_threshold(maxima: Iterable[float], level: float) -> Threshold:
    """The threshold of an alarm from successful episodes' maxima.

    >>> from iss_jax.monitoring.alarm import conformal_threshold
    >>> conformal_threshold([0.1, 0.4, 0.2, 0.3], 0.2)
    Threshold(value=0.4, level=0.2, episodes=4, rank=4)
    >>> conformal_threshold([0.1, 0.4, 0.2], 0.2).sentence()
    'never rings: 3 successful episodes cannot promise 20 % false alarms, at least 4 wanted'

    Args:
        maxima: Of each successful episode, see `episode_maximum`.
        level: α, false alarms an episode.

    Raises:
        ValueError: A level that is no probability, or a maximum that is nan.
    """
    known = np.sort(np.asarray(list(maxima), np.float64))
    exact = _exact(level)
    if np.isnan(known).any():
        raise ValueError(f"maxima: {int(np.isnan(known).sum())} of {known.size} are nan")
    rank = math.ceil((known.size + 1) * (1 - exact))
    value = float(known[rank - 1]) if rank <= known.size else math.inf
    return Threshold(value, float(level), known.size, rank)


def episode_maximum(scores: Sequence[float] | Float[np.ndarray, " t"], horizon: int) -> float:
    """The largest score of an episode's first inferences; those that are nan are left out.

    >>> episode_maximum([0.1, float("nan"), 0.3, 0.9], horizon=3)
    0.3

    Args:
        scores: One an inference.
        horizon: How many count, the same for all episodes.

    Returns:
        −inf where no score is known: such an episode cannot ring.

    Raises:
        ValueError: A horizon below 1.
    """
    if horizon < 1:
        raise ValueError(f"horizon: {horizon} given, at least 1 wanted")
    own = np.asarray(scores, np.float64)[:horizon]
    own = own[~np.isnan(own)]
    return float(own.max()) if own.size else -math.inf


def conformal_p(score: float, maxima: Iterable[float]) -> float:
    """The conformal p-value of a running maximum: (1 + #{maxima ≥ score}) / (n + 1).

    The alarm of level α rings exactly where it is α at most. Several signals are joined by
    Bonferroni's rule: m times the smallest of their p-values.

    >>> conformal_p(0.35, [0.1, 0.2, 0.3, 0.4])
    0.4

    Args:
        score: Of the episode so far.
        maxima: Of the successful episodes.
    """
    known = np.asarray(list(maxima), np.float64)
    return float(1 + np.sum(known >= score)) / (known.size + 1)


class Alarm:
    """Rings once an episode, at the first score above the threshold within the horizon.

    >>> from iss_jax.monitoring.alarm import Alarm, conformal_threshold
    >>> alarm = Alarm(conformal_threshold([0.1, 0.4, 0.2, 0.3], 0.2), horizon=30)
    >>> [alarm.see(score) for score in (0.2, 0.5, 0.1)], alarm.rang_at
    ([False, True, True], 1)

    Args:
        threshold: As `conformal_threshold` gives it.
        horizon: Inferences that count, those of the calibration.

    Attributes:
        rang_at: Inference at which it rang, from 0 on; None where it has not.
    """

    def __init__(self, threshold: Threshold, horizon: int):
        if horizon < 1:
            raise ValueError(f"horizon: {horizon} given, at least 1 wanted")
        self.threshold, self.horizon = threshold, horizon
        self.reset()

    def reset(self) -> None:
        """Begins an episode."""
        self._seen, self.rang_at = 0, None

    def see(self, score: float) -> bool:
        """Takes the next inference's score, nan where there is none; whether it has rung."""
        number, self._seen = self._seen, self._seen + 1
        if self.rang_at is None and number < self.horizon and score > self.threshold.value:
            self.rang_at: int | None = number
        return self.rang_at is not None
