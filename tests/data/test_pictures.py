"""Pictures are decoded whole or not at all, and not before their size is known."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from iss_jax.data.pictures import decode

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def _encoded(pixels, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def _chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _empty(width, height):
    """A PNG that says how large it is, and has no pixel."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", b"") + _chunk(b"IEND", b"")


def test_a_picture_comes_back_to_the_bit():
    np.testing.assert_array_equal(decode(_encoded(PIXELS), "here", shape=(5, 7, 3)), PIXELS)
    grey = decode(_encoded(PIXELS), "here", mode=lambda own: "L")
    assert grey.shape == (5, 7)
    depth = np.full((5, 7), 700, np.uint16)
    np.testing.assert_array_equal(decode(_encoded(depth, "TIFF"), "here"), depth)


@pytest.mark.parametrize("side", [6_000, 11_000, 10**6])
def test_a_huge_picture_is_refused_before_it_takes_memory(side):
    """At 11,000 pixels a side Pillow warns, at 10^6 it raises an error of its own."""
    with pytest.raises(ValueError, match=r"frame 3: the image cannot be decoded \("):
        decode(_empty(side, side), "frame 3")


def test_a_picture_of_another_size_is_not_decoded():
    wanted = r"frame 3: image uint8 \[6000, 6000, 3\] found, uint8 \[5, 7, 3\] wanted by info"
    with pytest.raises(ValueError, match=wanted):
        decode(_empty(6_000, 6_000), "frame 3", shape=(5, 7, 3))


def test_every_flipped_byte_of_a_png_is_noticed_or_changes_nothing():
    whole, unnoticed = _encoded(PIXELS), []
    for place in range(len(whole)):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1
        try:
            found = decode(bytes(spoilt), "here", shape=PIXELS.shape)
        except ValueError as error:
            assert str(error).startswith("here: ")
            continue
        np.testing.assert_array_equal(found, PIXELS)
        unnoticed.append(place)
    # Only in the last chunk, which holds nothing.
    assert all(place >= len(whole) - 12 for place in unnoticed)


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage",
        _encoded(PIXELS)[:40],
    ],
)
def test_what_is_no_picture_is_named(data):
    with pytest.raises(ValueError, match=r"^here: the image cannot be decoded \("):
        decode(data, "here")


def test_a_text_that_inflates_is_refused():
    text = _chunk(b"zTXt", b"a\0\0" + zlib.compress(b"a" * 10**8, 9))
    whole = _encoded(PIXELS)
    with pytest.raises(ValueError, match="here: the image cannot be decoded"):
        decode(whole[:33] + text + whole[33:], "here")
