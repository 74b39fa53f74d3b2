"""How the hand answers to actions, without physics: to label still frames with expert chunks.

OSC_POSE moves the hand towards a goal set relative to where it is, through a critically damped
spring. At 20 Hz that is a velocity with first-order lag, v' = decay v + gain u, for positions and
rotations alike. The gripper's command is an integrator (robosuite's Panda: 25 physics steps of
0.01 a control step) that the fingers follow with a lag of their own.
"""

import dataclasses

import numpy as np
from scipy.spatial.transform import Rotation

from iss_jax.envs.experts import (
    POSITION_SCALE,
    ROTATION_SCALE,
    PickAndPlaceScene,
    pick_and_place,
)

FULL_OPENING = 0.08  # metres between the Panda's fingers
_COMMAND_RATE = 0.25  # of the gripper's command, in [-1, 1], per control step


@dataclasses.dataclass(frozen=True)
class HandResponse:
    """Constants of the model, per control step of 1/20 s.

    Attributes:
      decay: share of the hand's velocity that persists.
      gain: displacement per action, as a share of the displacement that the action asks for.
      finger_rate: share of the gap between fingers and command that is closed.
    """

    decay: float
    gain: float
    finger_rate: float


# Fitted by: python -m experiments.fit_hand_response --dataset=datasets/demos/shard-0
RESPONSE = HandResponse(decay=0.5, gain=0.1, finger_rate=0.5)


def expert_chunk(
    scene: PickAndPlaceScene,
    velocity: np.ndarray,
    horizon: int = 16,
    response: HandResponse = RESPONSE,
) -> tuple[np.ndarray, np.ndarray]:
    """The actions the expert would take from a scene on, were it to act.

    Args:
      scene: the scene at the start. Its objects stay where they are until grasped, then move with
        the hand.
      velocity: of the hand, metres per control step, `[3]`.
      horizon: number of actions H.
      response: constants of the model.

    Returns:
      Actions float32 `[H, 7]` and the hand's positions before each of them, float64 `[H, 3]`.
    """
    actions = np.zeros((horizon, 7), np.float32)
    positions = np.zeros((horizon, 3))
    turning = np.zeros(3)
    command = 1.0 - 2.0 * scene.opening / FULL_OPENING
    for step in range(horizon):
        action = pick_and_place(scene)
        actions[step], positions[step] = action, scene.eef_position
        velocity = response.decay * velocity + response.gain * POSITION_SCALE * action[:3]
        turning = response.decay * turning + response.gain * ROTATION_SCALE * action[3:6]
        command = float(np.clip(command + _COMMAND_RATE * np.sign(action[6]), -1.0, 1.0))
        scene = _advance(scene, velocity, turning, command, response)
    return actions, positions


def _advance(
    scene: PickAndPlaceScene,
    velocity: np.ndarray,
    turning: np.ndarray,
    command: float,
    response: HandResponse,
) -> PickAndPlaceScene:
    wanted = FULL_OPENING * (1.0 - command) / 2.0
    opening = scene.opening + response.finger_rate * (wanted - scene.opening)
    between = np.linalg.norm(scene.grasp_point - scene.eef_position) < 0.03
    if between and opening < scene.width <= scene.opening:
        opening = scene.width
    moved = {
        "eef_position": scene.eef_position + velocity,
        "eef_axes": Rotation.from_rotvec(turning).as_matrix() @ scene.eef_axes,
        "opening": float(opening),
    }
    if scene.grasped:
        moved["target_position"] = scene.target_position + velocity
        moved["grasp_point"] = scene.grasp_point + velocity
        moved["underside"] = scene.underside + float(velocity[2])
    return dataclasses.replace(scene, **moved)
