"""Writes episode folders (see `folders`)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from iss_jax.data.atomic import atomic_directory, atomic_path
from iss_jax.data.beside import check_labels
from iss_jax.data.episode import Episode
from iss_jax.data.folders import FEATURE, INSTANCES, RENAMED, STATES
from iss_jax.data.instances import names_to_json
from iss_jax.data.npz import save_arrays
from iss_jax.extras import imports_of

with imports_of("data"):
    from PIL import Image


def write_folders(
    root: str | os.PathLike, episodes: Iterable[Episode], *, robot_type: str | None = None
) -> int:
    """Writes episode folders: all of them, or nothing.

    The task folder is named by the metadata's `task`, else by the instruction.

    Args:
        root: the folder: not there yet, or empty.
        episodes: the episodes.
        robot_type: stored beside the metadata.

    Returns:
        The number of episodes.

    Raises:
        FileExistsError: `root` is not empty.
        ValueError: there is no episode, or a name cannot be one of a file.
    """
    count = 0
    with atomic_directory(root) as folder:
        for episode in episodes:
            task = _file_name(str(episode.metadata.get("task") or episode.prompt))
            # Numbered over all tasks, so that the order of the episodes can be had back.
            _write(folder / task / f"episode{count}", episode, count, robot_type)
            count += 1
        if not count:
            raise ValueError(f"{root}: no episodes")
    return count


def write_masks(folder: Path, regions: Mapping[str, np.ndarray], episode: int) -> list[Path]:
    """Writes an episode's masks where this layout has them.

    Args:
        folder: the episode's folder.
        regions: camera to uint8 [T, h, w] labels.
        episode: its index, for messages.

    Returns:
        The files.

    Raises:
        ValueError: an array is not of labels.
    """
    paths = []
    for camera, labels in regions.items():
        path = folder / "masks" / f"mask_{camera}_rgb.npy"
        check_labels(labels, None, f"{path} (episode {episode})")
        with atomic_path(path) as temporary:
            np.save(temporary, labels, allow_pickle=False)
        paths.append(path)
    return paths


def _write(folder: Path, episode: Episode, index: int, robot_type: str | None) -> None:
    for camera, images in episode.images.items():
        name = _file_name(camera)
        if name != camera or camera.endswith("_rgb") or camera in RENAMED:
            raise ValueError(f"camera {camera!r} cannot be the name of a folder of frames")
        target = folder / camera
        target.mkdir(parents=True)
        for frame, image in enumerate(images):
            Image.fromarray(image).save(target / f"{frame:06d}.png", compress_level=1)
    write_masks(folder, episode.regions, index)
    for camera, numbers in episode.instances.items():
        (folder / INSTANCES).mkdir(exist_ok=True)
        np.save(folder / INSTANCES / f"{camera}.npy", numbers, allow_pickle=False)
    arrays = {
        "joint_position": episode.state[:, :-1],
        "gripper_position": episode.state[:, -1:],
        "prompt": np.array(episode.prompt),
        "fps": np.array(episode.fps),
        **({"action": episode.action} if episode.action.shape[1] else {}),
        **{FEATURE + name: value for name, value in episode.features.items()},
    }
    for name, value in episode.features.items():
        if value.dtype.kind not in "biuf":
            raise ValueError(f"features[{name!r}]: dtype {value.dtype} given, a number wanted")
    save_arrays(folder / STATES[0], arrays)
    content = {
        "index": index,
        "robot_type": robot_type,
        "metadata": dict(episode.metadata),
        **names_to_json(episode.instance_names),
    }
    (folder / "episode.json").write_text(json.dumps(content, indent=2))


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._") or "task"
