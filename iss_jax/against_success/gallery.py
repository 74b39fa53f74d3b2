"""Rows of NMR against success as a page: a click on a row shows frames that it was measured on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iss_jax.against_success.rows import Row, nmr_name
from iss_jax.data.dataset import Dataset
from iss_jax.data.success import ALL_SPLITS
from iss_jax.extras import imports_of
from iss_jax.policies.frames import FrameOptions, read_frames
from iss_jax.viz.gallery import ShownPoint, write_gallery

with imports_of("viz"):
    from PIL import Image

MOST_FRAMES = 2
MOST_PIXELS = 128
"""Of a row, and of a picture's longer side: the page shows which scene it is, no more."""


_KEY = ("suite", "task", "split", "seed")


def write_row_gallery(
    path: Path,
    rows: Sequence[Row],
    items: Sequence[Mapping[str, Any]],
    dataset: Dataset,
    percent: float,
) -> Path:
    """Writes the page of some rows.

    Args:
        path: Of the HTML file.
        rows: What was measured.
        items: The work items, of which each row's first names its frames.
        dataset: The episodes.
        percent: k of the paper's NMR@k that is shown beside NMR by effect.
    """
    first: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for item in items:
        first.setdefault(tuple(item[name] for name in _KEY), item)
    points = [
        _point(row, first[tuple(getattr(row.success, name) for name in _KEY)], dataset, percent)
        for row in rows
    ]
    return write_gallery(
        path,
        points,
        title="NMR against success",
        ylabel="success rate",
        said=f"{len(rows)} rows, a task under a seed each.",
    )


def _point(row: Row, item: Mapping[str, Any], dataset: Dataset, percent: float) -> ShownPoint:
    success = row.success
    shown = {
        "NMR by effect": "nmr_effect",
        "the same, labels shifted": "nmr_effect_chance",
        f"the paper's NMR@{percent:g}": nmr_name(percent),
        "nuisance share of the area": "chance",
    }
    split = "" if success.split == ALL_SPLITS else success.split
    of = ", ".join(part for part in (success.suite, split, f"seed {success.seed}") if part)
    return ShownPoint(
        name=f"{success.task.replace('_', ' ')} ({of})",
        group=success.suite or "all rows",
        measures={
            label: row.measures[name] for label, name in shown.items() if name in row.measures
        },
        y=success.rate,
        said=f"{success.successes} of {success.trials} trials.",
        frames=_frames(item, dataset),
    )


def _frames(item: Mapping[str, Any], dataset: Dataset) -> list[dict[str, np.ndarray]]:
    options = FrameOptions.of_item(item)
    numbers = item["frames"][:MOST_FRAMES]
    episode = read_frames(dataset, item["episode"], numbers, options, labels="none")
    return [
        {camera: _small(episode.images[camera][t]) for camera in options.used.values()}
        for t in range(len(numbers))
    ]


def _small(frame: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(frame)
    picture.thumbnail((MOST_PIXELS, MOST_PIXELS))
    return np.asarray(picture)
