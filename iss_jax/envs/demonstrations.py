"""Expert episodes for imitation: frames, the expert's next actions, and bursts of action noise."""

import dataclasses
from collections.abc import Callable

import numpy as np

from iss_jax.data.episode import Episode
from iss_jax.envs.experts import PickAndPlaceScene, pick_and_place, scene_of
from iss_jax.envs.libero import CONTROL_HZ, OPEN, LiberoEnv

ACTION_HORIZON = 16
HOLD = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, OPEN], np.float32)


@dataclasses.dataclass(frozen=True)
class NoiseBurst:
    """A disturbance of the executed actions: a constant push plus white noise.

    Attributes:
        start: first disturbed control step.
        length: number of disturbed control steps.
        push: added to the six pose components of the action, `[6]`.
        jitter: standard deviation of the white noise, in units of action.
    """

    start: int
    length: int
    push: np.ndarray
    jitter: float


def draw_burst(rng: np.random.Generator, latest: int = 60) -> NoiseBurst:
    """A burst of 4 to 11 steps that moves the hand by some centimetres.

    Args:
        rng: the source of randomness.
        latest: the burst starts at a control step below this.
    """
    push = np.concatenate([rng.normal(0.0, 0.7, 3), rng.normal(0.0, 0.08, 3)])
    return NoiseBurst(
        start=int(rng.integers(0, latest)), length=int(rng.integers(4, 12)), push=push, jitter=0.3
    )


def action_chunks(
    labels: np.ndarray, disturbed: np.ndarray, horizon: int = ACTION_HORIZON
) -> tuple[np.ndarray, np.ndarray]:
    """The expert's next actions from every control step on.

    Args:
        labels: float32 `[T, a]`, the expert's action at every control step's state.
        disturbed: bool `[T]`, whether another action than the expert's was executed there.
        horizon: length H of a chunk.

    Returns:
        Chunks float32 `[T, H, a]` and their validity bool `[T, H]`: an action is valid while every
        earlier one of its chunk was executed as the expert wanted it. Past the end of the episode
        the hand holds still, open.
    """
    count, size = labels.shape
    padded = np.concatenate([labels, np.broadcast_to(HOLD[:size], (horizon, size))])
    steps = np.arange(count)[:, None] + np.arange(horizon)[None]
    before = np.concatenate([[0], np.cumsum(disturbed), np.full(horizon, disturbed.sum())])
    valid = before[steps] == before[:count][:, None]
    return padded[steps].astype(np.float32), valid


def record(
    env: LiberoEnv,
    *,
    expert: Callable[[PickAndPlaceScene], np.ndarray] = pick_and_place,
    burst: NoiseBurst | None = None,
    rng: np.random.Generator,
    max_steps: int = 240,
    frame_every: int = 2,
    with_regions: bool = True,
) -> Episode | None:
    """Runs the expert from the environment's current state until it succeeds.

    Args:
        env: an environment that has been reset.
        expert: maps a scene to an action.
        burst: a disturbance, or None.
        rng: the source of the burst's white noise.
        max_steps: control steps after which the attempt counts as failed.
        frame_every: control steps between recorded frames.
        with_regions: whether to record region labels.

    Returns:
        The episode, or None when the expert failed. Beside images, regions and state it has the
        action executed at each frame and the features `action_chunk` `[T, 16, 7]`,
        `action_chunk_valid` `[T, 16]`, `target_position` `[T, 3]` and `simulator_state`.
    """
    frames, states, targets, simulator = [], [], [], []
    labels, executed, disturbed = [], [], []
    success = False
    for step in range(max_steps):
        scene = scene_of(env)
        label = expert(scene)
        action = label
        noisy = False
        if burst is not None and burst.start <= step < burst.start + burst.length:
            noisy = True
            push = burst.push + rng.normal(0.0, burst.jitter, 6) * ([1.0] * 3 + [0.1] * 3)
            action = label + np.append(push, 0.0)
            action = np.clip(action, -1.0, 1.0).astype(np.float32)
        if step % frame_every == 0:
            frames.append(env.observation(with_regions))
            states.append(env.state)
            targets.append(scene.target_position)
            simulator.append(env.simulator_state())
        labels.append(label)
        executed.append(action)
        disturbed.append(noisy)
        if env.step(action):
            success = True
            break
    if not success:
        return None
    chunks, valid = action_chunks(np.stack(labels), np.array(disturbed))
    shown = slice(None, None, frame_every)
    return Episode(
        images={c: np.stack([f.images[c] for f in frames]) for c in frames[0].images},
        regions={c: np.stack([f.regions[c] for f in frames]) for c in frames[0].regions},
        state=np.stack(states),
        action=np.stack(executed)[shown],
        prompt=env.prompt,
        fps=CONTROL_HZ / frame_every,
        features={
            "action_chunk": chunks[shown],
            "action_chunk_valid": valid[shown],
            "target_position": np.stack(targets).astype(np.float32),
            "simulator_state": np.stack(simulator),
        },
        metadata={"success": True, "steps": len(labels), "noise": burst is not None},
    )
