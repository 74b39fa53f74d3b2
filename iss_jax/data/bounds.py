"""How much memory a file may ask for: what its size cannot account for is refused unread."""

from __future__ import annotations

FREE = 200_000_000
"""Bytes of memory that any file may ask for."""
RATIO = 200
"""Bytes of memory that each byte of a larger file may stand for."""
MOST_PIXELS = 2**25
"""Pixels of one picture, those of 8K video."""


def allowed(stored: int) -> int:
    """Bytes of memory that a file of `stored` bytes may ask for."""
    return max(FREE, RATIO * stored)


def check_bytes(wanted: int, stored: int, where: str) -> None:
    """Checks that a file does not ask for more memory than its size accounts for.

    Args:
        wanted: Bytes that its content would take.
        stored: Bytes of the file.
        where: The file, for messages.

    Raises:
        ValueError: It does.
    """
    if wanted > allowed(stored):
        raise ValueError(
            f"{where}: {wanted} bytes of memory wanted by a file of {stored}; at most "
            f"{allowed(stored)} are taken"
        )


def check_pixels(height: int, width: int, where: str) -> None:
    """Checks that a picture is no larger than one of 8K video.

    Args:
        height: Of the picture.
        width: Of the picture.
        where: The file and frame, for messages.

    Raises:
        ValueError: It is larger.
    """
    if height * width > MOST_PIXELS:
        raise ValueError(
            f"{where}: a picture of {height} x {width} pixels, at most {MOST_PIXELS} are taken"
        )
