"""Encoded pictures: their size is checked before memory is taken, their checksums before use."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np

from iss_jax.data.bounds import check_pixels
from iss_jax.extras import imports_of

with imports_of("data"):
    from PIL import Image

# Plain raster formats: others start programs (EPS) or draw (WMF).
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
# What decoders raise at bytes that are no picture.
_DAMAGE = (
    *(OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError),
    *(MemoryError, AttributeError, RuntimeError, AssertionError, ZeroDivisionError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def decode(
    data: bytes | None,
    where: str,
    *,
    shape: tuple[int, ...] | None = None,
    mode: Callable[[str], str] = lambda own: own,
) -> np.ndarray:
    """Decodes a picture.

    Args:
        data: The encoded picture.
        where: The file and frame, for messages.
        shape: [h, w, ...] that it must have; any of at most `bounds.MOST_PIXELS` when None.
        mode: Pillow's mode of the picture -> the mode wanted.

    Returns:
        [h, w] or [h, w, channels].

    Raises:
        ValueError: It cannot be decoded, its checksum is wrong, or it is of another size.
    """
    try:
        if data is None:
            raise ValueError("no bytes")
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            own, found = image.mode, [image.height, image.width, len(image.getbands())]
            fits = shape is None or tuple(found[:2]) == shape[:2]
            if fits:
                check_pixels(image.height, image.width, "the header")
                image.verify()
    except _DAMAGE as error:
        raise ValueError(f"{where}: the image cannot be decoded ({error})") from error
    if shape is not None and not fits:
        kind = own if own.startswith(("I", "F")) else "uint8"
        raise ValueError(
            f"{where}: image {kind} {found} found, uint8 {list(shape)} wanted by info.json"
        )
    wanted = mode(own)
    try:
        # `verify` leaves nothing to decode, so the picture is opened again.
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            return np.asarray(image if wanted == own else image.convert(wanted))
    except _DAMAGE as error:
        raise ValueError(f"{where}: the image cannot be decoded ({error})") from error
