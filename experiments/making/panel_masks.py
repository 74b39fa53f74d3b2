"""Masks of the planted panel beside a dataset, which `locate_panels` writes."""

import os

import numpy as np

from experiments.making.object_pixels import CAMERAS
from iss_jax.data.dataset import Dataset, num_frames

FILE = os.path.join("meta", "panel_masks.npz")


def read_masks(dataset: Dataset) -> dict[str, np.ndarray]:
    """What `locate_panels` wrote: camera to packed masks, uint8 [frames, bytes].

    Raises:
        ValueError: it has not been run on the dataset, or episodes were added since.
    """
    path = dataset.root / FILE
    if not path.exists():
        raise ValueError(f"{path}: missing; run locate_panels on the dataset")
    with np.load(path, allow_pickle=False) as file:
        masks = file["masks"]
    if len(masks) != num_frames(dataset):
        raise ValueError(
            f"{path}: {len(masks)} frames, the dataset has {num_frames(dataset)}; run "
            "locate_panels again"
        )
    return {camera: masks[:, i] for i, camera in enumerate(CAMERAS)}


def unpacked(masks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Packed masks, uint8 [..., bytes], as bool [..., h, w]."""
    bits = np.unpackbits(masks, axis=-1, count=shape[0] * shape[1])
    return bits.reshape(*masks.shape[:-1], *shape).astype(bool)
