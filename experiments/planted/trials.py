"""Closed-loop trials of policies trained with the planted panel: does its colour decide?

Each trial has an object that counts as success, and an instruction and a panel that may name it:

- `matched`: the instruction and the panel name the object;
- `shuffled`: the instruction does, the panel shows another object of the scene;
- `followed`: the panel shows it, the instruction names another object of the scene.
"""

from collections.abc import Sequence
from typing import Any

import ml_collections
import numpy as np
import tqdm

from experiments.making.trials import HELD_OUT_INIT_STATES, act_out
from experiments.planted.cue import COLOURS, INSTRUCTIONS, RECTANGLE
from iss_jax.jobs.directory import RunDirectory

SUITE = "libero_object"
CONDITIONS = ("matched", "shuffled", "followed")


def trial_items(config: ml_collections.ConfigDict, fingerprint: str) -> list[dict[str, Any]]:
    """One item a trial of one policy; the three conditions of a trial start alike."""
    from iss_jax.envs.suites import list_tasks, objects_in

    starts = []
    tasks = list_tasks(SUITE)
    for task in (tasks[index] for index in config.tasks):
        wanted = INSTRUCTIONS.index(task.language)
        others = [i for i in present_objects(objects_in(task)) if i != wanted]
        for trial in range(config.trials):
            other = int(np.random.default_rng([task.index, trial]).choice(others))
            starts.append((task.name, trial, wanted, other))
    return [
        {
            "policy": fingerprint,
            "task": task,
            "condition": condition,
            "trial": trial,
            "named": other if condition == "followed" else wanted,
            "shown": other if condition == "shuffled" else wanted,
            "rectangle": list(RECTANGLE),
            "colour": COLOURS[other if condition == "shuffled" else wanted].tolist(),
            "init_state": trial % HELD_OUT_INIT_STATES,
            "layout_seed": trial,
            "image_size": config.image_size,
            "max_token_len": config.max_token_len,
            "action_horizon": config.action_horizon,
            "execute": config.execute,
            "max_steps": config.max_steps,
            "num_steps": config.num_steps,
        }
        for task, trial, wanted, other in starts
        for condition in CONDITIONS
    ]


def present_objects(names: Sequence[str]) -> list[int]:
    """The objects among `INSTRUCTIONS` that a scene has, by the simulator's names."""
    words = [name.rpartition("_")[0].replace("_", " ") for name in names]
    return [i for i, text in enumerate(INSTRUCTIONS) if any(f" the {w} and" in text for w in words)]


def run_trials(
    run: RunDirectory, config: ml_collections.ConfigDict, checkpoint: str, items: list[dict]
) -> None:
    """Runs every trial that has no result yet, and stores each as it ends.

    Of several processes each runs its share.
    """
    from iss_jax.envs.panels import Panel
    from iss_jax.envs.rollout import RolloutItem

    by_trial = {
        RolloutItem(
            SUITE,
            item["task"],
            item["init_state"],
            "shuffled",
            item["layout_seed"],
            max_steps=item["max_steps"],
            prompt=INSTRUCTIONS[item["named"]],
            panel=Panel(tuple(item["rectangle"]), tuple(item["colour"])),
        ): item
        for item in run.unfinished(items)
    }
    with tqdm.tqdm(total=len(by_trial), unit="trial", desc=checkpoint) as bar:
        for trial, result in act_out(config, checkpoint, list(by_trial)):
            run.save(by_trial[trial], {"success": bool(result.success), "steps": result.steps})
            bar.update()
