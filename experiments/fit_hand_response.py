"""Fits the constants of `iss_jax.envs.hand_response` to the simulator's expert episodes.

    python -m experiments.fit_hand_response --config=configs/fit_hand_response.py

Nothing is rendered. One control step's displacement and twist are regressed on twist and action;
half of the episodes are disturbed. On other episodes, the expert's chunks acted out in the model
are compared with what the expert really did. The workdir receives `results.json`.
"""

import dataclasses
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import tqdm

from experiments.runs import app
from iss_jax.envs.demonstrations import NoiseBurst, draw_burst
from iss_jax.envs.experts import PickAndPlaceScene, pick_and_place, rotation_error, scene_of
from iss_jax.envs.hand_response import FULL_OPENING, HandResponse, expert_chunk, step_command
from iss_jax.envs.libero import LiberoEnv, make
from iss_jax.jobs.directory import open_run
from iss_jax.jobs.options import from_config


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/fit_hand_response.py`, which says what each means."""

    suite: str
    tasks: tuple[int, ...]
    episodes: int
    horizon: int


@dataclasses.dataclass(frozen=True)
class Trace:
    """One episode, at every control step: `[T]` scenes and arrays."""

    scenes: list[PickAndPlaceScene]
    twist: np.ndarray
    action: np.ndarray
    disturbed: np.ndarray

    @property
    def rotation(self) -> np.ndarray:
        """Rotation vector of the hand away from pointing down, `[T, 3]`."""
        return -np.stack([rotation_error(scene.eef_axes) for scene in self.scenes])

    @property
    def position(self) -> np.ndarray:
        """`[T, 3]`, metres."""
        return np.stack([scene.eef_position for scene in self.scenes])

    @property
    def opening(self) -> np.ndarray:
        """`[T]`, metres."""
        return np.array([scene.opening for scene in self.scenes])


def trace(env: LiberoEnv, burst: NoiseBurst | None, max_steps: int = 130) -> Trace | None:
    """Runs the expert; None where it needs longer, as when a neighbour is in the hand's way."""
    scenes, twists, actions, disturbed = [], [], [], []
    for step in range(max_steps):
        scene = scene_of(env)
        action = pick_and_place(scene)
        noisy = False
        if burst is not None and burst.start <= step < burst.start + burst.length:
            noisy = True
            action = np.clip(action + np.append(burst.push, 0.0), -1.0, 1.0)
        scenes.append(scene)
        twists.append(env.eef_twist)
        actions.append(action)
        disturbed.append(noisy)
        if env.step(action):
            return Trace(scenes, np.stack(twists), np.stack(actions), np.array(disturbed))
    return None


def fit(traces: list[Trace]) -> HandResponse:
    """The constants, by least squares."""
    drive = [np.concatenate([t.twist[:-1], t.action[:-1, :6]], axis=1) for t in traces]
    answer = [
        np.concatenate(
            [np.diff(t.position, axis=0), np.diff(t.rotation, axis=0), t.twist[1:]], axis=1
        )
        for t in traces
    ]
    matrix = np.linalg.lstsq(np.concatenate(drive), np.concatenate(answer), rcond=None)[0]
    gaps, moves = [], []
    for t in traces:
        command = -1.0
        for step in range(len(t.action) - 1):
            command = step_command(command, t.action[step, 6])
            gap = FULL_OPENING * (1.0 - command) / 2.0 - t.opening[step]
            # Fingers that hold something do not follow their command.
            if abs(gap) > 0.002 and abs(t.opening[step + 1] - t.opening[step]) > 0.001:
                gaps.append(gap)
                moves.append(t.opening[step + 1] - t.opening[step])
    rate = float(np.dot(gaps, moves) / np.dot(gaps, gaps))
    return HandResponse(matrix[:, :6], matrix[:, 6:], rate)


def compare(traces: list[Trace], response: HandResponse, horizon: int) -> dict[str, np.ndarray]:
    """Errors of the model's chunks against the expert's, by step of the chunk, and the labels'.

    Raises:
        ValueError: no chunk of the traces is undisturbed and before the grasp.
    """
    errors, labels = [], []
    for t in traces:
        for start in range(0, len(t.action) - horizon, 2):
            if t.disturbed[start : start + horizon].any() or t.scenes[start].grasped:
                continue
            real = t.action[start : start + horizon]
            chunk, _ = expert_chunk(t.scenes[start], t.twist[start], horizon, response)
            errors.append(chunk - real)
            labels.append(real)
    if not errors:
        raise ValueError(f"compare: {len(traces)} episodes without a chunk of {horizon} steps")
    error, label = np.stack(errors), np.stack(labels)
    return {
        "position RMS": np.sqrt(np.mean(error[..., :3] ** 2, axis=(0, 2))),
        "rotation RMS": np.sqrt(np.mean(error[..., 3:6] ** 2, axis=(0, 2))),
        "gripper wrong": np.mean(np.abs(error[..., 6]) > 1.0, axis=0),
        "position labels' RMS": np.sqrt(np.mean(label[..., :3] ** 2, axis=(0, 2))),
    }


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Prints constants and comparison; returns the content of `results.json`."""
    options = from_config(config, Options)
    run = open_run(workdir, config)
    fitted, held_out = [], []
    for task in options.tasks:
        env = make(options.suite, task, image_size=16)
        for episode in tqdm.trange(options.episodes, desc=env.task.name):
            others = env.shuffled_objects
            env.reset(25 + episode, "shuffled", 20_000 + episode, others[episode % len(others)])
            burst = draw_burst(np.random.default_rng(episode)) if episode % 2 else None
            result = trace(env, burst)
            if result is not None:
                (held_out if episode % 3 == 2 else fitted).append(result)
    response = fit(fitted)
    constants = {name: np.asarray(value) for name, value in dataclasses.asdict(response).items()}
    errors = compare(held_out, response, options.horizon)
    shown = [step for step in (0, 1, 3, 7, 11, 15) if step < options.horizon]
    with np.printoptions(suppress=True, precision=5, floatmode="fixed", linewidth=100):
        for name, value in constants.items():
            print(name, np.array2string(value, separator=", "))
        for name, value in errors.items():
            print(name, value[shown], "mean", np.sqrt(np.mean(value**2)))
    found = {
        "episodes": {"fitted": len(fitted), "held out": len(held_out)},
        "constants": {name: value.tolist() for name, value in constants.items()},
        "errors by step": {name: value.tolist() for name, value in errors.items()},
    }
    run.write_json("results.json", found)
    return found


if __name__ == "__main__":
    app.run(main, "fit_hand_response", many_processes=False)
