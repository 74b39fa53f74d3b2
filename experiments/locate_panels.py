"""Where the floor panel of the planted shortcuts is seen in every frame of collected datasets.

    python -m experiments.locate_panels --config=configs/locate_panels.py

Writes `<dataset>/meta/panel_masks.npz` beside the episodes: `masks`, uint8 [frames, cameras,
bytes], the bits of [h, w] masks, packed, cameras in the order of `CAMERAS`; and the `rectangle`.
The scenes are rendered again from the recorded simulator states, since what stands before the panel
hides it.
"""

from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import tqdm

from experiments.making.object_pixels import CAMERAS
from experiments.making.panel_masks import FILE
from experiments.planted.cue import RECTANGLE
from experiments.runs import app
from iss_jax.data.atomic import atomic_path
from iss_jax.data.copies import copied
from iss_jax.data.dataset import Dataset, open_dataset


def locate(dataset: Dataset, envs: dict[tuple[str, int], Any]) -> np.ndarray:
    """Packed masks of all frames of a dataset, uint8 [frames, cameras, bytes]."""
    from iss_jax.envs import libero

    size = dataset.read(0, [0], regions=False).images[CAMERAS[0]].shape[1]
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


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment; `workdir` gets the copies where some are made."""
    envs: dict[tuple[str, int], Any] = {}
    for given in map(Path, config.datasets):
        root = copied(given, workdir) if config.copy else given
        masks = locate(open_dataset(root), envs)
        path = root / FILE
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, masks=masks, rectangle=np.array(RECTANGLE))
        print(f"{path}: {len(masks)} frames")


if __name__ == "__main__":
    app.run(main, "locate_panels", many_processes=False)
