"""Errors of what a user gave, in words and without where in the program they arose."""

import contextlib
import sys
from collections.abc import Iterator

MISTAKES = (ValueError, OSError, ImportError, IndexError, KeyError, TypeError)


@contextlib.contextmanager
def plainly(command: str) -> Iterator[None]:
    """Ends the process with a message where what was given cannot be.

    >>> with plainly("explain"):
    ...     raise ValueError("--dataset: none given")
    Traceback (most recent call last):
        ...
    SystemExit: 1

    Args:
        command: Its name.

    Raises:
        SystemExit: With 1, after the message was printed to the standard error.
    """
    try:
        yield
    except MISTAKES as error:
        said = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"iss-jax {command}: {said}", file=sys.stderr)
        raise SystemExit(1) from None
