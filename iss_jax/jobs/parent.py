"""Processes that end with the one that started them, whatever ended it."""

import multiprocessing
import os
import signal
import threading
from multiprocessing import connection

__all__ = ["end_with_parent"]


def end_with_parent() -> None:
    """Ends this process as soon as the one that started it through `multiprocessing` is gone.

    A killed process says nothing to its children: they would work on, and hang where nobody reads
    what they say. But the system closes its end of the pipe that they share, which a thread here
    waits for. Nothing is tidied up, so that what is written has to be whole or not there.

    In a process that was started otherwise nothing happens.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        # Not by an exception: the main thread may be busy, or wait for a reader that is gone.
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    threading.Thread(target=watch, name="end_with_parent", daemon=True).start()
