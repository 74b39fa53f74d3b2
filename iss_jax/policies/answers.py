"""What a policy that is asked may answer: a dict with `actions` [H, a]."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from iss_jax.few import few

__all__ = ["actions_of"]


def actions_of(answer: Any, where: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """The actions of an answer, float32 [H, a].

    >>> actions_of({"actions": [[1, 2, 3]]}, "answer 0").shape
    (1, 3)
    >>> actions_of({"actions": []}, "answer 1")
    Traceback (most recent call last):
    ValueError: answer 1: actions of shape (0,), wanted [H, a]

    Args:
        answer: What the policy gave.
        where: Which answer it is, for errors.
        shape: That of the answers before it, [H, a]; any when None.

    Raises:
        ValueError: No dict, one without `actions`, or actions that are no finite numbers [H, a] of
            at least one step and one dimension, or of another shape than before.
    """
    if not isinstance(answer, Mapping):
        raise ValueError(
            f"{where}: {type(answer).__name__} given, a dict with 'actions' [H, a] wanted"
        )
    if "actions" not in answer:
        raise ValueError(f"{where}: has no 'actions', it has {few(sorted(map(str, answer)))}")
    try:
        given = np.asarray(answer["actions"])
    except ValueError as error:
        raise ValueError(f"{where}: actions of rows of unequal length, wanted [H, a]") from error
    if given.dtype.kind not in "iuf" and given.dtype.name != "bfloat16":
        raise ValueError(f"{where}: actions of dtype {given.dtype}, wanted numbers [H, a]")
    wanted = "[H, a]" if shape is None else f"{shape}, as before"
    if given.ndim != 2 or 0 in given.shape or (shape is not None and given.shape != shape):
        raise ValueError(f"{where}: actions of shape {given.shape}, wanted {wanted}")
    with np.errstate(over="ignore"):
        chunk = given.astype(np.float32)
    if not np.isfinite(chunk).all():
        step, dim = np.argwhere(~np.isfinite(chunk))[0].tolist()
        raise ValueError(
            f"{where}: actions hold {given[step, dim]} at step {step}, dimension {dim}, "
            "wanted finite numbers"
        )
    return chunk
