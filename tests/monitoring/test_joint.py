"""Rows may join the policy's batch only where the measured 99th percentile fits."""

import math

import numpy as np
import pytest

from iss_jax.monitoring.joint import measured, rows_may_join, timing


def test_the_percentile_is_one_that_the_next_call_exceeds_once_in_a_hundred():
    """Of n + 1 exchangeable calls the last one is above the k-th of the others in n + 1 − k."""
    for n in (99, 150, 250):
        rank = (
            int(np.flatnonzero(np.arange(1.0, n + 1) == timing(np.arange(1.0, n + 1)).p99)[0]) + 1
        )
        assert (n + 1 - rank) / (n + 1) <= 0.01
        assert (n + 2 - rank) / (n + 1) > 0.01
    assert math.isinf(timing(np.ones(98)).p99)


def test_one_slow_call_in_ninety_nine_keeps_rows_apart():
    quick = [0.1] * 99
    assert rows_may_join(timing(quick), 0.4)
    assert not rows_may_join(timing([*quick[:98], 0.5]), 0.4)
    assert not rows_may_join(timing(quick[:50]), 0.4)  # too few calls to say


def test_the_first_call_compiles_and_is_left_out():
    ticks = iter(np.cumsum([0.0, 1.0, 5.0, 3.0]).tolist())
    calls = []
    found = measured(lambda: calls.append(0), calls=2, clock=lambda: next(ticks))
    assert (len(calls), found.median, found.calls) == (3, 2.0, 2)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="no call"):
        timing([])
    with pytest.raises(ValueError, match="period: 0"):
        rows_may_join(timing([0.1]), 0)
