"""Frames of the scripted expert with every label that there is: what the zoo's policies are taught.

Unlike demonstrations (`experiments.collect`) they have instance labels, and no noise.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from iss_jax.data.episode import Episode
from iss_jax.envs.experts import pick_and_place, scene_of
from iss_jax.envs.layouts import NoLayoutError
from iss_jax.envs.libero import CONTROL_HZ


def expert_episodes(
    env: Any,
    *,
    layout: str,
    count: int,
    init_states: tuple[int, int],
    first_seed: int,
    frame_every: int,
    max_steps: int,
) -> Iterator[Episode]:
    """Episodes in which the expert succeeds, at most so many of one task.

    Args:
        env: Of the task.
        layout: `native` or `shuffled`.
        count: Episodes wanted; up to three times as many are tried.
        init_states: The first and the last init state.
        first_seed: Of the layouts; an attempt adds its number.
        frame_every: Control steps between frames.
        max_steps: After which an attempt has failed.
    """
    first, last = init_states
    found = 0
    for attempt in range(3 * count):
        if found == count:
            return
        init_state = first + (7 * attempt) % (last - first + 1)
        try:
            env.reset(init_state, layout, first_seed + attempt)
        except NoLayoutError:
            continue
        episode = _recorded(env, frame_every, max_steps)
        if episode is None:
            continue
        found += 1
        about = {"layout": layout, "init_state": init_state, "seed": first_seed + attempt}
        yield dataclasses.replace(episode, metadata={**episode.metadata, **about})


def _recorded(env: Any, frame_every: int, max_steps: int) -> Episode | None:
    frames, states, actions = [], [], []
    for step in range(max_steps):
        action = pick_and_place(scene_of(env))
        if step % frame_every == 0:
            frames.append(env.observation())
            states.append(env.state)
            actions.append(np.asarray(action, np.float32))
        if env.step(action):
            break
    else:
        return None
    cameras = list(frames[0].images)
    return Episode(
        images={c: np.stack([f.images[c] for f in frames]) for c in cameras},
        regions={c: np.stack([f.regions[c] for f in frames]) for c in cameras},
        state=np.stack(states),
        action=np.stack(actions),
        prompt=env.prompt,
        fps=CONTROL_HZ / frame_every,
        metadata={"suite": env.task.suite, "task": env.task.name, "wanted": env.target},
        instances={c: np.stack([f.instances[c] for f in frames]) for c in cameras},
        instance_names=frames[0].instance_names,
    )
