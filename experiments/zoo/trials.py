"""Closed-loop trials of one policy along every axis of shift."""

import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import tqdm

from experiments.making.trials import HELD_OUT_INIT_STATES
from experiments.planted.cue import INSTRUCTIONS
from experiments.planted.trials import SUITE, present_objects
from experiments.zoo.design import NO_CUE
from experiments.zoo.shifts import AXES, UNSHIFTED
from iss_jax.jobs.directory import RunDirectory

Act = Callable[[Mapping[str, Any]], np.ndarray]


def trial_items(
    cue: str,
    fingerprint: str,
    tasks: Mapping[str, tuple[str, tuple[str, ...]]],
    options: Any,
) -> list[dict[str, Any]]:
    """One item a trial; policies start alike, and so do the axes of one policy.

    A policy without a cue has no trials of the axis `cue`.

    Args:
        cue: Kind of the policy's cue.
        fingerprint: Of the policy.
        tasks: LIBERO's name -> instruction, and LIBERO's names of the scene's objects.
        options: `strengths` (axis -> those to be tried), `trials` of each task and strength,
            `num_steps`, `execute`, `max_steps`, `image_size`, `max_token_len`, `action_horizon`.

    Raises:
        ValueError: An axis that there is not.
    """
    strengths = {UNSHIFTED: (0.0,), **options.strengths.to_dict()}
    unknown = sorted(set(strengths) - {*AXES, UNSHIFTED})
    if unknown:
        raise ValueError(f"config.rollout.strengths: axes {unknown} given, of {AXES} wanted")
    if cue == NO_CUE:
        strengths.pop("cue", None)
    items = []
    for number, (task, (instruction, names)) in enumerate(tasks.items()):
        wanted = INSTRUCTIONS.index(instruction)
        others = [one for one in present_objects(names) if one != wanted]
        for trial in range(options.trials):
            rng = np.random.default_rng([number, trial])
            other = int(rng.choice(others)) if others else wanted
            items += [
                {
                    "policy": fingerprint,
                    "task": task,
                    "cue": cue,
                    "axis": axis,
                    "strength": strength,
                    "trial": trial,
                    "shown": other if axis == "cue" else wanted,
                    "init_state": (5 * trial + number) % HELD_OUT_INIT_STATES,
                    "seed": 100 * number + trial,
                    "image_size": options.image_size,
                    "max_token_len": options.max_token_len,
                    "action_horizon": options.action_horizon,
                    "num_steps": options.num_steps,
                    "execute": options.execute,
                    "max_steps": options.max_steps,
                }
                for axis, own in strengths.items()
                for strength in (own if isinstance(own, Iterable) else (own,))
            ]
    return items


def run_trials(
    run: RunDirectory, items: Sequence[Mapping[str, Any]], act: Act, *, quiet: bool = False
) -> None:
    """Runs every trial that has no result yet, and stores each as it ends.

    Args:
        run: Where results are.
        items: Of `trial_items`.
        act: The policy.
        quiet: Whether there is no bar.
    """
    missing = [item for item in items if run.load(item) is None]
    for item in tqdm.tqdm(missing, unit="trial", disable=quiet):
        run.save(item, acted(item, act))


def acted(item: Mapping[str, Any], act: Act) -> dict[str, Any]:
    """What came of one trial, and what it cost in seconds of this process."""
    from experiments.zoo.scene import Shift, ShiftedEnv, started
    from iss_jax.envs.rollout import rollout

    env = _env(item["task"], item["image_size"])
    shift = Shift(item["axis"], item["strength"], item["seed"])
    start = time.process_time()
    with started(env, item["init_state"], shift):
        shown = ShiftedEnv(env, item["cue"], item["shown"], shift)
        found = rollout(
            cast(Any, shown),
            cast(Any, act),
            execute=item["execute"],
            max_steps=item["max_steps"],
            seed=item["seed"],
        )
    seconds = time.process_time() - start
    return {"success": bool(found.success), "steps": found.steps, "seconds": round(seconds, 3)}


@functools.lru_cache(maxsize=10)
def _env(task: str, size: int) -> Any:
    """Environments are kept: each takes a quarter of a minute to build, and policies share them."""
    from iss_jax.envs.libero import make

    return make(SUITE, task, image_size=size)


def tasks_of(indices: Sequence[int]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """LIBERO's name of each task -> its instruction and the objects of its scene."""
    from iss_jax.envs.suites import list_tasks, objects_in

    tasks = list_tasks(SUITE)
    return {tasks[i].name: (tasks[i].language, objects_in(tasks[i])) for i in indices}


def trial_rows(
    recipe_row: int, items: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Rows of the table of trials."""
    columns = ("axis", "strength", "task", "trial")
    return [
        {
            "row": recipe_row,
            **{name: item[name] for name in columns},
            "success": int(result["success"]),
            "steps": result["steps"],
            "seconds": result["seconds"],
        }
        for item, result in zip(items, results, strict=True)
    ]
