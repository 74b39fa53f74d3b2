"""Differences of two policies' shares, paired: the same frames, players, donors and flow noise.

In a frame both policies have the same draws of donors, so that what a donor changes in both cancels
in the difference; its error is the jackknife's over draws (Miller, "The jackknife", 1974). Over
frames the difference is a mean, and its interval resamples episodes, whose frames are alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from iss_jax.stats.groups import clustered_mean
from iss_jax.stats.resampling import too_few


class FrameDifference(NamedTuple):
    """Of one frame, for each player or for the nuisance as a whole.

    Attributes:
        a: Shares of the first policy.
        b: Of the second.
        difference: b - a.
        stderr: Its standard error, of the draws; infinite of one draw.
    """

    a: Float[np.ndarray, " players"]
    b: Float[np.ndarray, " players"]
    difference: Float[np.ndarray, " players"]
    stderr: Float[np.ndarray, " players"]


def of_frame(
    a: Float[np.ndarray, "draws players"], b: Float[np.ndarray, "draws players"]
) -> FrameDifference:
    """Shares of two policies in one frame, from the effects of the same draws.

    >>> import numpy as np
    >>> a = np.array([[3.0, 1.0], [6.0, 2.0]])
    >>> b = np.array([[1.0, 1.0], [2.0, 2.0]])
    >>> found = of_frame(a, b)
    >>> found.difference.tolist(), found.stderr.tolist()
    ([-0.25, 0.25], [0.0, 0.0])

    Args:
        a: Effects of the first policy.
        b: Of the second.
    """
    share_a, share_b = share_of(a.sum(0)), share_of(b.sum(0))
    draws = len(a)
    stderr = np.full(a.shape[1], math.inf)
    if draws > 1:
        without = share_of(b.sum(0) - b) - share_of(a.sum(0) - a)
        square = np.square(without - without.mean(0)).sum(0)
        stderr = np.sqrt((draws - 1) / draws * square)
    return FrameDifference(share_a, share_b, share_b - share_a, stderr)


def of_part(
    a: Float[np.ndarray, "draws players"],
    b: Float[np.ndarray, "draws players"],
    part: Float[np.ndarray, " players"],
) -> FrameDifference:
    """As `of_frame`, of one thing that holds a part of every player, such as the nuisance.

    >>> import numpy as np
    >>> a, b = np.array([[3.0, 1.0]]), np.array([[1.0, 1.0]])
    >>> of_part(a, b, np.array([0.0, 1.0])).difference.tolist()
    [0.25]

    Args:
        a: Effects of the first policy.
        b: Of the second.
        part: Of each player what belongs to it, in [0, 1].
    """
    both = [np.stack([x @ part, x @ (1.0 - part)], -1) for x in (a, b)]
    return FrameDifference(*(column[:1] for column in of_frame(*both)))


def share_of(effects: Float[np.ndarray, "*b players"]) -> Float[np.ndarray, "*b players"]:
    """Shares of the sum of effects; 0 where there is none."""
    effects = np.asarray(effects, np.float64)
    whole = effects.sum(-1, keepdims=True)
    return np.where(whole > 0, effects / np.where(whole > 0, whole, 1.0), 0.0)


class Compared(NamedTuple):
    """A player's shares over frames, and their difference.

    Attributes:
        frames: How many show it.
        episodes: Of how many episodes those are.
        a: Mean share of the first policy.
        b: Of the second.
        difference: b - a.
        low: Lower end of its interval, over resampled episodes; NaN where there is none.
        high: Upper end.
        stderr: What of its error the draws have: that of these frames alone.
        reason: Why there is no interval.
    """

    frames: int
    episodes: int
    a: float
    b: float
    difference: float
    low: float
    high: float
    stderr: float
    reason: str

    @property
    def differs(self) -> bool:
        """Whether the interval is there and leaves 0 out."""
        return bool(self.low > 0 or self.high < 0)


def over_frames(
    a: Float[np.ndarray, " n"],
    b: Float[np.ndarray, " n"],
    stderr: Float[np.ndarray, " n"],
    episodes: Shaped[np.ndarray, " n"],
    known: Bool[np.ndarray, " n"],
    *,
    confidence: float,
    resamples: int,
) -> Compared:
    """A player over the frames in which its shares are known for both policies.

    Args:
        a: Shares of the first policy, a frame each.
        b: Of the second, of the same frames.
        stderr: Of the differences, see `of_frame`.
        episodes: The episode of each frame.
        known: Which frames count.
        confidence: Of the interval.
        resamples: Of episodes.
    """
    a, b, stderr = (np.asarray(x, np.float64)[known] for x in (a, b, stderr))
    episodes = np.asarray(episodes)[known]
    count = len(a)
    if not count:
        nan = math.nan
        reason = "no frame shows it with shares that are known for both"
        return Compared(0, 0, nan, nan, nan, nan, nan, nan, reason)
    _, labels = np.unique(episodes, return_inverse=True)
    mean = clustered_mean(b - a, episodes, confidence=confidence, resamples=resamples)
    return Compared(
        frames=count,
        episodes=int(labels.max()) + 1,
        a=float(a.mean()),
        b=float(b.mean()),
        difference=mean.value,
        low=mean.low,
        high=mean.high,
        stderr=float(np.sqrt(np.square(stderr).sum()) / count),
        reason=too_few(labels).replace("clusters", "episodes"),
    )


def sentence(found: Sequence[tuple[str, Compared]], names: tuple[str, str]) -> str:
    """The largest differences in words, or that none is told from 0.

    >>> one = Compared(9, 9, 0.5, 0.3, -0.2, -0.3, -0.1, 0.01, "")
    >>> sentence([("bowl", one)], ("before", "after"))
    'after acts less on bowl than before: 30 % against 50 %, a difference of -20 points [-30, -10].'

    Args:
        found: Every player and its comparison.
        names: Of the policies.
    """
    first, second = names
    differing = sorted(
        ((name, one) for name, one in found if one.differs), key=lambda x: -abs(x[1].difference)
    )
    if differing:
        name, one = differing[0]
        way = "more" if one.difference > 0 else "less"
        text = (
            f"{second} acts {way} on {name} than {first}: {100 * one.b:.0f} % against "
            f"{100 * one.a:.0f} %, a difference of {100 * one.difference:.0f} points "
            f"[{100 * one.low:.0f}, {100 * one.high:.0f}]."
        )
        rest = [name for name, _ in differing[1:]]
        return text + (f" Also different: {', '.join(rest)}." if rest else "")
    if not any(one.frames for _, one in found):
        return (
            f"Nothing to compare: in no frame are shares known for both {first} and {second}. The "
            "effects of one of them do not exceed its floor, or no donor changes the player."
        )
    with_interval = [one for _, one in found if math.isfinite(one.low)]
    if with_interval:
        return f"No share differs between {first} and {second} by more than its interval."
    if all(one.difference == 0 for _, one in found):
        return f"{first} and {second} act on the same: every difference is 0."
    return (
        f"No interval of the differences between {first} and {second}: too few episodes show a "
        "thing of one name; see the errors of single frames."
    )


def row_of(name: str, found: Compared) -> dict[str, Any]:
    """A line of the table."""
    return {
        "player": name,
        "frames": found.frames,
        "episodes": found.episodes,
        "share_a": found.a,
        "share_b": found.b,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "stderr_of_draws": found.stderr,
        "reason": found.reason,
    }
