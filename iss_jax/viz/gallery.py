"""A scatter whose points show their frames when they are chosen, as one page of its own.

`gallery_page/` holds its template, its style and its script; it loads nothing from elsewhere.
"""

import base64
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from iss_jax.data.atomic import write_bytes
from iss_jax.viz.explorer import webp
from iss_jax.viz.page import page_html

QUALITY = 70


@dataclasses.dataclass(frozen=True)
class ShownPoint:
    """A row of a table with its frames.

    Attributes:
        name: In the list of rows.
        group: Points of a group share a mark and a colour.
        measures: Name -> value; NaN where it is not known.
        y: What the measures stand against.
        said: What the page says beside its frames.
        frames: A frame each: camera -> picture.
    """

    name: str
    group: str
    measures: Mapping[str, float]
    y: float
    said: str
    frames: Sequence[Mapping[str, UInt8[np.ndarray, "h w 3"]]]


def write_gallery(
    path: Path, points: Sequence[ShownPoint], *, title: str, ylabel: str, said: str = ""
) -> Path:
    """Writes the page.

    Args:
        path: Of the HTML file; its folder must exist.
        points: All of one set of measures, of which the first is shown first.
        title: Of the page.
        ylabel: What y is.
        said: A sentence beneath the title.

    Raises:
        ValueError: No point, points of other measures, or a y that is not finite; the message names
            the first.
    """
    write_bytes(path, gallery_html(points, title=title, ylabel=ylabel, said=said).encode())
    return path


def gallery_html(points: Sequence[ShownPoint], *, title: str, ylabel: str, said: str = "") -> str:
    """The page as text; arguments and errors of `write_gallery`."""
    if not points:
        raise ValueError("points: none given, one at least wanted")
    measures = list(points[0].measures)
    for point in points:
        if not math.isfinite(point.y):
            raise ValueError(f"{point.name}: y is {point.y}, a finite number wanted")
        if list(point.measures) != measures:
            raise ValueError(
                f"{point.name}: measures {list(point.measures)} given, {measures} wanted as of "
                f"{points[0].name}"
            )
    content = {
        "measures": measures,
        "ylabel": ylabel,
        "points": [
            {
                "name": point.name,
                "group": point.group,
                "values": [_known(point.measures[name]) for name in measures],
                "y": point.y,
                "said": point.said,
                "frames": [
                    {
                        camera: base64.b64encode(webp(picture, QUALITY)).decode()
                        for camera, picture in frame.items()
                    }
                    for frame in point.frames
                ],
            }
            for point in points
        ],
    }
    return page_html("gallery_page", content, title=title, said=said)


def _known(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
