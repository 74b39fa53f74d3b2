"""Named rows measured in a process of their own, so that none of them can take others with it.

One process measures row after row: the start of an accelerator and of a policy's parameters is paid
once. A row that fails, that ends the process, or that takes too long costs itself alone: a new
process goes on with the next. What a row found is in the caller's hands before the next one starts.
"""

import multiprocessing
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

Say = Callable[..., None]
Work = Callable[[Sequence[str], Mapping[str, Any], Say], None]
"""`work(names, arguments, say)`, at a module's top level. It says `ready` once, then for each name
`started` with the name, and `measured` with the name and what it found. An exception ends it.
"""

_LAST_WORDS_S = 10.0  # for a process to end by itself
_MOST_CHARACTERS = 2000  # of a reason; an allocator lists all that it holds
_NO_TIME, _TIME_IS_UP = "no time was left", "time is up"


class Limits(NamedTuple):
    """Seconds.

    Attributes:
        deadline: on `time.monotonic`, when everything ends.
        row: of one row, or of the process's start.
    """

    deadline: float
    row: float


class Listener(NamedTuple):
    """What is called as rows are measured.

    Attributes:
        ready: with what a new process says of itself; an exception of it ends everything.
        measured: with a row's name and what it found.
        failed: with a row's name and the reason.
    """

    ready: Callable[[Any], None]
    measured: Callable[[str, Any], None]
    failed: Callable[[str, str], None]


def supervise(
    work: Work,
    names: Sequence[str],
    arguments: Mapping[str, Any],
    listener: Listener,
    limits: Limits,
) -> dict[str, str]:
    """Measures rows, the first named first.

    Args:
        work: measures rows, in a new process.
        names: the rows.
        arguments: handed to `work`.
        listener: is told.
        limits: of time.

    Returns:
        Row -> why it was not measured, of those that no process came to.
    """
    left = list(names)
    while left:
        if time.monotonic() >= limits.deadline:
            return dict.fromkeys(left, _NO_TIME)
        reason, running, left = _one_process(work, left, arguments, listener, limits)
        if reason == _TIME_IS_UP:
            cut_off = {running: "time was up while it was measured"} if running else {}
            return cut_off | dict.fromkeys(left, _NO_TIME)
        if running is None:
            # A process that has no row to blame would die again.
            return dict.fromkeys(left, reason)
        listener.failed(running, reason)
    return {}


def _one_process(
    work: Work,
    names: list[str],
    arguments: Mapping[str, Any],
    listener: Listener,
    limits: Limits,
) -> tuple[str, str | None, list[str]]:
    """Until a process ends: why it did, the row it was at, and the rows after that."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(work, names, arguments, theirs), daemon=True)
    process.start()
    # Ours alone stays open here, so that it ends when the process does.
    theirs.close()
    left, running, reason = list(names), None, ""
    since = time.monotonic()
    try:
        while True:
            limit = min(limits.deadline, since + limits.row)
            if not ours.poll(max(0.0, limit - time.monotonic())):
                late = time.monotonic() >= limits.deadline
                reason = _TIME_IS_UP if late else f"took longer than {limits.row:g} s"
                break
            try:
                what, *content = ours.recv()
            except EOFError:
                process.join(_LAST_WORDS_S)
                reason = reason or _ending(process.exitcode)
                break
            since = time.monotonic()
            if what == "ready":
                listener.ready(*content)
            elif what == "started":
                (running,) = content
                left.remove(running)
            elif what == "measured":
                running = None
                listener.measured(*content)
            else:
                (reason,) = content
    finally:
        ours.close()
        _end(process)
    return reason, running, left


def _child(
    work: Work, names: Sequence[str], arguments: Mapping[str, Any], pipe: Connection
) -> None:
    def say(*words: Any) -> None:
        pipe.send(words)

    try:
        work(names, arguments, say)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        # Not every exception has a message.
        where = f"{Path(place.filename).name}:{place.lineno}"
        say("failed", f"{type(error).__name__} ({where}): {error}"[:_MOST_CHARACTERS])
    finally:
        pipe.close()


def _ending(code: int | None) -> str:
    return f"the process died by signal {-code}" if code and code < 0 else f"exit code {code}"


def _end(process: BaseProcess) -> None:
    for end in (process.terminate, process.kill):
        if process.is_alive():
            end()
            process.join(_LAST_WORDS_S)
