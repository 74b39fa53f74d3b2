"""Things of a rendered LIBERO scene by name, from the geom under each pixel.

    numbers, names = geom_instances(model, objects)
    image = numbers[geom_ids]                # int32, 0 where there is nothing that has a name

All bodies of one thing are one: a cabinet with its drawers, the arm with its mount. Names are
those that instructions say.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

NOTHING = 0
ROBOT, GRIPPER, WALL, TABLE = "robot", "gripper", "wall", "table"

# What LIBERO's instructions call a thing, where that is not its category's name.
SPOKEN = {
    "akita black bowl": "black bowl",
    "cookies": "cookie box",
    "flat stove": "stove",
    "glazed rim porcelain ramekin": "ramekin",
    "porcelain mug": "white mug",
    "white yellow mug": "yellow and white mug",
}
_ROBOT_PARTS = {"robot0_": ROBOT, "mount0_": ROBOT, "gripper0_": GRIPPER}


def object_names(objects: Sequence[str]) -> dict[str, str]:
    """What to call the objects of a scene.

    >>> object_names(["akita_black_bowl_1", "akita_black_bowl_2", "wooden_cabinet_1"])
    ... # doctest: +NORMALIZE_WHITESPACE
    {'akita_black_bowl_1': 'black bowl 1', 'akita_black_bowl_2': 'black bowl 2',
     'wooden_cabinet_1': 'wooden cabinet'}

    Args:
        objects: LIBERO's names of objects and fixtures: a category and a number.

    Returns:
        Object -> its name without the number; where several have one name, they are numbered in
        the order given.
    """
    kinds = {name: _readable(name.rstrip("0123456789")) for name in objects}
    counts, seen = Counter(kinds.values()), Counter()
    found = {}
    for name, kind in kinds.items():
        seen[kind] += 1
        found[name] = f"{kind} {seen[kind]}" if counts[kind] > 1 else kind
    return found


def geom_instances(model: Any, objects: Sequence[str]) -> tuple[np.ndarray, dict[int, str]]:
    """Numbers every geom of a model by the thing that it is part of.

    Args:
        model: a `mujoco.MjModel` in robosuite's naming.
        objects: names of objects and fixtures (`ketchup_1`); bodies named so or with that prefix
            and an underscore are theirs, with everything that hangs on them.

    Returns:
        int32 `[ngeom + 1]`, 0 for a geom of the world that has no name and in the last entry,
        reached by geom id -1 (no geom hit); and number -> name: the robot and its gripper, the
        objects in the order given, then the rest of the scene.

    Raises:
        ValueError: an object has no body in the model.
    """
    spoken = object_names(objects)
    bodies: list[str] = []
    owned = set()
    for index in range(model.nbody):
        body, parent = model.body(index).name, int(model.body_parentid[index])
        part = next((name for prefix, name in _ROBOT_PARTS.items() if body.startswith(prefix)), "")
        owners = [name for name in objects if body == name or body.startswith(name + "_")]
        if part:
            bodies.append(part)
        elif owners:
            owned |= {max(owners, key=len)}
            bodies.append(spoken[max(owners, key=len)])
        else:
            bodies.append(bodies[parent] if parent else _readable(body))
    lacking = sorted(set(objects) - owned)
    if lacking:
        raise ValueError(
            f"objects {lacking} have no body in the model; bodies are "
            f"{[model.body(i).name for i in range(model.nbody)]}"
        )
    # The world is one body; its walls and floor are geoms with names of their own.
    geoms = [
        bodies[body] if body else _readable(model.geom(index).name)
        for index, body in enumerate(np.asarray(model.geom_bodyid).tolist())
    ]
    order = dict.fromkeys((ROBOT, GRIPPER, *spoken.values(), *geoms))
    order.pop("", None)
    numbers = {name: number for number, name in enumerate(order, start=NOTHING + 1)}
    found = [numbers.get(name, NOTHING) for name in (*geoms, "")]
    return np.array(found, np.int32), {number: name for name, number in numbers.items()}


def _readable(name: str) -> str:
    words = " ".join(name.split("_")).strip()
    for whole in (WALL, TABLE):
        if whole in words.split():
            return whole
    return SPOKEN.get(words, words)
