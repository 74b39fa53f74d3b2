"""Long lists and values in messages: the first few, and how many there are."""

import itertools
from collections.abc import Collection
from typing import Any

MOST = 8
LONGEST = 80  # characters of one of them


def few(names: Collection[Any], most: int = MOST) -> str:
    """A list as it is printed, or its first few and the number of all.

    >>> few(["base", "wrist"])
    "['base', 'wrist']"
    >>> few(range(205), 3)
    '[0, 1, 2, ... 205 in all]'

    Args:
        names: What is listed, in its order; a dict gives its keys.
        most: As many are shown. Long texts among them are cut.
    """
    shown = [short(name, LONGEST) for name in itertools.islice(names, most)]
    if len(names) > most:
        shown.append(f"... {len(names)} in all")
    return f"[{', '.join(shown)}]"


def short(value: Any, most: int = 400) -> str:
    """How a value is printed, cut where that is long.

    >>> short("a" * 20, most=8)
    "'aaaa..."

    Args:
        value: Of any kind.
        most: Characters.
    """
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."
