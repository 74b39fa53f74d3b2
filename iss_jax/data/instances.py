"""Instance labels as they are stored: numbers in the channels of an image, names as JSON.

A number is R + 256 G + 65536 B, as in COCO's panoptic images, so that other tools read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from iss_jax.few import short

MOST = 2**24 - 1
NAMES = "instance_names"
"""Under this name the metadata of an episode hold what its numbers are."""


def to_channels(numbers: np.ndarray, where: str) -> np.ndarray:
    """uint8 [T, h, w, 3] for numbers [T, h, w].

    >>> to_channels(np.array([[[5, 258]]], np.int32), "here").tolist()
    [[[[5, 0, 0], [2, 1, 0]]]]

    Raises:
        ValueError: A number has no place in three channels.
    """
    if numbers.max(initial=0) > MOST:
        raise ValueError(f"{where}: number {numbers.max()} given, at most {MOST} can be stored")
    return np.stack([(numbers >> shift & 255).astype(np.uint8) for shift in (0, 8, 16)], axis=-1)


def from_channels(image: np.ndarray) -> np.ndarray:
    """Inverse of `to_channels`, int32."""
    red, green, blue = (image[..., channel].astype(np.int32) for channel in range(3))
    return red | green << 8 | blue << 16


def names_to_json(names: Mapping[int, str]) -> dict[str, dict[str, str]]:
    """The entry of an episode's metadata; nothing where nothing has a name."""
    return {NAMES: {str(number): name for number, name in names.items()}} if names else {}


def names_from_json(content: Any, where: str) -> dict[int, str]:
    """Inverse of `names_to_json`, of the entry's value.

    Args:
        content: Number -> name; None where there is no entry.
        where: The file and line, for messages.

    Raises:
        ValueError: It is something else.
    """
    given = {} if content is None else content
    if not isinstance(given, dict) or not all(
        number.isdecimal() and len(number) < 19 and isinstance(name, str)
        for number, name in given.items()
    ):
        raise ValueError(f"{where}: {NAMES} is {short(content)}, numbers to names wanted")
    return {int(number): name for number, name in given.items()}
