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
RESPONSE = HandResponse(
    displacement=np.array(
        [
            [0.03375, 0.00038, 0.00082, 0.00248, 0.02252, -0.00261],
            [-0.00142, 0.02947, 0.00162, -0.01179, 0.00572, -0.01371],
            [0.00070, 0.00099, 0.02944, -0.00116, 0.00577, 0.00001],
            [0.00008, -0.00425, 0.00006, 0.04122, 0.00129, -0.00230],
            [0.00346, -0.00021, 0.00336, -0.00034, 0.03824, 0.00055],
            [-0.00171, -0.00192, 0.00057, -0.00524, 0.00408, 0.03078],
            [0.00433, -0.00009, -0.00038, -0.00066, -0.00613, 0.00061],
            [0.00027, 0.00562, -0.00043, 0.00337, -0.00143, 0.00366],
            [-0.00016, -0.00027, 0.00563, 0.00034, -0.00148, 0.00006],
            [-0.00087, 0.01173, -0.00036, 0.02883, -0.00424, 0.00503],
            [-0.00823, 0.00121, -0.00792, -0.00090, 0.02739, -0.00087],
            [0.00551, 0.00467, -0.00128, 0.01403, -0.00707, 0.04896],
        ]
    ),
    twist=np.array(
        [
            [0.40834, 0.00970, 0.06362, 0.06565, 0.80003, -0.06995],
            [-0.01793, 0.28485, 0.04239, -0.35576, 0.12183, -0.35652],
            [0.03578, 0.03189, 0.24582, -0.03199, 0.15605, -0.01899],
            [0.01046, -0.13990, -0.00553, 0.64428, 0.01452, -0.03858],
            [0.11577, -0.00692, 0.10849, -0.00625, 0.56711, 0.01850],
            [-0.04498, -0.04927, 0.02081, -0.17356, 0.10798, 0.32500],
            [0.14508, -0.00239, -0.02073, -0.01668, -0.18811, 0.01614],
            [0.00144, 0.18167, -0.01096, 0.08794, -0.02990, 0.08600],
            [-0.00842, -0.00863, 0.19201, 0.00840, -0.03633, 0.00672],
            [-0.05420, 0.34662, 0.00239, 0.96201, -0.05595, 0.10682],
            [-0.25392, 0.03832, -0.24208, 0.00423, 0.95872, -0.05168],
            [0.15512, 0.11099, -0.04160, 0.45101, -0.16982, 1.61841],
        ]
    ),
    finger_rate=0.228,
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
