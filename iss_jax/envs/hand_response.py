"""How the hand answers to actions, without physics: to label still frames with expert chunks.

OSC_POSE pulls the hand with a critically damped spring towards a goal set relative to where it
is. Over a control step that is a linear map from the hand's twist and the action to its
displacement and its next twist; the arm's inertia couples the axes, so the map is fitted whole.
The gripper's command is an integrator (robosuite's Panda: 25 physics steps of 0.01 a control
step) that the fingers follow with a lag.
"""

import dataclasses

import numpy as np
from scipy.spatial.transform import Rotation

from iss_jax.envs.experts import PickAndPlaceScene, pick_and_place

FULL_OPENING = 0.08  # metres between the Panda's fingers
_COMMAND_RATE = 0.25  # of the gripper's command, in [-1, 1], per control step


@dataclasses.dataclass(frozen=True)
class HandResponse:
    """Constants of the model, per control step of 1/20 s.

    Attributes:
        displacement: `[12, 6]`: (twist, pose part of the action) @ displacement is the hand's
            translation (metres) and rotation vector (radians), world axes.
        twist: `[12, 6]`: (twist, pose part of the action) @ twist is the next twist: velocity
            (metres a second) and angular velocity (radians a second), world axes.
        finger_rate: share of the gap between fingers and command that is closed.
    """

    displacement: np.ndarray
    twist: np.ndarray
    finger_rate: float


# Fitted by: python -m experiments.fit_hand_response
# On held-out episodes, the expert's position labels (0.6 RMS) are missed by 0.1 RMS over the first
# eight steps and by 0.17 over all sixteen; its gripper labels in at most 8 of 100.
RESPONSE = HandResponse(
    displacement=np.array(
        [
            [0.03258, 0.00023, 0.00144, 0.00061, 0.02659, -0.00237],
            [-0.00026, 0.02838, 0.00098, -0.01390, 0.00163, -0.01452],
            [0.00045, 0.00087, 0.02812, -0.00045, 0.00876, -0.00029],
            [0.00087, -0.00410, -0.00021, 0.03936, -0.00165, -0.00215],
            [0.00387, -0.00026, 0.00338, 0.00039, 0.03638, 0.00052],
            [-0.00173, -0.00247, 0.00065, -0.00701, 0.00413, 0.03052],
            [0.00459, -0.00011, -0.00056, -0.00018, -0.00722, 0.00057],
            [-0.00004, 0.00591, -0.00026, 0.00381, -0.00042, 0.00389],
            [-0.00007, -0.00022, 0.00598, 0.00018, -0.00236, 0.00012],
            [-0.00157, 0.01446, 0.00130, 0.02814, 0.00133, 0.00521],
            [-0.00889, 0.00109, -0.00775, -0.00254, 0.03419, -0.00044],
            [0.00541, 0.00661, -0.00073, 0.00876, -0.01185, 0.05444],
        ]
    ),
    twist=np.array(
        [
            [0.41815, 0.00679, 0.07436, 0.00418, 0.85087, -0.06024],
            [0.00331, 0.29737, 0.01915, -0.38062, 0.04253, -0.36525],
            [0.03362, 0.02645, 0.25533, -0.00719, 0.21500, -0.02018],
            [0.02969, -0.12437, -0.01450, 0.63747, -0.04215, -0.03395],
            [0.11946, -0.00817, 0.10234, 0.01599, 0.54247, 0.01145],
            [-0.04425, -0.05889, 0.02012, -0.20988, 0.10125, 0.35443],
            [0.14102, -0.00313, -0.02412, -0.00260, -0.20315, 0.01476],
            [-0.00457, 0.17918, -0.00471, 0.09209, -0.01031, 0.08882],
            [-0.00721, -0.00653, 0.18969, 0.00396, -0.05403, 0.00616],
            [-0.05801, 0.40312, 0.05392, 0.89029, 0.06543, 0.06627],
            [-0.24306, 0.03502, -0.22098, -0.04626, 1.07620, -0.03489],
            [0.14644, 0.16112, -0.02829, 0.29125, -0.22768, 1.68369],
        ]
    ),
    finger_rate=0.24256,
)


def expert_chunk(
    scene: PickAndPlaceScene,
    twist: np.ndarray,
    horizon: int = 16,
    response: HandResponse = RESPONSE,
) -> tuple[np.ndarray, np.ndarray]:
    """The actions the expert would take from a scene on, were it to act.

    Args:
        scene: the scene at the start. Its objects stay where they are until grasped, then move with
            the hand.
        twist: of the hand, metres and radians a second, world axes, `[6]`.
        horizon: number of actions H.
        response: constants of the model.

    Returns:
        Actions float32 `[H, 7]` and the hand's positions before each of them, float64 `[H, 3]`.
    """
    actions = np.zeros((horizon, 7), np.float32)
    positions = np.zeros((horizon, 3))
    command = 1.0 - 2.0 * scene.opening / FULL_OPENING
    for step in range(horizon):
        action = pick_and_place(scene)
        actions[step], positions[step] = action, scene.eef_position
        drive = np.concatenate([twist, action[:6]])
        moved, twist = drive @ response.displacement, drive @ response.twist
        command = step_command(command, action[6])
        gap = FULL_OPENING * (1.0 - command) / 2.0 - scene.opening
        scene = _advance(scene, moved, scene.opening + response.finger_rate * gap)
    return actions, positions


def step_command(command: float, action: float) -> float:
    """The gripper's command, -1 open to 1 closed, one control step on."""
    return float(np.clip(command + _COMMAND_RATE * np.sign(action), -1.0, 1.0))


def _advance(
    scene: PickAndPlaceScene, displacement: np.ndarray, opening: float
) -> PickAndPlaceScene:
    between = np.linalg.norm(scene.grasp_point - scene.eef_position) < 0.03
    if between and opening < scene.width <= scene.opening:
        opening = scene.width
    shift = displacement[:3]
    moved = {
        "eef_position": scene.eef_position + shift,
        "eef_axes": Rotation.from_rotvec(displacement[3:]).as_matrix() @ scene.eef_axes,
        "opening": opening,
    }
    if scene.grasped:
        moved["target_position"] = scene.target_position + shift
        moved["grasp_point"] = scene.grasp_point + shift
        moved["underside"] = scene.underside + float(shift[2])
    return dataclasses.replace(scene, **moved)
