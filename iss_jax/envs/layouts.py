"""Where the objects of a scene stand: as LIBERO placed them, shuffled among slots, or scattered.

Over the 50 init states of a libero_object task every object moves by millimetres, so a policy can
succeed without looking. The two other kinds take that away.
"""

import numpy as np

KINDS = ("native", "shuffled", "scattered")
JITTER = 0.02  # metres, each axis, of objects around their slots
RECEPTACLE_JITTER = 0.01  # metres; the receptacle stands at the border of the front view
SEPARATION = 0.085  # metres between the centres of two objects; they are at most 7 cm wide
CLEARANCE = 0.16  # metres between the centres of an object and the receptacle
_ATTEMPTS = 2000


class NoLayoutError(RuntimeError):
    """No layout of the wanted kind was found."""


def draw(
    kind: str,
    slots: np.ndarray,
    receptacle: np.ndarray | None,
    rng: np.random.Generator,
    jitter: float = JITTER,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Draws where the objects and the receptacle stand.

    Args:
        kind: `native` (as given), `shuffled` (objects exchange slots, then uniform jitter), or
            `scattered` (uniform over the slots' bounding rectangle).
        slots: float `[n, 2]`, x and y of the n objects as LIBERO placed them, metres.
        receptacle: float `[2]`, or None where the task has none.
        rng: the source of randomness.
        jitter: half width of the objects' jitter, metres.

    Returns:
        Positions of the n objects `[n, 2]` and of the receptacle.

    Raises:
        ValueError: an unknown kind.
        NoLayoutError: no layout keeps the objects apart.
    """
    if kind not in KINDS:
        raise ValueError(f"layout {kind!r}: one of {KINDS} wanted")
    if kind == "native":
        return slots.copy(), None if receptacle is None else receptacle.copy()
    count = len(slots)
    if receptacle is not None:
        receptacle = receptacle + rng.uniform(-RECEPTACLE_JITTER, RECEPTACLE_JITTER, 2)
    if kind == "shuffled":
        slots = slots[rng.permutation(count)]
    low, high = slots.min(0) - jitter, slots.max(0) + jitter
    for _ in range(_ATTEMPTS):
        if kind == "shuffled":
            points = slots + rng.uniform(-jitter, jitter, (count, 2))
        else:
            points = rng.uniform(low, high, (count, 2))
        if _apart(points, receptacle):
            return points, receptacle
    raise NoLayoutError(
        f"no {kind} layout of {count} objects in {low} to {high} keeps them {SEPARATION} m apart"
    )


def _apart(points: np.ndarray, receptacle: np.ndarray | None) -> bool:
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)
    gaps[np.diag_indices(len(points))] = np.inf
    if gaps.min(initial=np.inf) < SEPARATION:
        return False
    if receptacle is None:
        return True
    return bool(np.linalg.norm(points - receptacle, axis=-1).min(initial=np.inf) >= CLEARANCE)
