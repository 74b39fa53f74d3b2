"""A scripted expert that grasps an object and puts it into or onto another: a memoryless law.

The action is a function of what is where now, with no phase counter. It therefore recovers from
any disturbance, and the same configuration always carries the same label, which imitation needs.
"""

import dataclasses

import numpy as np

from iss_jax.envs.libero import LiberoEnv

POSITION_SCALE = 0.05  # metres for a unit of action (OSC_POSE)
ROTATION_SCALE = 0.5  # radians for a unit of action
DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
"""Axes of the grip site (columns) when the hand points down and the fingers open along world y."""

_HOVER = 0.09  # metres above the grasp point while moving towards it
_CONE = 0.012  # metres of horizontal error at which the descent is complete
_SLOPE = 3.0  # metres of height for a metre of horizontal error outside the cone
_ALIGNED = 0.014  # horizontal error, metres, at which the fingers may close
_LEVEL = 0.012  # vertical error, metres, at which the fingers may close
_HELD = 0.03  # distance of grasp point and grip site, metres, while an object is held
_SLACK = 0.004  # metres of opening beyond the object's width at which it counts as grasped
_OPENED = 0.012  # metres of opening beyond the object's width needed to descend around it
_WIDEST = 0.072  # metres: an opening that any object must fit, of the gripper's 0.08
_DEPTH = 0.03  # metres below an object's top that the grip site reaches before the palm touches
_FINGER = 0.004  # half of the height, metres, over which the fingers' pads hold
_CLEAR = 0.04  # metres between a carried object's underside and the receptacle's rim
_OVER = 0.035  # horizontal distance to the receptacle, metres, at which the object is let go
_ONTO = 0.02  # likewise, where it is put onto something
_LOWERED = 0.014  # metres between its underside and what it is put onto when it is let go
_INSIDE = 0.06  # horizontal distance at which an object counts as being in the receptacle
_GRIP = 0.07  # metres: an object wider than this is grasped by its rim
_RIM = 0.007  # metres that the middle of a rim's wall lies inside the object's widest extent
_REACH = 0.75  # metres from the robot's base that the hand can put something down
_TURN = np.radians(25.0)  # of the grasp point towards the robot, to stay within that
_RIM_DEPTH = 0.014  # metres below the rim that the grip site reaches
_WALL = 0.012  # thickness of a wall between the fingers, metres
_FINGERS = (0.012, 0.05)  # metres along x and y around a grasp point that the fingers sweep
_HAND = (0.05, 0.12)  # likewise the hand,
_HAND_HEIGHT = 0.08  # and what it clears, metres above the grasp point
_BLOCKED = 0.15  # metres of detour that a rim's free side is worth


@dataclasses.dataclass(frozen=True)
class PickAndPlaceScene:
    """What the expert looks at: lengths in metres, world frame.

    Attributes:
        eef_position: grip site, `[3]`.
        eef_axes: axes of the grip site as columns, `[3, 3]`.
        opening: distance between the fingers, 0 to 0.08.
        target_position: the object, `[3]`.
        grasp_point: where the grip site is to be when the fingers close, `[3]`.
        width: of the object between the fingers.
        underside: height of the object's lowest point.
        receptacle_position: `[3]`.
        receptacle_rim: height of its rim.
        over: horizontal distance to the receptacle at which the object is lowered or let go.
        lowered: height of the underside above the rim at which the object is let go.
    """

    eef_position: np.ndarray
    eef_axes: np.ndarray
    opening: float
    target_position: np.ndarray
    grasp_point: np.ndarray
    width: float
    underside: float
    receptacle_position: np.ndarray
    receptacle_rim: float
    over: float
    lowered: float

    @property
    def grasped(self) -> bool:
        """Whether the fingers have closed around the object."""
        gap = np.linalg.norm(self.grasp_point - self.eef_position)
        return bool(gap < _HELD and self.opening < min(self.width + _SLACK, _WIDEST))


def scene_of(env: LiberoEnv) -> PickAndPlaceScene:
    """Reads the scene off an environment.

    Raises:
        ValueError: the task does not move an object to a receptacle.
    """
    if env.target is None or env.receptacle is None:
        raise ValueError(
            f"pick and place needs a target and a receptacle, the goal has {env.target!r} and "
            f"{env.receptacle!r}"
        )
    boxes = env.object_boxes(env.target)
    low, high = boxes[:, 0].min(0), boxes[:, 1].max(0)
    inside = env.predicate == "in"
    # What goes into a basket fits between the fingers, also when it has toppled over.
    whole = inside or high[1] - low[1] < _GRIP
    grasp, width = _whole(boxes) if whole else _by_the_rim(env, low, high)
    return PickAndPlaceScene(
        eef_position=env.eef_position,
        eef_axes=env.eef_axes,
        opening=env.finger_opening,
        target_position=env.object_position(env.target),
        grasp_point=grasp,
        width=width,
        underside=float(low[2]),
        receptacle_position=env.object_position(env.receptacle),
        receptacle_rim=float(env.object_boxes(env.receptacle)[:, 1, 2].max()),
        over=_OVER if inside else _ONTO,
        lowered=np.inf if inside else _LOWERED,
    )


def _whole(boxes: np.ndarray) -> tuple[np.ndarray, float]:
    """Where to grasp an object that fits between the fingers, and its width there."""
    low, high = boxes[:, 0].min(0), boxes[:, 1].max(0)
    grasp = (low + high) / 2
    grasp[2] = max(grasp[2], high[2] - _DEPTH)
    # Bottles taper: what counts is their width at the height of the fingers.
    band = (boxes[:, 0, 2] < grasp[2] + _FINGER) & (boxes[:, 1, 2] > grasp[2] - _FINGER)
    return grasp, float(np.ptp(boxes[band if band.any() else slice(None)][:, :, 1]))


