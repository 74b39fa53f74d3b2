"""Several datasets of the same cameras and features as one.

    python -m experiments.merge_datasets --config=configs/merge_datasets.py --workdir=<new folder>

Episodes keep their order, and their metadata but for what `config.metadata` sets. Of features
beyond images, regions, state and action those stay that `config.features` names: a simulator's
state is of another size in every scene.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import tqdm

from experiments.runs import app
from iss_jax.data.atomic import atomic_directory
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.data.lerobot import write_episode


def merge(
    roots: Sequence[str], metadata: Mapping[str, Any], out: Path, features: Sequence[str] = ()
) -> int:
    """Writes the episodes of all datasets into a new one: all of them, or nothing.

    Args:
        roots: the datasets.
        metadata: goes before the episodes' own.
        out: folder of the new dataset.
        features: names of the further features to be kept.

    Returns:
        The number of episodes.

    Raises:
        ValueError: `out` is not empty; or the datasets differ in fps, cameras or a shape, and
            nothing was written.
    """
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out}: not empty")
    datasets = [open_dataset(root) for root in roots]
    first = _layout(datasets[0], features)
    for root, dataset in zip(roots, datasets, strict=True):
        own = _layout(dataset, features)
        differing = sorted(name for name in first | own if first.get(name) != own.get(name))
        if differing:
            raise ValueError(f"{root}: differs from {roots[0]} in {differing}")
    places = [(dataset, i) for dataset in datasets for i in range(len(dataset))]
    with atomic_directory(out) as folder:
        for dataset, i in tqdm.tqdm(places, unit="episode"):
            episode = dataset.read(i)
            merged = dataclasses.replace(
                episode,
                features={name: episode.features[name] for name in features},
                metadata={**episode.metadata, **metadata},
            )
            write_episode(folder, merged, robot_type=dataset.robot_type)
    return len(places)


def _layout(dataset: Dataset, features: Sequence[str]) -> dict[str, Any]:
    """Frame rate and shapes, which all datasets must share."""
    episode = dataset.read(0, [0])
    arrays: dict[str, np.ndarray] = {"state": episode.state, "action": episode.action}
    arrays |= {f"images of {camera}": image for camera, image in episode.images.items()}
    arrays |= {f"regions of {camera}": labels for camera, labels in episode.regions.items()}
    arrays |= {f"instances of {camera}": labels for camera, labels in episode.instances.items()}
    arrays |= {name: episode.features[name] for name in features if name in episode.features}
    return {name: value.shape[1:] for name, value in arrays.items()} | {"fps": episode.fps}


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment."""
    count = merge(config.datasets, config.metadata.to_dict(), workdir, config.features)
    print(f"{count} episodes in {workdir}")


if __name__ == "__main__":
    app.run(main, "merge_datasets", many_processes=False)
