"""Episodes that a policy drives, labelled with what the expert would do: dataset aggregation.

A policy that imitates leaves the expert's states by its own errors, and nothing in demonstrations
says how to come back. The expert is a function of the state alone, so that it can label the states
that the policy reaches (Ross, Gordon, Bagnell 2011).
"""

from collections.abc import Callable

import numpy as np

from iss_jax.data.episode import Episode
from iss_jax.envs.demonstrations import ACTION_HORIZON
from iss_jax.envs.experts import pick_and_place, scene_of
from iss_jax.envs.hand_response import expert_chunk
from iss_jax.envs.libero import CONTROL_HZ, LiberoEnv


def record(
    env: LiberoEnv,
    policy: Callable[[dict], np.ndarray],
    rng: np.random.Generator,
    *,
    expert_share: float,
    execute: int,
    max_steps: int,
    frame_every: int,
    with_regions: bool,
) -> Episode:
    """Runs a policy, now and then relieved by the expert, until success or time-out.

    Args:
        env: an environment that has been reset.
        policy: as `iss_jax.envs.rollout` wants it.
        rng: decides who acts, and the policy's seed.
        expert_share: probability that the expert acts for the next `execute` control steps.
        execute: control steps between the policy's calls.
        max_steps: time-out in control steps.
        frame_every: control steps between recorded frames.
        with_regions: whether to record region labels.

    Returns:
        The episode, with the features of demonstrations. Its `action_chunk` is the expert's, acted
        out in `hand_response` from each frame's state; its `action` is what was executed.
    """
    frames, executed, chunks, targets, simulator = [], [], [], [], []
    seed = int(rng.integers(2**31))
    relieved, plan = False, np.zeros((execute, 7))
    success, step = False, 0
    while step < max_steps and not success:
        scene = scene_of(env)
        shown = step % frame_every == 0
        if shown:
            frames.append(env.observation(with_regions))
            chunks.append(expert_chunk(scene, env.eef_twist, ACTION_HORIZON)[0])
            targets.append(scene.target_position)
            simulator.append(env.simulator_state())
        if step % execute == 0:
            relieved = rng.random() < expert_share
            if not relieved:
                images = frames[-1].images if shown else env.render()
                plan = policy(
                    {"images": images, "state": env.state, "prompt": env.prompt, "seed": seed}
                )
        action = pick_and_place(scene) if relieved else plan[step % execute]
        if shown:
            executed.append(action)
        success = env.step(action)
        step += 1
    chunk_array = np.stack(chunks)
    return Episode(
        images={c: np.stack([f.images[c] for f in frames]) for c in frames[0].images},
        regions={c: np.stack([f.regions[c] for f in frames]) for c in frames[0].regions},
        state=np.stack([f.state for f in frames]),
        action=np.stack(executed).astype(np.float32),
        prompt=env.prompt,
        fps=CONTROL_HZ / frame_every,
        features={
            "action_chunk": chunk_array,
            "action_chunk_valid": np.ones(chunk_array.shape[:2], bool),
            "target_position": np.stack(targets).astype(np.float32),
            "simulator_state": np.stack(simulator),
        },
        metadata={"success": success, "steps": step},
    )
