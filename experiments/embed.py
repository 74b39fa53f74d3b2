"""Assemble the embedded default: `configs/embed.py` says how to run it.

Writes `checkpoint/`, `episodes/` and `success.csv` into `<workdir>`; copying them over
`iss_jax/embedded/` is the last, deliberate step.
"""

import collections
import dataclasses
import shutil
from pathlib import Path

import ml_collections

from experiments.runs import app
from iss_jax.data.dataset import open_dataset
from iss_jax.data.episode import Episode
from iss_jax.data.lerobot import write_episode
from iss_jax.data.strided import strided_frames
from iss_jax.data.success import read_success, write_success
from iss_jax.jobs.packaged import located
from iss_jax.pi05.checkpoint import restore_params

_FPS = 1.0  # nominal: the frames of an episode are not evenly apart
GROUP = ("suite", "task", "split", "seed")  # a row of the success table


def thin(episode: Episode, frames: int) -> Episode:
    """So many frames, evenly spread; all, where there are no more."""
    rows = strided_frames(len(episode), 1, frames)

    return dataclasses.replace(episode.take(rows), fps=_FPS, features={})


def embed(config: ml_collections.ConfigDict, workdir: Path) -> float:
    """Assemble; returns the size in MB.

    Raises:
        ValueError: No checkpoint is given, `workdir` is not empty, or the data outgrow
            `config.limit`.
    """
    checkpoint = located(config.checkpoint, "checkpoint")
    if workdir.exists() and any(workdir.iterdir()):
        raise ValueError(f"{workdir}: not empty")
    workdir.mkdir(parents=True, exist_ok=True)
    restore_params(checkpoint)
    for name in ("params", "assets"):
        shutil.copytree(checkpoint / name, workdir / "checkpoint" / name)
    write_success(workdir / "success.csv", read_success(located(config.success, "success")))

    written: collections.Counter = collections.Counter()
    for root in config.episodes:
        dataset = open_dataset(located(root, "dataset"))
        for i in range(len(dataset)):
            metadata = dataset.metadata(i)
            group = tuple(metadata[name] for name in GROUP)
            if written[group] < config.episodes_per_row:
                write_episode(
                    workdir / "episodes",
                    thin(dataset.read(i), config.frames_per_episode),
                    robot_type="panda",
                )
                written[group] += 1
    print(f"{sum(written.values())} episodes of {len(written)} tasks and seeds")
    size = sum(path.stat().st_size for path in workdir.rglob("*") if path.is_file()) / 1e6
    if size > config.limit:
        raise ValueError(f"{workdir}: {size:.1f} MB, at most {config.limit} wanted")
    return size


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment."""
    print(f"{embed(config, workdir):.1f} MB in {workdir}")


if __name__ == "__main__":
    app.run(main, "embed", many_processes=False)
