"""Fits the constants of `iss_jax.envs.hand_response` to the simulator's expert episodes.

python -m experiments.fit_hand_response

Nothing is rendered. One control step's displacement and twist are regressed on twist and action;
half of the episodes are disturbed. On other episodes, the expert's chunks acted out in the model
are compared with what the expert really did.
"""

import dataclasses

import numpy as np
import tqdm
from absl import app, flags

from iss_jax.envs.demonstrations import NoiseBurst, draw_burst
from iss_jax.envs.experts import PickAndPlaceScene, pick_and_place, rotation_error, scene_of
from iss_jax.envs.hand_response import FULL_OPENING, HandResponse, expert_chunk, step_command
from iss_jax.envs.libero import LiberoEnv, make

_TASKS = flags.DEFINE_list("tasks", ["0", "3", "5", "8"], "Indices in libero_object.")
_EPISODES = flags.DEFINE_integer("episodes", 12, "Episodes a task; a third is for the comparison.")
_HORIZON = 16


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


def compare(traces: list[Trace], response: HandResponse) -> dict[str, np.ndarray]:
    """Errors of the model's chunks against the expert's, by step of the chunk, and the labels'."""
    errors, labels = [], []
    for t in traces:
        for start in range(0, len(t.action) - _HORIZON, 2):
            if t.disturbed[start : start + _HORIZON].any() or t.scenes[start].grasped:
                continue
            real = t.action[start : start + _HORIZON]
            chunk, _ = expert_chunk(t.scenes[start], t.twist[start], _HORIZON, response)
            errors.append(chunk - real)
            labels.append(real)
    error, label = np.stack(errors), np.stack(labels)
    return {
        "position RMS": np.sqrt(np.mean(error[..., :3] ** 2, axis=(0, 2))),
        "rotation RMS": np.sqrt(np.mean(error[..., 3:6] ** 2, axis=(0, 2))),
        "gripper wrong": np.mean(np.abs(error[..., 6]) > 1.0, axis=0),
        "position labels' RMS": np.sqrt(np.mean(label[..., :3] ** 2, axis=(0, 2))),
    }


def main(argv: list[str]) -> None:
    """Prints the constants and the comparison."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments {argv[1:]}")
    fitted, held_out = [], []
    for task in _TASKS.value:
        env = make("libero_object", int(task), image_size=16)
        for episode in tqdm.trange(_EPISODES.value, desc=env.task.name):
            others = env.shuffled_objects
            env.reset(25 + episode, "shuffled", 20_000 + episode, others[episode % len(others)])
            burst = draw_burst(np.random.default_rng(episode)) if episode % 2 else None
            result = trace(env, burst)
            if result is not None:
                (held_out if episode % 3 == 2 else fitted).append(result)
    response = fit(fitted)
    with np.printoptions(suppress=True, precision=5, floatmode="fixed", linewidth=100):
        for name, value in dataclasses.asdict(response).items():
            print(name, np.array2string(np.asarray(value), separator=", "))
        for name, value in compare(held_out, response).items():
            print(name, value[[0, 1, 3, 7, 11, 15]], "mean", np.sqrt(np.mean(value**2)))


if __name__ == "__main__":
    app.run(main)
