"""Region masks beside a dataset, for datasets that have none or better ones.

`<dataset>/regions/episode_000000.npz` holds, for each camera, uint8 [T, h, w] labels of that
episode's frames (0 nuisance, 1 support, 2 action-critical). A camera's masks beside the dataset
take the place of those inside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from iss_jax.data.atomic import atomic_path
from iss_jax.data.npz import load_arrays, save_arrays

FOLDER = "regions"
LABELS = 3


def regions_path(folder: Path, episode: int) -> Path:
    """Where the masks of an episode lie in a folder of masks."""
    return folder / f"episode_{episode:06d}.npz"


def write_regions(folder: Path, episode: int, regions: Mapping[str, np.ndarray]) -> Path:
    """Writes the masks of an episode; an interrupted write leaves none or the former ones.

    Args:
        folder: the folder of masks, `<dataset>/regions`.
        episode: its index in the dataset.
        regions: camera to uint8 [T, h, w] labels.

    Returns:
        The file.

    Raises:
        ValueError: an array is not of labels.
    """
    path = regions_path(folder, episode)
    for camera, labels in regions.items():
        check_labels(labels, None, f"{path} (episode {episode}), camera {camera!r}")
    with atomic_path(path) as temporary:
        save_arrays(temporary, regions)
    return path


def read_regions(folder: Path, episode: int, length: int) -> dict[str, np.ndarray]:
    """The masks of an episode, none where there is no file.

    Args:
        folder: the folder of masks.
        episode: its index in the dataset.
        length: its frames.

    Raises:
        ValueError: the file cannot be read or holds something else; the message names the file, the
            episode, the camera and, where it is one, the frame.
    """
    path = regions_path(folder, episode)
    if not path.exists():
        return {}
    where = f"{path} (episode {episode})"
    found = {}
    for camera, labels in load_arrays(path, where).items():
        check_labels(labels, length, f"{where}, camera {camera!r}")
        found[camera] = labels
    return found


def check_labels(
    labels: np.ndarray, length: int | None, where: str, rows: np.ndarray | None = None
) -> None:
    """Checks that an array is uint8 [T, h, w] of known labels.

    Args:
        labels: the array.
        length: the frames it must have, any when None.
        where: the file, episode and camera, for messages.
        rows: the frames those are, for messages; the first T when None.

    Raises:
        ValueError: it is not.
    """
    if labels.ndim != 3 or labels.dtype != np.uint8:
        raise ValueError(f"{where}: {labels.dtype} {list(labels.shape)}, uint8 [T, h, w] wanted")
    if length is not None and len(labels) != length:
        raise ValueError(f"{where}: masks of {len(labels)} frames, the episode has {length}")
    wrong = np.any(labels >= LABELS, axis=(1, 2))
    if np.any(wrong):
        frame = int(np.argmax(wrong))
        number = frame if rows is None else rows[frame]
        raise ValueError(
            f"{where}, frame {number}: label {labels[frame].max()}, only 0 (nuisance), 1 (support) "
            "and 2 (action-critical) are known"
        )
