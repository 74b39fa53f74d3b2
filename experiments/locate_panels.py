"""Where the floor panel of the planted shortcuts is seen in every frame of collected datasets.

    python -m experiments.locate_panels --config=configs/locate_panels.py

Writes `<dataset>/meta/panel_masks.npz` beside the episodes: `masks`, uint8 [frames, cameras,
bytes], the bits of [h, w] masks, packed, cameras in the order of `CAMERAS`; and the `rectangle`.
The scenes are rendered again from the recorded simulator states, since what stands before the panel
hides it.
"""

import os
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import tqdm

from experiments import app
from experiments.locate_objects import CAMERAS
from experiments.planting import RECTANGLE
from iss_jax.data.atomic import atomic_path
from iss_jax.data.lerobot import LeRobotDataset, open_dataset

FILE = os.path.join("meta", "panel_masks.npz")


def locate(dataset: LeRobotDataset, envs: dict[tuple[str, int], Any]) -> np.ndarray:
    """Packed masks of all frames of a dataset, uint8 [frames, cameras, bytes]."""
    from iss_jax.envs import libero

    size = dataset.info["features"][f"observation.images.{CAMERAS[0]}"]["shape"][0]
    packed = []
    for i in tqdm.trange(len(dataset), desc=str(dataset.root)):
        line = dataset.metadata(i)
        if (line["scene"], size) not in envs:
            envs[line["scene"], size] = libero.make(line["suite"], line["scene"], size)
        env = envs[line["scene"], size]
        for state in dataset.read_feature(i, "simulator_state"):
            env.set_simulator_state(state)
            masks = env.panel_masks(RECTANGLE)
            packed.append([np.packbits(masks[camera]) for camera in CAMERAS])
    return np.array(packed)


def read_masks(dataset: LeRobotDataset) -> dict[str, np.ndarray]:
    """What `locate_panels` wrote: camera to packed masks, uint8 [frames, bytes].

    Raises:
        ValueError: it has not been run on the dataset, or episodes were added since.
    """
    path = dataset.root / FILE
    if not path.exists():
        raise ValueError(f"{path}: missing; run locate_panels on the dataset")
    with np.load(path, allow_pickle=False) as file:
        masks = file["masks"]
    if len(masks) != dataset.info["total_frames"]:
        raise ValueError(
            f"{path}: {len(masks)} frames, the dataset has {dataset.info['total_frames']}; run "
            "locate_panels again"
        )
    return {camera: masks[:, i] for i, camera in enumerate(CAMERAS)}


def unpacked(masks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Packed masks, uint8 [..., bytes], as bool [..., h, w]."""
    bits = np.unpackbits(masks, axis=-1, count=shape[0] * shape[1])
    return bits.reshape(*masks.shape[:-1], *shape).astype(bool)


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment; `workdir` is not used."""
    del workdir
    envs: dict[tuple[str, int], Any] = {}
    for root in config.datasets:
        masks = locate(open_dataset(root), envs)
        path = Path(root) / FILE
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, masks=masks, rectangle=np.array(RECTANGLE))
        print(f"{path}: {len(masks)} frames")


if __name__ == "__main__":
    app.run(main, "locate_panels", many_processes=False)
