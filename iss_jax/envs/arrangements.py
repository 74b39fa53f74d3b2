"""Layouts of scenes whose instruction tells objects apart by where they stand.

"The black bowl next to the ramekin" stays next to the ramekin: what the instruction relates moves
as one group, and so does what stands on something. Groups are moved apart from each other.
"""

import dataclasses

import numpy as np

from iss_jax.envs.layouts import NoLayoutError

SHIFT = 0.06  # metres, each axis: how far a shuffled group moves
JITTER = 0.01  # metres, each axis: how much the members of a group move within it
GAP = 0.015  # metres between the outlines of objects of different groups
_ATTEMPTS = 20_000


@dataclasses.dataclass(frozen=True)
class Group:
    """Objects that keep their relation.

    Attributes:
        members: indices of the objects.
        shift: half width of the group's own range of movement, metres; None: `SHIFT`, or the whole
            work area where objects are scattered.
        stacked: whether its members stand on each other, so that none moves on its own.
    """

    members: tuple[int, ...]
    shift: float | None = None
    stacked: bool = False


@dataclasses.dataclass(frozen=True)
class Rules:
    """What an arrangement of n objects has to keep; lengths in metres, world frame.

    Attributes:
        groups: a partition of the objects.
        radii: of circles around the objects, `[n]`.
        apart: further distance to be kept between two objects of different groups, `[n, n]`.
        low, high: corners of the rectangle where objects may stand, `[2]`. Groups with a `shift` of
            their own may stand outside it.
        base: the robot's base, `[2]`.
        reach: largest distance from it.
        taken: rectangles that fixtures occupy, `[m, 2, 2]`: lower and upper corners.
    """

    groups: tuple[Group, ...]
    radii: np.ndarray
    apart: np.ndarray
    low: np.ndarray
    high: np.ndarray
    base: np.ndarray
    reach: float
    taken: np.ndarray


def draw(kind: str, positions: np.ndarray, rules: Rules, rng: np.random.Generator) -> np.ndarray:
    """Draws where the objects stand.

    Args:
        kind: `shuffled` (every group is moved by up to `SHIFT`) or `scattered` (anywhere).
        positions: x and y of the n objects as LIBERO placed them, `[n, 2]`, metres.
        rules: what to keep.
        rng: the source of randomness.

    Returns:
        Positions `[n, 2]`.

    Raises:
        ValueError: an unknown kind.
        NoLayoutError: no arrangement was found.
    """
    if kind not in ("shuffled", "scattered"):
        raise ValueError(f"layout {kind!r}: one of shuffled, scattered wanted")
    placed = positions.copy()
    for _ in range(_ATTEMPTS):
        for group in rules.groups:
            members = list(group.members)
            if group.shift is None and kind == "scattered":
                move = rng.uniform(rules.low, rules.high) - positions[members[0]]
            else:
                reach = SHIFT if group.shift is None else group.shift
                move = rng.uniform(-reach, reach, 2)
            within = 0.0 if group.stacked or len(members) == 1 else JITTER
            placed[members] = positions[members] + move
            placed[members] += rng.uniform(-within, within, (len(members), 2))
        if allowed(placed, rules):
            return placed
    raise NoLayoutError(f"no {kind} arrangement of {len(positions)} objects keeps them apart")


def allowed(positions: np.ndarray, rules: Rules) -> bool:
    """Whether an arrangement keeps the rules."""
    owner = np.zeros(len(positions), int)
    free = np.zeros(len(positions), bool)
    for index, group in enumerate(rules.groups):
        owner[list(group.members)] = index
        free[list(group.members)] = group.shift is None
    wanted = rules.radii[:, None] + rules.radii[None] + GAP + rules.apart
    wanted[owner[:, None] == owner[None]] = 0.0
    if np.any(np.linalg.norm(positions[:, None] - positions[None], axis=-1) < wanted):
        return False
    points, radii = positions[free], rules.radii[free]
    inside = np.all((points >= rules.low) & (points <= rules.high), axis=-1)
    near = np.linalg.norm(points - rules.base, axis=-1) <= rules.reach
    closest = points[:, None].clip(rules.taken[:, 0], rules.taken[:, 1])
    clear = np.linalg.norm(points[:, None] - closest, axis=-1) >= radii[:, None]
    return bool(np.all(inside & near & clear.all(axis=-1)))
