"""How many rows of a policy a device holds at once, from shapes and the device's memory alone."""

import itertools
from collections.abc import Callable
from typing import Any

import jax

# Rows of one micro-batch are never more: π0.5's matrix products fill a device with fewer. Rows with
# gradients keep what the way back needs, and on a CPU more of them lose more to memory than they
# gain (docs/results/speed.md).
MOST_ROWS, MOST_ROWS_WITH_GRADIENTS = 40, 16

# Share of a device's memory that one micro-batch may take. The rest is for parameters, the caller's
# own arrays and what an allocator loses to fragments.
SHARE = 0.25

# A device that reports no memory (CPUs do not) is taken to have this much.
UNREPORTED_BYTES = 16 * 2**30


def device_bytes() -> int:
    """Memory of the default backend's first device, as it reports it, else 16 GiB."""
    reported = jax.local_devices()[0].memory_stats() or {}
    return int(reported.get("bytes_limit", UNREPORTED_BYTES))


def rows_that_fit(row_bytes: float, memory: float, most: int = MOST_ROWS) -> int:
    """Rows of one micro-batch: as many as a quarter of the memory holds, 1 to `most`.

    Args:
        row_bytes: What one row needs.
        memory: The device's, in bytes.
        most: Rows that are never exceeded.
    """
    return min(most, max(1, int(SHARE * memory / max(row_bytes, 1.0))))


def bytes_a_row(fn: Callable[[Any], Any], rows: Callable[[int], Any]) -> int:
    """What each further row adds to the peak memory of `fn`, by tracing; nothing is computed.

    Args:
        fn: Traceable function of a batch of rows.
        rows: Count -> that many rows, as arrays or shapes.
    """
    one, two = (peak_bytes(jax.make_jaxpr(fn)(rows(count)).jaxpr) for count in (1, 2))
    return max(two - one, 0)


def peak_bytes(jaxpr: Any) -> int:
    """Most bytes of intermediate values alive at once, operations taken in program order.

    Inputs do not count. Nothing is taken to be fused, so that this is above what a compiler needs.
    """
    last: dict[Any, int] = {}
    for index, equation in enumerate(jaxpr.eqns):
        last.update((id(value), index) for value in equation.invars)
    last.update((id(value), len(jaxpr.eqns)) for value in jaxpr.outvars)
    alive: dict[int, int] = {}
    peak = 0
    for index, equation in enumerate(jaxpr.eqns):
        inner = max((peak_bytes(body) for body in bodies(equation.params)), default=0)
        alive.update((id(value), _bytes(value)) for value in equation.outvars)
        peak = max(peak, sum(alive.values()) + inner)
        used = itertools.chain(equation.invars, equation.outvars)
        for value in {id(value) for value in used if last.get(id(value), index) <= index}:
            alive.pop(value, None)
    return peak


def bodies(params: dict[str, Any]) -> list[Any]:
    """The programs inside an equation: bodies of its loops, branches and calls."""
    leaves = jax.tree.leaves(
        list(params.values()), is_leaf=lambda leaf: hasattr(leaf, "jaxpr") or hasattr(leaf, "eqns")
    )
    found = [getattr(leaf, "jaxpr", leaf) for leaf in leaves]
    return [body for body in found if hasattr(body, "eqns")]


def _bytes(value: Any) -> int:
    shape = value.aval
    return int(shape.size * shape.dtype.itemsize) if hasattr(shape, "size") else 0
