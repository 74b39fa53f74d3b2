"""A sheet of labelled frames, to be checked by eye."""

from __future__ import annotations

import numpy as np

from iss_jax.data.dataset import Dataset
from iss_jax.viz.labelled import labelled
from iss_jax.viz.overlays import overlay_figure
from iss_jax.viz.picture import Figure

_DARK = 0.35


def labels_sheet(dataset: Dataset, cameras: tuple[str, ...], most: int) -> Figure:
    """The middle frames of some episodes: nuisance darkened, the other regions outlined.

    Args:
        dataset: the episodes, with labels of these cameras.
        cameras: those that are shown.
        most: episodes, spread over the dataset.
    """
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(most, len(dataset))).astype(int))
    rows, names = [], []
    for index in chosen.tolist():
        frame = dataset.metadata(index)["length"] // 2
        episode = dataset.read(index, [frame])
        rows.append(
            {c: labelled(episode.images[c][0], episode.regions[c][0], _DARK) for c in cameras}
        )
        names.append(f"episode {index}\nframe {frame}")
    return overlay_figure(rows, names)
