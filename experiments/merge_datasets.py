"""Several datasets of the same cameras and features as one.

    python -m experiments.merge_datasets --config=configs/merge_datasets.py --workdir=<new folder>

Episodes keep their order, and their metadata but for what `config.metadata` sets.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import tqdm

from experiments import app
from iss_jax.data.lerobot import open_dataset, write_episode


def merge(roots: Sequence[str], metadata: Mapping[str, Any], out: Path) -> int:
    """Writes the episodes of all datasets into a new one.

    Args:
        roots: the datasets.
        metadata: goes before the episodes' own.
        out: folder of the new dataset.

    Returns:
        The number of episodes.

    Raises:
        ValueError: `out` is not empty, or the datasets differ in features, shapes or fps.
    """
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out}: not empty")
    datasets = [open_dataset(root) for root in roots]
    places = [(dataset, i) for dataset in datasets for i in range(len(dataset))]
    for dataset, i in tqdm.tqdm(places, unit="episode"):
        episode = dataset.read(i)
        merged = dataclasses.replace(episode, metadata={**episode.metadata, **metadata})
        write_episode(out, merged, robot_type=dataset.info["robot_type"])
    return len(places)


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment."""
    count = merge(config.datasets, config.metadata.to_dict(), workdir)
    print(f"{count} episodes in {workdir}")


if __name__ == "__main__":
    app.run(main, "merge_datasets")
