"""Processes that should have ended."""

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path


def is_running(number: int) -> bool:
    """Whether a process is at work; one that has ended and that nobody has asked after is not."""
    try:
        return " Z " not in Path(f"/proc/{number}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def left_over(numbers: Iterable[int], seconds: float = 5.0) -> list[int]:
    """Those that run on for so long, which are ended then."""
    until = time.monotonic() + seconds
    while (left := [one for one in numbers if is_running(one)]) and time.monotonic() < until:
        time.sleep(0.02)
    for number in left:
        os.kill(number, signal.SIGKILL)
    return left
