"""Region masks from label images: each id or colour is of one region."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from iss_jax.data.json_file import read_object
from iss_jax.data.pictures import decode

REGIONS = {"nuisance": 0, "support": 1, "action": 2}
_REST = "*"


class Mapped(NamedTuple):
    """What a mapping file says.

    Attributes:
        ids: id of a label image to region.
        colours: colour of a label image, 0xRRGGBB, to region.
        rest: region of all others; None where they are an error.
    """

    ids: dict[int, int]
    colours: dict[int, int]
    rest: int | None


def read_mapping(path: Path) -> Mapped:
    """Reads a mapping file: JSON, `{"3": "action", "#ff8000": "support", "*": "nuisance"}`.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it cannot be read, or an entry is neither an id nor a colour, or names no
            region; the message names it.
    """
    return as_mapping(read_object(path), f"{path}")


def as_mapping(content: Mapping[str, Any], where: str) -> Mapped:
    """What ids, colours and `*` are, as a mapping file says it.

    >>> as_mapping({"3": "action", "*": "nuisance"}, "here")
    Mapped(ids={3: 2}, colours={}, rest=0)

    Args:
        content: an id, a colour or `*` -> a region.
        where: the file, for messages.

    Raises:
        ValueError: an entry is none of these, or names no region.
    """
    ids, colours, rest = {}, {}, None
    for key, name in content.items():
        if not isinstance(name, str) or name not in REGIONS:
            raise ValueError(f"{where}: {key!r} is {name!r}, one of {list(REGIONS)} wanted")
        if key == _REST:
            rest = REGIONS[name]
        elif re.fullmatch(r"#[0-9a-fA-F]{6}", key):
            colours[int(key[1:], 16)] = REGIONS[name]
        elif re.fullmatch(r"\d{1,18}", key):
            ids[int(key)] = REGIONS[name]
        else:
            raise ValueError(f"{where}: {key!r} is neither an id, a colour #rrggbb nor {_REST!r}")
    return Mapped(ids, colours, rest)


def from_labels(image: np.ndarray, mapping: Mapped, where: str) -> np.ndarray:
    """The regions of a label image.

    Args:
        image: integers [h, w], ids; or uint8 [h, w, 3], colours, or ids where the mapping has no
            colours and the channels are equal.
        mapping: ids or colours to regions.
        where: the file, episode and frame, for messages.

    Returns:
        uint8 [h, w].

    Raises:
        ValueError: an id or colour is not mapped, or the image is of another kind.
    """
    if image.ndim == 3 and image.shape[-1] == 3 and not mapping.colours:
        if np.any(image != image[..., :1]):
            raise ValueError(f"{where}: the image is coloured, the mapping has ids only")
        image = image[..., 0]
    if image.ndim == 3 and image.shape[-1] == 3:
        channels = image.astype(np.int64)
        codes, table = channels @ np.array([65536, 256, 1]), mapping.colours
    elif image.ndim == 2 and image.dtype.kind in "iub":
        codes, table = image.astype(np.int64), mapping.ids
    else:
        raise ValueError(f"{where}: {image.dtype} {list(image.shape)} is no label image")
    found, place = np.unique(codes, return_inverse=True)
    unknown = [int(code) for code in found if int(code) not in table]
    if unknown and mapping.rest is None:
        shown = [f"#{code:06x}" if image.ndim == 3 else code for code in unknown[:5]]
        raise ValueError(f"{where}: {shown} not mapped, and there is no {_REST!r}")
    regions = np.array([table.get(int(code), mapping.rest) for code in found], np.uint8)
    return regions[place.reshape(codes.shape)]


def read_label_image(path: Path, where: str) -> np.ndarray:
    """Decodes a label image: ids where it has one channel or a palette, else colours.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it cannot be decoded.
    """
    if not path.exists():
        raise FileNotFoundError(f"{where}: no label image {path}")
    return decode(
        path.read_bytes(),
        f"{where}: {path}",
        mode=lambda own: own if own in ("L", "P", "1", "I") or own.startswith("I;16") else "RGB",
    )
