"""Whether a policy and a dataset mean the same action: length of a chunk, dimensions of the robot.

Parameters do not tell how long a policy's chunks are: another length than it was trained with gives
other actions and other maps, without a word. A dataset tells it where it holds whole chunks. Where
it holds one action a frame, it tells the dimensions alone.

    require_chunks(dataset, 16, [7])   # training: an error
    warn_of_chunks(dataset, 16, [7])   # an explanation: a warning, once when a dataset is opened
"""

import math
import warnings
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from iss_jax.data.dataset import Dataset
from iss_jax.data.episode import CHUNKS
from iss_jax.pi05.normalize import NormStats

CHUNK, VALID = CHUNKS
HORIZON = "action_horizon"  # in the metadata of an episode


class Told(NamedTuple):
    """What one feature says of the actions; None where it does not say.

    Attributes:
        feature: Its name.
        shape: Of what it holds of a frame.
        horizon: H.
        dims: A.
    """

    feature: str
    shape: tuple[int, ...]
    horizon: int | None
    dims: int | None


def told_by(dataset: Dataset) -> list[Told]:
    """What a dataset's metadata say of chunks and actions; nothing is decoded.

    Where it has chunks, they say it, and the action that was executed does not.
    """
    found, shapes = [], dataset.action_shapes
    for name, shape in shapes.items():
        if name == VALID:
            found.append(Told(name, shape, shape[0] if len(shape) == 1 else None, None))
        elif len(shape) == 2 and (name == CHUNK or CHUNK not in shapes):
            found.append(Told(name, shape, *shape))
        elif CHUNK not in shapes:
            found.append(Told(name, shape, None, math.prod(shape)))
    horizon = dataset.metadata(0).get(HORIZON) if len(dataset) else None
    if isinstance(horizon, int) and not isinstance(horizon, bool):
        found.append(Told(f"metadata {HORIZON!r}", (), horizon, None))
    return found


def disagreement(
    dataset: Dataset,
    action_horizon: int | None,
    action_dims: Collection[int] = (),
    whose: str = "the policy",
) -> str | None:
    """Where a dataset's actions are not those of a policy; None where nothing says so.

    Args:
        dataset: Of any format.
        action_horizon: H of the policy; None where nobody knows it.
        action_dims: Of the robot, any of these; empty where nobody knows them.
        whose: What H and the dimensions are of, for the message.
    """
    for told in told_by(dataset):
        if told.feature not in (CHUNK, VALID) and math.prod(told.shape) in action_dims:
            continue  # one action that lies in rows, such as two arms
        wrong = []
        if None not in (told.horizon, action_horizon) and told.horizon != action_horizon:
            wrong.append(f"chunks of {told.horizon} actions, {whose} has {action_horizon}")
        if action_dims and told.dims is not None and told.dims not in action_dims:
            wanted = " or ".join(map(str, sorted(action_dims)))
            wrong.append(f"actions of {told.dims} dimensions, {whose} has {wanted}")
        if wrong:
            shape = f" {list(told.shape)}" if told.shape else ""
            return f"{dataset.root}: {told.feature}{shape} tells {'; and '.join(wrong)}"
    return None


def require_chunks(
    dataset: Dataset,
    action_horizon: int | None,
    action_dims: Collection[int] = (),
    whose: str = "the policy",
) -> None:
    """Refuses to train on chunks of another length, or on another robot's actions.

    Args:
        dataset: As `disagreement`, like the others.
        action_horizon: H.
        action_dims: A.
        whose: H and A are.

    Raises:
        ValueError: They disagree; the message names dataset, feature, what it holds and what is
            wanted.
    """
    found = disagreement(dataset, action_horizon, action_dims, whose)
    if found is not None:
        raise ValueError(found)


def warn_of_chunks(
    dataset: Dataset, action_horizon: int | None, action_dims: Collection[int] = ()
) -> None:
    """Says once that an explained policy acts otherwise than the dataset's actions say.

    Args:
        dataset: As `disagreement`, like the others.
        action_horizon: H.
        action_dims: A.

    Warns:
        UserWarning: They disagree; the message names dataset, feature, what it holds and what is
            wanted.
    """
    found = disagreement(dataset, action_horizon, action_dims)
    if found is not None:
        warnings.warn(
            f"{found}. Frames are explained all the same: a chunk length that the policy was not "
            "trained with gives other actions, and another map",
            stacklevel=3,
        )


def robot_dims(norm_stats: Mapping[str, Any]) -> tuple[int, ...]:
    """Dimensions that a policy's actions may have by its statistics.

    openpi pads some statistics: trailing dimensions that never move may be none of the robot's.

    >>> robot_dims({"actions": NormStats(np.array([1.0, 0.0, 0.0]), np.array([0.5, 0.0, 0.0]))})
    (1, 2, 3)
    """
    stats: NormStats = norm_stats["actions"]
    moving = np.flatnonzero((np.asarray(stats.std) != 0) | (np.asarray(stats.mean) != 0))
    least = int(moving[-1]) + 1 if moving.size else len(stats.mean)
    return tuple(range(least, len(stats.mean) + 1))
