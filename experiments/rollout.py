"""Closed-loop success over tasks, seeds and trials: `configs/rollout.py` says how to run it.

Writes `success.csv` (a row a task, condition and seed, with `trials` and `successes`),
`results.csv` (conditions with Wilson intervals) and one file a trial; run again, it goes on.
"""

import collections
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import tqdm
from scipy import stats

from experiments import app
from experiments.policy import fingerprint
from experiments.run_directory import RunDirectory, open_run
from iss_jax import embedded
from iss_jax.data.success import Success, write_success

HELD_OUT_INIT_STATES = 25
HELD_OUT_LAYOUT_SEEDS = 10_000


def work_items(
    config: ml_collections.ConfigDict, task_names: Sequence[str]
) -> list[dict[str, Any]]:
    """One item a trial; what it starts from follows from its seed and number.

    Raises:
        ValueError: a seed or a number of trials whose layouts `collect` may have trained on.
    """
    trials = config.trials.to_dict()
    if max(config.seeds) >= HELD_OUT_LAYOUT_SEEDS // 100 or max(trials.values()) > 100:
        raise ValueError(
            f"seeds {tuple(config.seeds)}, trials {trials}: seeds below "
            f"{HELD_OUT_LAYOUT_SEEDS // 100} and at most 100 trials wanted"
        )
    path = embedded.checkpoint_path() if config.checkpoint == "embedded" else config.checkpoint
    policy = fingerprint(Path(path))
    items = []
    for task in task_names:
        for condition, count in trials.items():
            for index, seed in enumerate(config.seeds):
                for trial in range(count):
                    number = index * max(trials.values()) + trial
                    items.append(
                        {
                            "policy": policy,
                            "suite": config.suite,
                            "task": task,
                            "condition": condition,
                            "seed": seed,
                            "trial": trial,
                            # The same starts in every task, and in the conditions as far as their
                            # trials go.
                            "init_state": number % HELD_OUT_INIT_STATES,
                            "layout_seed": 100 * seed + trial,
                            "image_size": config.image_size,
                            "action_horizon": config.action_horizon,
                            "execute": config.execute,
                            "max_steps": config.max_steps,
                            "num_steps": config.num_steps,
                        }
                    )
    return items


def run_trials(
    run: RunDirectory, config: ml_collections.ConfigDict, items: list[dict[str, Any]]
) -> None:
    """Run every trial that has no result yet, a condition at a time, and store each as it ends."""
    from iss_jax.envs.rollout import RolloutItem, rollouts

    missing = [item for item in items if run.load(item) is None]
    bar = tqdm.tqdm(total=len(items), initial=len(items) - len(missing), unit="trial")
    for condition in config.trials:
        layout, _, blurred = condition.partition("_")
        by_trial = {
            RolloutItem(
                item["suite"], item["task"], item["init_state"], layout, item["layout_seed"]
            ): item
            for item in missing
            if item["condition"] == condition
        }
        results = rollouts(
            list(by_trial),
            "experiments.live_policy:make_policy",
            {
                "checkpoint": str(config.checkpoint),
                "max_token_len": config.max_token_len,
                "action_horizon": config.action_horizon,
                "num_steps": config.num_steps,
            },
            processes=config.processes,
            image_size=config.image_size,
            execute=config.execute,
            max_steps=config.max_steps,
            transform="experiments.live_policy:blur_away" if blurred else None,
        )
        for trial, result in results if by_trial else ():
            run.save(by_trial[trial], {"success": bool(result.success), "steps": result.steps})
            bar.update()
    bar.close()


def success_rows(run: RunDirectory, items: list[dict[str, Any]], policy_seed: int) -> list[Success]:
    """Trials added up over each task, condition and seed."""
    totals: dict[tuple, list[int]] = collections.defaultdict(lambda: [0, 0])
    for item in items:
        result = run.load(item)
        if result is None:
            raise ValueError(f"{run.path}: has no result of {item}")
        total = totals[item["task"], item["suite"], item["condition"], policy_seed, item["seed"]]
        total[0] += 1
        total[1] += result["success"]
    return [Success(*key, *total) for key, total in totals.items()]


def summary(rows: list[Success]) -> list[dict[str, Any]]:
    """Success by condition and by task within it, with 95 % Wilson intervals."""
    out = []
    for condition in dict.fromkeys(row.split for row in rows):
        chosen = [row for row in rows if row.split == condition]
        for task in (*dict.fromkeys(row.task for row in chosen), "all"):
            part = [row for row in chosen if task in (row.task, "all")]
            trials, successes = (sum(getattr(r, n) for r in part) for n in ("trials", "successes"))
            low, high = stats.binomtest(successes, trials).proportion_ci(method="wilson")
            out.append(
                {
                    "condition": condition,
                    "task": task,
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
    from iss_jax.envs.libero import list_tasks

    names = np.asarray([task.name for task in list_tasks(config.suite)])[list(config.tasks)]
    items = work_items(config, [str(name) for name in names])
    run = open_run(workdir, config)
    run_trials(run, config, items)
    rows = success_rows(run, items, config.policy_seed)
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
