"""Measuring beside a control loop: a thread of its own, which no action ever waits for.

A frame is offered once its action is sent. Where the thread is busy the newest frame waits, and the
one that waited before is skipped and counted. An answer that comes after its deadline is late, and
says so with its age.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from iss_jax.checks import check_count

__all__ = ["Answer", "Beside"]


class Answer(NamedTuple):
    """What is known when it is asked for.

    Attributes:
        step: Number of the frame that was measured; −1 before the first answer.
        value: What the measurement gave; None before the first answer.
        age: Seconds since that frame was offered.
        took: Seconds from the offer to the answer.
        late: Whether the answer took longer than the deadline, or a newer frame waits for one that
            is overdue.
        skipped: Frames so far that were never measured, since newer ones came.
        failed: Frames so far whose measurement raised an error.
        error: The last such error, in words; empty where there was none.
    """

    step: int
    value: Any
    age: float
    took: float
    late: bool
    skipped: int
    failed: int
    error: str

    def sentence(self) -> str:
        """How old the answer is, in words."""
        text = "no answer yet" if self.step < 0 else f"frame {self.step}, {self.age:.2f} s old"
        text += ", late" if self.late else ""
        text += f", {self.skipped} skipped" if self.skipped else ""
        return text + (f", {self.failed} failed ({self.error})" if self.failed else "")


class Beside:
    """Measures frames in a thread of its own, one at a time.

    >>> from iss_jax.monitoring.lateness import Beside
    >>> with Beside(lambda frame: frame + 1, deadline=5.0) as beside:
    ...     beside.offer(0, 41)
    ...     answer = beside.wait(5.0)
    >>> answer.step, answer.value, answer.late
    (0, 42, False)

    Args:
        measure: What is called with a frame; its errors are counted and end nothing.
        deadline: Seconds from offer to answer, such as the control period.
        told: Called in the thread with each answer, such as to log it.
        every: Of the frames that `see` is given, one in so many is offered.
        clock: Seconds.

    Raises:
        ValueError: A deadline that is not positive, or `every` below 1.
    """

    def __init__(
        self,
        measure: Callable[..., Any],
        *,
        deadline: float,
        told: Callable[[Answer], object] | None = None,
        every: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ):
        if not deadline > 0:
            raise ValueError(f"deadline: {deadline!r} s given, a positive number wanted")
        check_count("every", every)
        self._measure, self._deadline, self._told, self._clock = measure, deadline, told, clock
        self._every, self._seen = every, 0
        self._changed = threading.Condition()
        self._waiting: tuple[int, float, tuple[Any, ...]] | None = None
        self._busy: tuple[int, float] | None = None
        self._known: tuple[int, Any, float, float] | None = None
        self._skipped, self._failed, self._error, self._open = 0, 0, "", True
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def offer(self, step: int, *frame: Any) -> None:
        """Hands a frame over and returns at once.

        Args:
            step: Its number.
            frame: Arguments of `measure`; arrays that the caller writes to again must be copies.
        """
        with self._changed:
            if self._waiting is not None:
                self._skipped += 1
            self._waiting = (step, self._clock(), frame)
            self._changed.notify_all()

    def see(self, *frame: Any) -> None:
        """Counts a frame of the control loop, and offers it if its turn has come.

        `rollout(watch=beside.see)` and a server's `sent=beside.see` call it.
        """
        with self._changed:
            step, self._seen = self._seen, self._seen + 1
        if step % self._every == 0:
            self.offer(step, *frame)

    def latest(self) -> Answer:
        """The last answer, with its age; returns at once."""
        with self._changed:
            return self._answer()

    def wait(self, seconds: float) -> Answer:
        """The last answer once nothing is left to be measured; for tests and for ends of episodes.

        Raises:
            TimeoutError: Something is, after so many seconds.
        """
        with self._changed:
            done = self._changed.wait_for(
                lambda: self._waiting is None and self._busy is None, seconds
            )
            if not done:
                raise TimeoutError(f"the monitor has not answered within {seconds:g} s")
            return self._answer()

    def close(self) -> None:
        """Takes no more frames; what is being measured is let go."""
        with self._changed:
            self._open, self._waiting = False, None
            self._changed.notify_all()

    def __enter__(self) -> "Beside":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self) -> Answer:
        now = self._clock()
        owed = [since for one in (self._busy, self._waiting) if one for since in one[1:2]]
        overdue = any(now - since > self._deadline for since in owed)
        counts = (self._skipped, self._failed, self._error)
        if self._known is None:
            return Answer(-1, None, 0.0, 0.0, overdue, *counts)
        step, value, since, took = self._known
        return Answer(step, value, now - since, took, overdue or took > self._deadline, *counts)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting is not None or not self._open)
                if not self._open or self._waiting is None:
                    return
                step, since, frame = self._waiting
                self._waiting, self._busy = None, (step, since)
            value, error = None, ""
            try:
                value = self._measure(*frame)
            except Exception as fault:
                error = f"{type(fault).__name__}: {fault}"
            with self._changed:
                if error:
                    self._failed, self._error = self._failed + 1, error
                else:
                    self._known = (step, value, since, self._clock() - since)
                self._busy = None
                found = self._answer()
                self._changed.notify_all()
            if self._told is not None and not error:
                try:
                    self._told(found)
                except Exception as fault:
                    with self._changed:
                        self._failed += 1
                        self._error = f"{type(fault).__name__}: {fault}"
