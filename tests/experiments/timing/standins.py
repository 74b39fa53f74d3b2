"""Stand-ins for what the measuring process does.

The new process imports this module, so that it imports nothing heavy.
"""

import os
import time

DEVICE = {"kind": "stand-in", "driver": None}


def work(names, arguments, say):
    """Rows named by what they do: `fails`, `dies`, `hangs`; others are measured."""
    say("ready", {"device": DEVICE, "environment": {}})
    for name in names:
        say("started", name)
        if name.startswith("fails"):
            raise MemoryError("RESOURCE_EXHAUSTED: out of memory\nallocations follow")
        if name.startswith("dies"):
            os.abort()
        if name.startswith("hangs"):
            time.sleep(60)
        say("measured", name, {"process": os.getpid(), "known": list(arguments["measured"])})


def dies_at_its_start(names, arguments, say):
    os.abort()


def measures_the_rows_of_a_bench(names, arguments, say):
    """Every row takes a second; the one named in the environment dies."""
    say("ready", {"device": device_of_the_environment(), "environment": {"packages": {}}})
    for name in names:
        say("started", name)
        if name == os.environ.get("STANDIN_DIES"):
            os.abort()
        if name == os.environ.get("STANDIN_HANGS"):
            time.sleep(60)
        say("measured", name, found(len(arguments["measured"])))


def device_of_the_environment():
    return DEVICE | {"kind": os.environ.get("STANDIN_DEVICE", "stand-in")}


def found(known):
    return {
        "seconds": 1.0,
        "least_seconds": 1.0,
        "most_seconds": 1.0,
        "laps": 1,
        "trace_seconds": 1.0,
        "compile_seconds": 1.0,
        "first_call_seconds": 1.0,
        "flops": 2e12,
        "flops_per_second": 2e12,
        "ratio": None,
        "beside": None,
        "images_at_once": known,
        "argument_bytes": 1,
        "output_bytes": 1,
        "temp_bytes": None,
    }
