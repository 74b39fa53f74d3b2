"""Records whole episodes of a policy in the simulator: `configs/record_episodes.py` says how.

Writes them to `episodes/` in the run directory, a LeRobot dataset whose metadata hold suite, task,
split, seed, trial, success and steps. Run again, it records what is not there.
"""

import dataclasses
from pathlib import Path
from typing import Any

import ml_collections
import tqdm

from experiments.making.trials import HELD_OUT_INIT_STATES, TRIALS_APART, act_out
from experiments.runs import app
from iss_jax.data.dataset import open_dataset
from iss_jax.data.episode import Episode
from iss_jax.data.lerobot import write_episode
from iss_jax.envs.benchmarks import STUDY
from iss_jax.few import few
from iss_jax.jobs.directory import open_run

SEEDS = (0, 13, 50, 77, 99)  # those of the study, in its order
NAME = ("suite", "task", "seed", "trial")


def trials(config: ml_collections.ConfigDict) -> list[dict[str, Any]]:
    """What names each trial, and where it starts.

    Raises:
        ValueError: a seed that is not the study's.
    """
    unknown = sorted({seed for seed, _ in config.starts} - set(SEEDS))
    if unknown:
        raise ValueError(f"config.starts: seeds {few(unknown)} given, of {SEEDS} wanted")
    return [
        {
            "suite": suite,
            "task": task,
            "seed": seed,
            "trial": trial,
            "init_state": (TRIALS_APART * SEEDS.index(seed) + trial) % HELD_OUT_INIT_STATES,
            "layout_seed": 100 * seed + trial,
        }
        for suite, tasks in config.tasks.items()
        for task in tasks
        for seed, trial in config.starts
    ]


def missing(wanted: list[dict[str, Any]], root: Path) -> list[dict[str, Any]]:
    """The trials that are not in the dataset yet."""
    if not (root / "meta" / "info.json").exists():
        return wanted
    dataset = open_dataset(root)
    there = {tuple(dataset.metadata(i)[name] for name in NAME) for i in range(len(dataset))}
    return [trial for trial in wanted if tuple(trial[name] for name in NAME) not in there]


def finished(episode: Episode, trial: dict[str, Any], *, images: bool) -> Episode:
    """The recorded episode, named, with or without what the cameras saw."""
    splits = {(task.suite, task.name): task.split for task in STUDY}
    named = {**episode.metadata, **trial, "split": splits.get((trial["suite"], trial["task"]), "")}
    episode = dataclasses.replace(episode, metadata=named)
    return episode if images else bare(episode)


def bare(episode: Episode) -> Episode:
    """The episode without what the cameras saw."""
    return dataclasses.replace(episode, images={}, regions={}, instances={}, instance_names={})


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment."""
    from iss_jax.envs.rollout import RolloutItem

    run = open_run(workdir, config)
    root = run.path / "episodes"
    by_item = {
        RolloutItem(
            trial["suite"],
            trial["task"],
            trial["init_state"],
            config.layout,
            trial["layout_seed"],
            max_steps=config.max_steps or None,
            record_every=config.record_every,
        ): trial
        for trial in missing(trials(config), root)
    }
    run.claim()
    results = act_out(config, config.checkpoint, list(by_item))
    for item, result in tqdm.tqdm(results, total=len(by_item), unit="trial"):
        episode = finished(result.episode, by_item[item], images=config.images)
        write_episode(root, episode, robot_type="panda")
    if (root / "meta" / "info.json").exists():
        dataset = open_dataset(root)
        for line in map(dataset.metadata, range(len(dataset))):
            print(f"{line['task']} {line['seed']}/{line['trial']}: {line['success']}")
    print(f"episodes: {root}")


if __name__ == "__main__":
    app.run(main, "record_episodes", many_processes=False)
