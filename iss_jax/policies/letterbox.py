"""Which pixels of a live policy's views are picture: what its own transforms make of white frames.

A transform letterboxes a frame before the policy sees it. White frames and black ones are pushed
through it: pixels that are the same in both are bars, whatever the transform does.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Pixels = dict[str, np.ndarray]


def is_frame(value: Any) -> bool:
    """Whether an entry of a robot's dict is a camera's frame: [h, w, 3] or [3, h, w].

    >>> import numpy as np
    >>> is_frame(np.zeros((4, 6, 3))), is_frame(np.zeros((3, 4, 6))), is_frame(np.zeros(8))
    (True, True, False)
    """
    shape = np.shape(value) if hasattr(value, "shape") else ()
    return len(shape) == 3 and 3 in (shape[0], shape[-1])


def filled(raw: Mapping[str, Any], bright: bool) -> dict[str, Any]:
    """A robot's dict with white or black frames in the place of its own, nested ones too.

    Args:
        raw: The dict. Integers are white at 255, floats at 1.
        bright: Whether they are white.
    """
    found = {}
    for name, value in raw.items():
        if isinstance(value, Mapping):
            found[name] = filled(value, bright)
        elif is_frame(value):
            array = np.asarray(value)
            white = 255 if np.issubdtype(array.dtype, np.integer) else 1.0
            found[name] = np.full(array.shape, white if bright else 0, array.dtype)
        else:
            found[name] = value
    return found


def picture_of(
    observe: Callable[[Mapping[str, Any]], Any], raw: Mapping[str, Any]
) -> Pixels | None:
    """View -> bool [1, h, w], the pixels that a frame reaches; None where it reaches all.

    A view that no frame reaches is left out: it is absent, or not the robot's.

    >>> import types
    >>> def observe(raw):  # a bar below the frame
    ...     image = np.pad(raw["front"] / 127.5 - 1, ((0, 2), (0, 0), (0, 0)), constant_values=-1)
    ...     return types.SimpleNamespace(images={"base_0_rgb": image[None]})
    >>> found = picture_of(observe, {"front": np.zeros((2, 3, 3), np.uint8)})
    >>> found["base_0_rgb"][0, :, 0].tolist()
    [True, True, False, False]

    Args:
        observe: The robot's dict -> what the policy sees, of batch one.
        raw: The robot's dict.
    """
    white, black = (observe(filled(raw, bright)).images for bright in (True, False))
    found = {}
    for view in white:
        moved = np.abs(np.asarray(white[view], np.float32) - np.asarray(black[view], np.float32))
        reached = moved.max(-1)
        if reached.max() > 0:
            found[view] = reached > 0.5 * reached.max()
    return None if all(inside.all() for inside in found.values()) else found


class Remembered:
    """`picture_of`, worked out once for frames of the same sizes.

    Args:
        observe: As of `picture_of`.
    """

    def __init__(self, observe: Callable[[Mapping[str, Any]], Any]) -> None:
        self._observe = observe
        self._known: dict[tuple[Any, ...], Pixels | None] = {}

    def __call__(self, raw: Mapping[str, Any]) -> Pixels | None:
        """Of a robot's dict."""
        sizes = tuple(_sizes(raw))
        if sizes not in self._known:
            self._known[sizes] = picture_of(self._observe, raw)
        return self._known[sizes]


def _sizes(raw: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = []
    for name, value in sorted(raw.items()):
        if isinstance(value, Mapping):
            found += [(name, tuple(_sizes(value)))]
        elif is_frame(value):
            array = np.asarray(value)
            found.append((name, array.shape, str(array.dtype)))
    return found
