"""Closed-loop success over tasks, seeds and trials: `configs/rollout.py` says how to run it.

Writes `success.csv` (a row a task, condition and seed, with `trials` and `successes`),
`trials.csv` (a row a trial, which seeds other runs: `--config.known_trials=<trials.csv>`),
`results.csv` (conditions with Wilson intervals), one file a trial, and in `episodes/` what the
first `recorded` trials of each task and seed saw on native layouts. Run again, it goes on. Several
processes (`--num_processes`) each record into a dataset of their own, `episodes-<i>-of-<n>`.
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
import tqdm

from experiments.making.known_trials import seed_run, trial_rows
from experiments.making.trials import HELD_OUT_LAYOUT_SEEDS, TRIALS_APART, act_out
from experiments.runs import app, versions
from iss_jax.data import lerobot
from iss_jax.data.dataset import open_dataset
from iss_jax.data.success import Success, wilson_interval, write_success
from iss_jax.envs.benchmarks import STUDY, landmarks_of
from iss_jax.jobs.directory import RunDirectory, gather, open_run
from iss_jax.policies.restored import checkpoint_folder, fingerprint

NAME = ("suite", "task", "split", "seed", "trial")  # what names a recorded episode


class Planned(NamedTuple):
    """A task that is to be rolled out.

    Attributes:
        suite: LIBERO's name of the suite.
        task: LIBERO's name of the task.
        split: the study's split, empty outside it.
        max_steps: time-out in control steps.
        trials: condition to trials of each seed.
    """

    suite: str
    task: str
    split: str
    max_steps: int
    trials: Mapping[str, int]


def planned(config: ml_collections.ConfigDict) -> list[Planned]:
    """The tasks of a configuration: the study's, or some of one suite."""
    trials = config.trials.to_dict()
    if config.suite == "study":
        return [
            Planned(task.suite, task.name, task.split, task.max_steps, trials[task.split])
            for task in STUDY
        ]
    from iss_jax.envs.suites import list_tasks

    names = [task.name for task in list_tasks(config.suite)]
    return [
        Planned(config.suite, names[index], "", config.max_steps, trials) for index in config.tasks
    ]


def split_name(task: Planned, condition: str) -> str:
    """What the success table calls a condition: in the study, native layouts have no name."""
    if not task.split:
        return condition
    return task.split if condition == "native" else f"{task.split}_{condition}"


def work_items(config: ml_collections.ConfigDict, tasks: Sequence[Planned]) -> list[dict[str, Any]]:
    """One item a trial; what it starts from follows from its seed and number.

    Raises:
        FileNotFoundError: the checkpoint cannot act; the message names what it lacks.
        ValueError: a seed or a number of trials whose layouts `collect` may have trained on.
    """
    most = max((count for task in tasks for count in task.trials.values()), default=0)
    if max(config.seeds) >= HELD_OUT_LAYOUT_SEEDS // 100 or most > 100:
        raise ValueError(
            f"seeds {tuple(config.seeds)}, {most} trials: seeds below "
            f"{HELD_OUT_LAYOUT_SEEDS // 100} and at most 100 trials wanted"
        )
    policy = fingerprint(checkpoint_folder(config.checkpoint))
    return [
        {
            "policy": policy,
            "suite": task.suite,
            "task": task.task,
            "condition": condition,
            "split": split_name(task, condition),
            "seed": seed,
            "trial": trial,
            # The same starts in every task and condition. They do not depend on how many trials
            # there are, so that a run can be widened.
            "init_state": (TRIALS_APART * index + trial) % config.init_states,
            "layout_seed": 100 * seed + trial,
            "record": condition == "native" and trial < config.recorded,
            "image_size": config.image_size,
            "action_horizon": config.action_horizon,
            "execute": config.execute,
            "max_steps": task.max_steps,
            "num_steps": config.num_steps,
            **({} if config.robot == "embedded" else {"robot": config.robot}),
        }
        for task in tasks
        for condition, count in task.trials.items()
        for index, seed in enumerate(config.seeds)
        for trial in range(count)
    ]


def run_trials(
    run: RunDirectory, config: ml_collections.ConfigDict, items: list[dict[str, Any]]
) -> None:
    """Run every trial that has no result yet, and store each as it ends.

    Of several processes each runs its share.
    """
    missing = run.unfinished(items)
    with tqdm.tqdm(total=len(missing), unit="trial") as bar:
        for blurred in (False, True):
            part = [item for item in missing if item["condition"].endswith("blurred") == blurred]
            _run_part(run, config, part, blurred, bar)


