"""A bound on how many programs the observations of others can have compiled."""

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["KnownShapes"]


class KnownShapes:
    """The shapes of observations that a policy has answered; a new one costs a compilation.

    A server answers one observation at a time, so that each new size of a frame would have all
    clients wait. The first few are taken, all others refused.

    >>> import numpy as np
    >>> known = KnownShapes(most=1)
    >>> known.check({"front": np.zeros((8, 8, 3)), "prompt": "reach"})
    >>> known.check({"front": np.zeros((9, 8, 3)), "prompt": "reach"})
    Traceback (most recent call last):
    ValueError: new shapes: front float64 [9, 8, 3] given, front float64 [8, 8, 3] wanted

    Args:
        most: How many different ones are taken.
        fixed: Name of an array -> the one shape that it may have.
    """

    def __init__(self, most: int, fixed: Mapping[str, tuple[int, ...]] | None = None):
        self._most, self._fixed = most, dict(fixed or {})
        self._known: dict[str, None] = {}

    def check(self, observation: Mapping[str, Any]) -> None:
        """Takes note of an observation's shapes.

        Raises:
            ValueError: They are new, and no more are taken; or a fixed one is another.
        """
        for name, shape in self._fixed.items():
            given = np.shape(observation[name]) if name in observation else shape
            if given != shape:
                raise ValueError(f"{name}: shape {list(given)} given, {list(shape)} wanted")
        free = {name: value for name, value in observation.items() if name not in self._fixed}
        seen = ", ".join(_described(free))
        if seen not in self._known and len(self._known) >= self._most:
            wanted = "; or ".join(self._known)
            raise ValueError(f"new shapes: {seen} given, {wanted} wanted")
        self._known[seen] = None


def _described(content: Mapping[str, Any], inside: str = "") -> list[str]:
    """The arrays of an observation, in order of their names."""
    found = []
    for name in sorted(content, key=str):
        value = content[name]
        if isinstance(value, Mapping):
            found += _described(value, f"{inside}{name}/")
        elif not isinstance(value, str | bytes):
            array = np.asarray(value)
            found.append(f"{inside}{name} {array.dtype} {list(array.shape)}")
    return found
