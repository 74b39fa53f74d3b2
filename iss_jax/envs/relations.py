"""Which objects of a scene an instruction relates, and the arrangements that keep that."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from iss_jax.envs import arrangements
from iss_jax.envs.arrangements import Group

LOW, HIGH = (-0.24, -0.2), (0.15, 0.34)  # corners of LIBERO's table that its tasks use, metres
REACH = 0.77  # metres from the robot's base
UNLIKE = 0.05  # metres more between what the instruction relates and the object it does not mean
_CENTRE_SHIFT = 0.03  # metres: "table center" is still there
_FIXTURE_SHIFT = 0.02  # metres, of what stands on a fixture


class Scene(Protocol):
    """What is asked of an environment; `iss_jax.envs.libero.LiberoEnv` is one."""

    prompt: str
    task: Any

    @property
    def target(self) -> str | None:
        """The object to be moved."""
        ...

    @property
    def objects(self) -> Sequence[str]:
        """Names of the movable objects."""
        ...

    @property
    def fixtures(self) -> Sequence[str]:
        """Names of what is fixed to the scene."""
        ...

    @property
    def standing_on(self) -> Mapping[str, str]:
        """What each object stands on at the start."""
        ...

    @property
    def base_position(self) -> np.ndarray:
        """Of the robot, metres."""
        ...

    def object_boxes(self, name: str, /) -> np.ndarray:
        """Corners of the boxes around an object's parts, metres."""
        ...

    def object_position(self, name: str, /) -> np.ndarray:
        """Of an object, metres."""
        ...

    def move_objects(self, positions: Mapping[str, np.ndarray], /) -> Any:
        """Moves objects to x and y, metres."""
        ...


def kind(name: str) -> str:
    """`tomato_sauce_1` is a `tomato_sauce`."""
    return name.rpartition("_")[0]


def told_apart_by_place(env: Scene) -> bool:
    """Whether another object of the scene is of the target's kind."""
    target = env.target
    return target is not None and any(
        kind(name) == kind(target) for name in env.objects if name != target
    )


def groups_of(env: Scene) -> list[Group]:
    """The objects of a scene, grouped by what the instruction relates and what stands on what.

    Raises:
        ValueError: the task has no target.
    """
    target = env.target
    if target is None:
        raise ValueError(f"{env.task.name} has no target whose place could matter")
    names = list(env.objects)
    where = env.prompt.partition(kind(target).split("_")[-1])[2].partition(" and place")[0]
    related = {
        name
        for name in names
        if kind(name) != kind(target) and kind(name).split("_")[-1].removesuffix("s") in where
    }
    sets = {name: {name} for name in names}
    sets[target] |= related
    stacked: set[str] = set()
    shifts: dict[str, float | None] = dict.fromkeys(names)
    for name in names:
        support = env.standing_on.get(name)
        if support in names:
            sets[name].add(support)
            stacked |= {name, support}
        elif support in env.fixtures:
            shifts[name] = _FIXTURE_SHIFT if name == target else 0.0
    if "table center" in where:
        shifts[target] = _CENTRE_SHIFT
    groups: list[set[str]] = []
    for one in sets.values():
        joined = [g for g in groups if g & one]
        groups = [g for g in groups if not g & one] + [one.union(*joined)]
    out = []
    for group in groups:
        members = sorted(names.index(name) for name in group)
        limits = [s for name in group if (s := shifts[name]) is not None]
        out.append(Group(tuple(members), min(limits, default=None), bool(group & stacked)))
    return out


def arrange(env: Scene, layout: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draws an arrangement (`arrangements.draw`) of a scene: name to x and y, metres.

    Raises:
        NoLayoutError: no arrangement was found.
        ValueError: an unknown layout, or no target.
    """
    positions, rules = _rules(env)
    placed = arrangements.draw(layout, positions, rules, rng)
    return dict(zip(env.objects, placed, strict=True))


def put_target(env: Scene, spot: np.ndarray) -> bool:
    """Moves the target, with its group, to x and y; False, and nothing moved, where none fits."""
    positions, rules = _rules(env)
    index = env.objects.index(env.target or "")
    group = next(g for g in rules.groups if index in g.members)
    if group.shift is not None:
        return False
    placed = positions.copy()
    placed[list(group.members)] += spot - positions[index]
    if not arrangements.allowed(placed, rules):
        return False
    env.move_objects(dict(zip(env.objects, placed, strict=True)))
    return True


def _rules(env: Scene) -> tuple[np.ndarray, arrangements.Rules]:
    names = env.objects
    boxes = [env.object_boxes(name).reshape(-1, 3) for name in names]
    spans = np.stack([np.ptp(corners, axis=0)[:2].max() for corners in boxes])
    unlike = [n != env.target and kind(n) == kind(env.target or "") for n in names]
    fixed = [env.object_boxes(name).reshape(-1, 3)[:, :2] for name in env.fixtures]
    rules = arrangements.Rules(
        groups=tuple(groups_of(env)),
        radii=spans / 2,
        apart=UNLIKE * np.logical_xor.outer(unlike, unlike),
        low=np.array(LOW),
        high=np.array(HIGH),
        base=env.base_position[:2],
        reach=REACH,
        taken=np.array([[p.min(0), p.max(0)] for p in fixed]).reshape(-1, 2, 2),
    )
    return np.stack([env.object_position(name)[:2] for name in names]), rules
