"""Whether the monitor's rows may join the policy's own batch: only where they delay no action."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["Timing", "measured", "rows_may_join", "timing"]

QUANTILE = 0.99


class Timing(NamedTuple):
    """How long a program takes.

    Attributes:
        median: Seconds.
        p99: Seconds, the 99th percentile: an order statistic, never interpolated downwards.
        calls: Of them.
    """

    median: float
    p99: float
    calls: int


def timing(seconds: Sequence[float] | Float[np.ndarray, " n"]) -> Timing:
    """Median and 99th percentile of measured calls.

    The percentile is the ⌈0.99 (n + 1)⌉-th smallest call, so that the next call exceeds it with
    probability 0.01 at most; of fewer than 99 calls there is none such, and it is infinite.

    >>> timing([0.1] * 98).p99, timing([0.1] * 99).p99
    (inf, 0.1)

    Raises:
        ValueError: No call at all.
    """
    if not len(seconds):
        raise ValueError("seconds: no call was measured")
    own = np.sort(np.asarray(seconds, np.float64))
    rank = math.ceil(QUANTILE * (own.size + 1) - 1e-9)
    p99 = float(own[rank - 1]) if rank <= own.size else math.inf
    return Timing(float(np.median(own)), p99, own.size)


def measured(
    call: Callable[[], Any], calls: int = 99, clock: Callable[[], float] = time.perf_counter
) -> Timing:
    """Times a call that waits for its own answer; the first one, which compiles, is left out."""
    call()
    seconds = []
    for _ in range(calls):
        start = clock()
        call()
        seconds.append(clock() - start)
    return timing(seconds)


def rows_may_join(joint: Timing, period: float) -> bool:
    """Whether the joint program's 99th percentile fits the control period.

    Else the shares are a second program, run after the action is sent.

    >>> rows_may_join(Timing(0.1, 0.3, 99), 0.4), rows_may_join(Timing(0.1, 0.5, 99), 0.4)
    (True, False)

    Args:
        joint: Of the program that holds the policy's own row and the monitor's.
        period: Seconds from one inference to the next.

    Raises:
        ValueError: A period that is not positive.
    """
    if not period > 0:
        raise ValueError(f"period: {period!r} s given, a positive number wanted")
    return joint.p99 <= period
