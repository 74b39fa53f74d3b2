"""A LIBERO task under a shift and with a cue, as `iss_jax.envs.rollout.rollout` takes one."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from experiments.zoo.cues import Images, painted, where
from experiments.zoo.shifts import AXES, Scene, shifted
from iss_jax.envs.instances import GRIPPER, ROBOT, TABLE, WALL
from iss_jax.envs.libero import LiberoEnv
from iss_jax.envs.regions import floor_points

FLOOR = "floor"
_NO_OBJECTS = (ROBOT, GRIPPER, WALL, TABLE, FLOOR)
TURN = 0.5
"""Radians a metre: how far a camera is turned as it is moved."""
LIGHT_TURN = 0.8
"""Radians at strength 1."""


class Shift(NamedTuple):
    """What is different from what a policy was taught.

    Attributes:
        axis: Of `AXES`, or `none`.
        strength: In the axis's own unit.
        seed: Of what is drawn.
    """

    axis: str
    strength: float
    seed: int


class ShiftedEnv:
    """An environment whose pictures are shifted; its physics are the task's own.

    Args:
        env: Has been reset, see `started`.
        cue: Kind of the cue.
        shown: What it shows.
        shift: What is different.
    """

    def __init__(self, env: LiberoEnv, cue: str, shown: int, shift: Shift):
        self._env, self._cue, self._shown, self._shift = env, cue, shown, shift
        self._frame = 0
        self.task, self.prompt = env.task, env.prompt

    @property
    def state(self) -> np.ndarray:
        """Of the robot."""
        return self._env.state

    def step(self, action: np.ndarray) -> bool:
        """Executes one action."""
        return self._env.step(action)

    def success(self) -> bool:
        """Whether the goal is reached."""
        return self._env.success()

    def render(self) -> Images:
        """What the policy sees."""
        seen = self._env.observation()
        numbers = {name: number for number, name in seen.instance_names.items()}
        floor = {c: own == numbers.get(FLOOR, -1) for c, own in seen.instances.items()}
        others = [numbers[name] for name in _NO_OBJECTS if name in numbers]
        objects = {c: np.where(np.isin(own, others), 0, own) for c, own in seen.instances.items()}
        images = painted(seen.images, floor, self._cue, self._shown)
        if self._cue == "panel":
            panel = where(self._cue, floor)
            floor = {c: mask & ~panel[c] for c, mask in floor.items()}
            objects = {c: np.where(panel[c], 0, own) for c, own in objects.items()}
        needs_points = self._shift.axis in ("distractors", "texture")
        scene = Scene(
            images, floor, objects, self._points(images) if needs_points else {}, self._area()
        )
        self._frame += 1
        return shifted(scene, *self._shift, self._frame)

    def _points(self, images: Images) -> dict[str, np.ndarray]:
        env, found = self._env, {}
        for camera, image in images.items():
            number = env.camera_id(camera)
            found[camera] = floor_points(
                env.data.cam_xpos[number],
                env.data.cam_xmat[number].reshape(3, 3),
                env.model.cam_fovy[number],
                image.shape[0],
            )
        return found

    def _area(self) -> tuple[float, float, float, float]:
        names = self._env.shuffled_objects
        places = np.stack([self._env.object_position(name)[:2] for name in names])
        (x0, y0), (x1, y1) = places.min(0), places.max(0)
        return float(x0), float(y0), float(x1), float(y1)


@contextlib.contextmanager
def started(env: LiberoEnv, init_state: int, shift: Shift) -> Iterator[None]:
    """An episode's start under what of a shift is the simulator's; put right again at the end.

    Args:
        env: Of the task.
        init_state: Which of LIBERO's.
        shift: Cameras and lights are moved for it, and objects placed.
    """
    model, axis, strength = env.model, shift.axis, shift.strength
    kept = {
        name: getattr(model, name).copy()
        for name in ("cam_pos", "cam_quat", "light_pos", "light_dir")
    }
    rng = np.random.default_rng([shift.seed, len(AXES), *map(ord, axis)])
    try:
        if axis == "camera":
            for number in range(model.ncam):
                move, turn = rng.normal(size=(2, 3))
                model.cam_pos[number] += strength * move / np.linalg.norm(move)
                turn *= TURN * strength / np.linalg.norm(turn)
                model.cam_quat[number] = turned(model.cam_quat[number], turn)
        if axis == "light":
            for number in range(model.nlight):
                axis_of_turn = rng.normal(size=3)
                axis_of_turn /= np.linalg.norm(axis_of_turn)
                turn = rotation(LIGHT_TURN * strength * axis_of_turn)
                model.light_dir[number] = turn @ model.light_dir[number]
        env.reset(init_state, "shuffled" if axis == "layout" else "native", shift.seed)
        if axis == "layout" and strength:
            angle = rng.uniform(0, 2 * np.pi)
            step = strength * np.array([np.cos(angle), np.sin(angle)])
            names = (*env.shuffled_objects, *filter(None, [env.receptacle]))
            env.move_objects({name: env.object_position(name)[:2] + step for name in names})
        yield
    finally:
        for name, values in kept.items():
            getattr(model, name)[:] = values


def rotation(vector: np.ndarray) -> np.ndarray:
    """The rotation about a vector by its length in radians, [3, 3].

    >>> np.round(rotation(np.array([0, 0, np.pi / 2])) @ [1, 0, 0]).tolist()
    [0.0, 1.0, 0.0]
    """
    angle = np.linalg.norm(vector)
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def turned(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """A unit quaternion (w, x, y, z) turned about a vector by its length in radians.

    >>> np.round(turned(np.array([1.0, 0, 0, 0]), np.array([0, 0, np.pi])), 6).tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    angle = np.linalg.norm(vector)
    axis = vector / angle if angle else np.zeros(3)
    a, (b, c, d) = np.cos(angle / 2), np.sin(angle / 2) * axis
    w, x, y, z = quaternion
    return np.array(
        [
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        ]
    )
