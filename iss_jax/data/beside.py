"""Region masks beside a dataset, for datasets that have none or better ones.

`<dataset>/regions/episode_000000.npz` holds, for each camera, uint8 [T, h, w] labels of that
episode's frames (0 nuisance, 1 support, 2 action-critical). A camera's masks beside the dataset
take the place of those inside it.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from iss_jax.data.atomic import atomic_path

FOLDER = "regions"
LABELS = 3
_DAMAGE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)


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
        np.savez_compressed(temporary, **dict(regions))
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


def load_arrays(path: Path, where: str) -> dict[str, np.ndarray]:
    """All arrays of an npz file, or the one of an npy file under the name ``; nothing is unpickled.

    Raises:
        ValueError: the file cannot be read, or an array could only be had by unpickling.
    """
    with open(path, "rb") as handle:
        try:
            file = np.load(handle, allow_pickle=False)
        except _DAMAGE as error:
            raise ValueError(f"{where}: {_unreadable(error)}") from error
        if isinstance(file, np.ndarray):
            return {"": file}
        found = {}
        with file:
            for name in file.files:
                try:
                    found[name] = file[name]
                except _DAMAGE as error:
                    raise ValueError(f"{where}, array {name!r}: {_unreadable(error)}") from error
    return found


def check_labels(labels: np.ndarray, length: int | None, where: str) -> None:
    """Checks that an array is uint8 [T, h, w] of known labels.

    Args:
        labels: the array.
        length: the frames it must have, any when None.
        where: the file, episode and camera, for messages.

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
        raise ValueError(
            f"{where}, frame {frame}: label {labels[frame].max()}, only 0 (nuisance), 1 (support) "
            "and 2 (action-critical) are known"
        )


def _unreadable(error: Exception) -> str:
    if "allow_pickle" in str(error):
        return (
            "holds Python objects, which could only be unpickled, and nothing is; store plain "
            "arrays of numbers or strings"
        )
    return f"cannot be read ({error})"
