"""Frames that the zoo's policies are taught and measured on: `configs/zoo_frames.py`.

    python -m experiments.zoo_frames --config=configs/zoo_frames.py --workdir=datasets/zoo

The workdir receives a dataset for every layout to teach on and one that is held out, all with
region and instance labels. Run again, it goes on after the last task.
"""

from pathlib import Path

import ml_collections
import tqdm

from experiments.runs import app
from experiments.zoo.expert_frames import expert_episodes
from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import write_episode


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment."""
    from iss_jax.envs.libero import make
    from iss_jax.envs.suites import list_tasks

    tasks = list_tasks(config.suite)
    for index in tqdm.tqdm(config.tasks, unit="task"):
        env = None
        for name, part in config.parts.items():
            folder = workdir / name
            if tasks[index].name in _tasks(folder):
                continue
            env = make(config.suite, index, image_size=config.image_size) if env is None else env
            # All of a task's episodes or none, but for what the disk refuses.
            episodes = list(
                expert_episodes(
                    env,
                    layout=part.layout,
                    count=part.episodes,
                    init_states=tuple(part.init_states),
                    first_seed=part.first_seed + 100 * index,
                    frame_every=config.frame_every,
                    max_steps=config.max_steps,
                )
            )
            for episode in episodes:
                write_episode(folder, episode, robot_type="panda")
    for name in config.parts:
        dataset = open_dataset(workdir / name)
        frames = sum(dataset.metadata(i)["length"] for i in range(len(dataset)))
        print(f"{name}: {frames} frames of {len(dataset)} episodes in {workdir / name}")


def _tasks(folder: Path) -> set[str]:
    if not (folder / "meta" / "info.json").exists():
        return set()
    dataset = open_dataset(folder)
    return {dataset.metadata(i)["task"] for i in range(len(dataset))}


if __name__ == "__main__":
    app.run(main, "zoo_frames", many_processes=False)
