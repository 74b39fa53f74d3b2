"""One program measured: how long it takes, what it computes, what memory it needs."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.monitoring
import numpy as np

from experiments.timing.clock import laps
from experiments.timing.programs import Program
from experiments.timing.stages import images_at_once
from iss_jax.flops import jaxpr_flops
from iss_jax.pi05.params import Sizes

_CACHE_HIT = "/jax/compilation_cache/cache_hits"
_cache_hits = 0


class Ready(NamedTuple):
    """A program that is compiled and has run once.

    Attributes:
        call: runs it.
        facts: what is known of it without a clock that goes round.
    """

    call: Callable[[], Any]
    facts: dict[str, Any]


class Laps(NamedTuple):
    """How often and how long a program is timed, see `clock.laps`."""

    repeats: int
    warm_seconds: float
    least_seconds: float


def prepare(program: Program, params: Any, sizes: Sizes) -> Ready:
    """Traces, compiles and runs a program once.

    Args:
        program: what is measured.
        params: the policy's; shapes do for a program that reads none of them.
        sizes: the policy's.
    """
    before = _cache_hits
    start = time.perf_counter()
    traced = program.traced(params)
    seconds = {"trace_seconds": time.perf_counter() - start}
    jaxpr = traced.jaxpr.jaxpr
    facts = {
        "flops": jaxpr_flops(jaxpr),
        "images_at_once": images_at_once(jaxpr, sizes) or None,
    }
    rest = jax.block_until_ready(program.rest())
    if program.whole:
        start = time.perf_counter()
        compiled = traced.lower().compile()
        seconds["compile_seconds"] = time.perf_counter() - start
        facts |= _memory(compiled)
        call = partial(compiled, params, *rest)
    else:
        call = partial(program.fn, params, *rest)
    start = time.perf_counter()
    jax.block_until_ready(call())
    seconds["first_call_seconds"] = time.perf_counter() - start
    facts["compiled_before"] = _cache_hits > before
    return Ready(call, facts | seconds)


def measure(ready: Ready, laps_wanted: Laps, beside: Ready | None = None) -> dict[str, Any]:
    """Times a program, and another one in turn with it where their ratio is asked for.

    Args:
        ready: the program.
        laps_wanted: how often and how long.
        beside: the program that its time is compared with.

    Returns:
        Its facts, seconds (median, least and most), FLOP/s, the device's peak bytes, and its time
        in that of `beside`.
    """
    ways = {"own": ready.call} | ({"beside": beside.call} if beside else {})
    before = device_peak_bytes()
    found = laps(ways, **laps_wanted._asdict())
    after = device_peak_bytes()
    own = found["own"]
    median = float(np.median(own))
    return ready.facts | {
        "seconds": median,
        "least_seconds": min(own),
        "most_seconds": max(own),
        "laps": len(own),
        "flops_per_second": ready.facts["flops"] / median,
        "device_peak_bytes": after,
        "device_peak_bytes_before": before,
        "ratio": median / float(np.median(found["beside"])) if beside else None,
    }


def device_peak_bytes() -> int | None:
    """The most that the first device has held since the process started; None if it does not say.

    No process can set it back, so a program's own peak is known where it is a new one.
    """
    found = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return None if found is None else int(found)


def keep_compiled(folder: str) -> bool:
    """Keeps compiled programs in a folder for the processes after this one; whether it does.

    Not on a CPU, where jax 0.5.3 aborts when it loads some of them. A folder that the environment
    names already stays.
    """
    if jax.default_backend() == "cpu" or not folder:
        return False
    if not jax.config.jax_compilation_cache_dir:  # pyright: ignore
        jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    jax.monitoring.register_event_listener(_count_cache_hit)
    return True


def _count_cache_hit(event: str, **_: Any) -> None:
    global _cache_hits
    _cache_hits += event == _CACHE_HIT


def _memory(compiled: Any) -> dict[str, int | None]:
    analysis = compiled.memory_analysis()
    names = ("argument", "output", "temp")
    return {
        f"{name}_bytes": int(getattr(analysis, f"{name}_size_in_bytes")) if analysis else None
        for name in names
    }
