"""Timing: ways to do the same thing, side by side, and the machine's matrix-product peak."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Seconds(NamedTuple):
    """Of one way: its first call, which compiles, and the median of those that follow."""

    first: float
    warm: float


def timed(ways: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Seconds]:
    """Times every way, results waited for.

    All are compiled first, then timed in turn, `repeats` times round: what else the machine does
    falls on all of them alike.

    Args:
        ways: name -> call.
        repeats: rounds after the first calls.
    """
    first = {name: _seconds(call) for name, call in ways.items()}
    rounds = [{name: _seconds(call) for name, call in ways.items()} for _ in range(repeats)]
    return {
        name: Seconds(first[name], float(np.median([each[name] for each in rounds])))
        for name in ways
    }


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def matmul_peak(size: int, dtype: str, repeats: int = 5) -> float:
    """FLOP/s of one square matrix product, the best of `repeats` calls.

    Args:
        size: rows and columns.
        dtype: of the factors.
        repeats: calls after the first.
    """
    factor = jax.random.normal(jax.random.key(0), (size, size), jnp.float32).astype(dtype)
    multiply = jax.jit(jnp.matmul)
    jax.block_until_ready(multiply(factor, factor))
    return 2.0 * size**3 / min(_seconds(lambda: multiply(factor, factor)) for _ in range(repeats))


def laps(
    ways: Mapping[str, Callable[[], Any]],
    *,
    repeats: int,
    warm_seconds: float,
    least_seconds: float,
) -> dict[str, list[float]]:
    """Seconds of every call of ways timed in turn, results waited for.

    Rounds before `warm_seconds` have passed do not count: a device that was idle is cool and fast,
    or asleep and slow. At least one does not.

    Args:
        ways: name -> call, compiled before.
        repeats: rounds that count, at least.
        warm_seconds: of rounds that do not count.
        least_seconds: of rounds that count; short calls are repeated more often.
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    for counts, seconds in ((False, warm_seconds), (True, least_seconds)):
        start, rounds = time.perf_counter(), 0
        while rounds < (repeats if counts else 1) or time.perf_counter() - start < seconds:
            for name, call in ways.items():
                taken = _seconds(call)
                if counts:
                    found[name].append(taken)
            rounds += 1
    return found
