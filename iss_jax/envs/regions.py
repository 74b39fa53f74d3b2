"""Region labels of a rendered LIBERO scene, from the geom under each pixel.

Labels (the paper's Section 4): 2 action-critical, the robot; 1 support, the objects that the task
names and the surface they stand on; 0 nuisance, all else: distractors, walls, background.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

from iss_jax.few import few

NUISANCE, SUPPORT, ACTION = 0, 1, 2
ROBOT_PREFIXES = ("robot0_", "gripper0_", "mount0_")


def geom_labels(
    model: Any, support_objects: Collection[str], support_surface: str | None
) -> np.ndarray:
    """Labels every geom of a model by the body that carries it.

    Args:
        model: a `mujoco.MjModel` in robosuite's naming.
        support_objects: objects that the task names (`ketchup_1`); bodies named so or with that
            prefix and an underscore are support, with everything that hangs on them.
        support_surface: body of the surface that carries the objects, or None.

    Returns:
        uint8 `[ngeom + 1]`; the last entry, reached by geom id -1 (no geom hit), is nuisance.

    Raises:
        ValueError: a support object or the surface has no body in the model.
    """
    names = [model.body(i).name for i in range(model.nbody)]
    if support_surface is not None and support_surface not in names:
        raise ValueError(
            f"surface {support_surface!r} has no body in the model; bodies are {few(names)}"
        )
    for name in support_objects:
        if not any(_belongs(body, name) for body in names):
            raise ValueError(f"object {name!r} has no body in the model; bodies are {few(names)}")
    bodies = np.zeros(model.nbody, np.uint8)
    for index, name in enumerate(names):
        parent = int(model.body_parentid[index])
        if name.startswith(ROBOT_PREFIXES):
            bodies[index] = ACTION
        elif name == support_surface or any(_belongs(name, o) for o in support_objects):
            bodies[index] = SUPPORT
        elif index and parent:
            bodies[index] = bodies[parent]
    return np.append(bodies[model.geom_bodyid], np.uint8(NUISANCE))


def _belongs(body: str, name: str) -> bool:
    return body == name or body.startswith(name + "_")


def floor_points(
    camera_position: np.ndarray, camera_axes: np.ndarray, fovy: float, size: int
) -> np.ndarray:
    """Where each pixel's ray meets the floor z = 0.

    Args:
        camera_position: `[3]`, world frame, metres.
        camera_axes: `[3, 3]`, columns are the camera's right, up and backward axes.
        fovy: vertical field of view, degrees.
        size: height and width in pixels.

    Returns:
        float64 `[size, size, 2]`, world x and y; NaN where the ray does not meet the floor.
    """
    half = np.tan(np.deg2rad(fovy) / 2)
    centres = ((np.arange(size) + 0.5) / size * 2 - 1) * half
    right, down = np.meshgrid(centres, centres)
    rays = np.stack([right, -down, -np.ones_like(right)], axis=-1) @ camera_axes.T
    depth = np.full(rays.shape[:2], np.nan)
    np.divide(-camera_position[2], rays[..., 2], out=depth, where=rays[..., 2] < 0)
    return camera_position[:2] + depth[..., None] * rays[..., :2]


def inside(points: np.ndarray, rectangle: tuple[float, float, float, float]) -> np.ndarray:
    """Which points `[..., 2]` lie in the rectangle (x low, y low, x high, y high); NaN does not."""
    low, high = np.asarray(rectangle[:2]), np.asarray(rectangle[2:])
    return np.all((points >= low) & (points <= high), axis=-1)