def _by_the_rim(env: LiberoEnv, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, float]:
    """Where to grasp a bowl: the middle of its wall, on a free side.

    Of two free sides it is the one where the hand, putting the bowl down, is nearer to the robot's
    base: an arm at full length cannot lower anything.
    """
    assert env.receptacle is not None
    middle = (low + high) / 2
    to_base = (env.object_position(env.receptacle) - middle - env.base_position)[:2]
    sides = np.stack([_rim_point(low, high, sign, to_base) for sign in (-1.0, 1.0)])
    held = np.linalg.norm(sides - env.eef_position, axis=1) < _HELD
    if held.any() and env.finger_opening < _WALL + _SLACK:
        return sides[int(np.argmax(held))], _WALL
    cost = np.linalg.norm(sides[:, :2] + to_base, axis=1)
    for name in (*env.objects, *env.fixtures):
        if name in (env.target, env.receptacle):
            continue
        boxes = env.object_boxes(name)
        for k, side in enumerate(sides):
            for room, below in ((_FINGERS, _FINGER), (_HAND, -_HAND_HEIGHT)):
                near = (boxes[:, 0, :2] < side[:2] + room) & (boxes[:, 1, :2] > side[:2] - room)
                if np.any(near.all(axis=1) & (boxes[:, 1, 2] > side[2] - below)):
                    cost[k] += _BLOCKED
    return sides[int(np.argmin(cost))], _WALL


def _rim_point(low: np.ndarray, high: np.ndarray, sign: float, to_base: np.ndarray) -> np.ndarray:
    """The point of the rim on one side along y, turned towards the robot where it is far."""
    middle, radius = (low + high) / 2, (high[1] - low[1]) / 2 - _RIM
    top = high[2] - _RIM_DEPTH
    point = np.array([middle[0], middle[1] + sign * radius, top])
    if np.linalg.norm(point[:2] + to_base) < _REACH:
        return point
    back, aside = radius * np.sin(_TURN), radius * np.cos(_TURN)
    return np.array([middle[0] - back, middle[1] + sign * aside, top])


def pick_and_place(scene: PickAndPlaceScene) -> np.ndarray:
    """The expert's action for a scene.

    Far from the object, fly above it; within a cone around the vertical through it, descend; at
    the grasp point, close; with the object in the fingers, lift it over the rim and carry it to
    the receptacle; above that, lower it if it is to stand on it, and open. The orientation is held
    throughout.

    Returns:
        float32 `[7]`, each in [-1, 1] (see `LiberoEnv.step`).
    """
    eef, grasp = scene.eef_position, scene.grasp_point
    offset = grasp - eef
    across = float(np.linalg.norm(offset[:2]))
    from_receptacle = scene.receptacle_position[:2] - scene.target_position[:2]
    if scene.grasped:
        error, gripper = _carry(scene, from_receptacle)
    elif float(np.linalg.norm(from_receptacle)) < min(_INSIDE, 2 * scene.over):
        error, gripper = np.array([0.0, 0.0, scene.receptacle_rim + 0.1 - eef[2]]), -1.0
    elif across < _ALIGNED and abs(offset[2]) < _LEVEL:
        error, gripper = offset, 1.0
    else:
        error, gripper = _approach(scene, offset, across), -1.0
    position = np.clip(error / POSITION_SCALE, -1.0, 1.0)
    rotation = np.clip(rotation_error(scene.eef_axes) / ROTATION_SCALE, -0.3, 0.3)
    return np.concatenate([position, rotation, [gripper]]).astype(np.float32)


def _approach(scene: PickAndPlaceScene, offset: np.ndarray, across: float) -> np.ndarray:
    wide = scene.opening > min(scene.width + _OPENED, _WIDEST)
    height = min(_HOVER, _SLOPE * max(across - _CONE, 0.0)) if wide else _HOVER
    error = offset + np.array([0.0, 0.0, height])
    # Below the cone, rise before moving sideways, or the fingers push the object over.
    error[:2] *= np.clip(1.0 - (error[2] - 0.02) / 0.04, 0.15, 1.0)
    return error


def _carry(scene: PickAndPlaceScene, across: np.ndarray) -> tuple[np.ndarray, float]:
    lift = scene.receptacle_rim + _CLEAR - scene.underside
    distance = float(np.linalg.norm(across))
    if distance < scene.over:
        height = scene.underside - scene.receptacle_rim
        if height < scene.lowered:
            return np.array([across[0], across[1], 0.0]), -1.0
        return np.array([across[0], across[1], -height]), 1.0
    error = np.array([across[0], across[1], lift])
    # Over the rim first: sideways at full speed only once the underside is clear of it.
    error[:2] *= np.clip(1.0 - (lift - 0.03) / 0.08, 0.1, 1.0) if distance > 0.1 else 1.0
    return error, 1.0


def rotation_error(axes: np.ndarray) -> np.ndarray:
    """Rotation vector, world frame, from `axes` to `DOWN`, for angles below pi."""
    rotation = DOWN @ axes.T
    vector = 0.5 * np.array(
        [
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        ]
    )
    sine = float(np.linalg.norm(vector))
    if sine < 1e-9:
        return np.zeros(3)
    angle = float(np.arctan2(sine, (np.trace(rotation) - 1.0) / 2.0))
    return vector * (angle / sine)