def _run_part(
    run: RunDirectory,
    config: ml_collections.ConfigDict,
    items: Sequence[Mapping[str, Any]],
    blurred: bool,
    bar: Any,
) -> None:
    from iss_jax.envs.rollout import RolloutItem

    by_trial = {
        RolloutItem(
            item["suite"],
            item["task"],
            item["init_state"],
            item["condition"].removesuffix("_blurred"),
            item["layout_seed"],
            max_steps=item["max_steps"],
            record_every=item["execute"] if item["record"] else 0,
            support=landmarks_of(item["suite"], item["task"]) if config.landmarks else (),
        ): item
        for item in items
    }
    transform = "experiments.inputs.acting:blur_away" if blurred else None
    recorded = _recorded(run)
    for trial, result in act_out(config, config.checkpoint, list(by_trial), transform):
        item = by_trial[trial]
        if result.episode is not None and _name(item) not in recorded:
            own = {name: item[name] for name in (*NAME, "init_state", "layout_seed")}
            own |= {"landmarks": " ".join(trial.support)} if trial.support else {}
            metadata = {**result.episode.metadata, **own}
            episode = dataclasses.replace(result.episode, metadata=metadata)
            lerobot.write_episode(_episodes(run), episode, robot_type="panda")
        run.save(item, {"success": bool(result.success), "steps": result.steps})
        bar.update()


def _episodes(run: RunDirectory) -> Path:
    """The dataset that this process appends to; of several processes each has its own."""
    count, index = run.processes.count, run.processes.index
    return run.path / ("episodes" if count == 1 else f"episodes-{index}-of-{count}")


def _recorded(run: RunDirectory) -> set[tuple]:
    """Trials whose episodes are written: an interruption must not write one twice."""
    datasets = [
        open_dataset(folder)
        for folder in run.path.glob("episodes*")
        if (folder / "meta" / "info.json").exists()
    ]
    return {_name(one.metadata(i)) for one in datasets for i in range(len(one))}


def _name(item: Mapping[str, Any]) -> tuple:
    return tuple(item[name] for name in NAME)


def success_rows(run: RunDirectory, items: list[dict[str, Any]], policy_seed: int) -> list[Success]:
    """Trials added up over each task, condition and seed."""
    totals: dict[tuple, list[int]] = collections.defaultdict(lambda: [0, 0])
    for item, result in zip(items, gather(run, items), strict=True):
        total = totals[item["task"], item["suite"], item["split"], policy_seed, item["seed"]]
        total[0] += 1
        total[1] += result["success"]
    return [Success(*key, *total) for key, total in totals.items()]


def summary(rows: list[Success]) -> list[dict[str, Any]]:
    """Success by condition and by task within it, with 95 % Wilson intervals."""
    out = []
    for condition in dict.fromkeys(row.split for row in rows):
        chosen = [row for row in rows if row.split == condition]
        for name in (*dict.fromkeys((row.suite, row.task) for row in chosen), ("", "all")):
            part = [row for row in chosen if name in ((row.suite, row.task), ("", "all"))]
            trials, successes = (sum(getattr(r, n) for r in part) for n in ("trials", "successes"))
            low, high = wilson_interval(successes, trials)
            out.append(
                {
                    "condition": condition,
                    "suite": name[0],
                    "task": name[1],
                    "trials": trials,
                    "successes": successes,
                    "rate": round(successes / trials, 4),
                    "low": round(low, 4),
                    "high": round(high, 4),
                }
            )
    return out


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment."""
    items = work_items(config, planned(config))
    run = open_run(workdir, config, version=versions.TRIALS)
    if config.known_trials:
        print(f"known trials: {seed_run(run, items, config.known_trials)}")
    run_trials(run, config, items)
    run.write_csv("trials.csv", trial_rows(items, gather(run, items)))
    rows = success_rows(run, items, config.policy_seed)
    if run.processes.first:
        write_success(workdir / "success.csv", rows)
    table = summary(rows)
    run.write_csv("results.csv", table)
    run.write_json("results.json", table)
    for row in table:
        if row["task"] == "all":
            print(
                f"{row['condition']:<18} {row['successes']:>4} of {row['trials']:<4} "
                f"{row['rate']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
            )
    print(f"table: {workdir / 'success.csv'}")


if __name__ == "__main__":
    app.run(main, "rollout")
