"""Attribution in other units than those in which a policy's actions come."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from iss_jax.config import ISSConfig


def action_scale(transform: Callable[[np.ndarray], Any], horizon: int, dims: int) -> np.ndarray:
    """How much each dimension of the output moves with its own input: [a].

    Args:
        transform: Actions [H, dims] -> [H, a], affine in each dimension and alike in every step,
            such as an un-normalisation.
        horizon: H.
        dims: Dimensions that go in; `a` of them or fewer come out.

    Raises:
        ValueError: The transform is not affine, mixes dimensions, or differs between steps: it has
            no one scale.
    """
    base = np.asarray(transform(np.zeros((horizon, dims), np.float32)), np.float64)
    moved = np.asarray(transform(np.ones((horizon, dims), np.float32)), np.float64)
    out = base.shape[-1]
    scale = (moved - base)[0]
    rng = np.random.default_rng(0)
    for _ in range(2):
        probe = rng.uniform(-1, 1, (horizon, dims)).astype(np.float32)
        found = np.asarray(transform(probe.copy()), np.float64) - base
        wanted = probe[:, :out] * scale
        # Offsets are subtracted again, in float32: their rounding counts, too.
        size = np.abs(base) + np.abs(moved) + 1e-6
        if not (np.abs(found - wanted) <= 1e-4 * size.max(0)).all():
            raise ValueError(
                "robot units: these actions are no affine function of the policy's, dimension by "
                "dimension and alike in every step, so an error in them has no one scale"
            )
    return np.abs(scale)


def check_scale(scale: Any) -> None:
    """Says what is wrong with the units of the action dimensions.

    Raises:
        ValueError: Not [a], or a unit that is not positive and finite; the message names it.
    """
    values = np.asarray(scale)
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.number):
        raise ValueError(f"scale must be [a] numbers, got {values.dtype} {list(values.shape)}")
    wrong = np.flatnonzero(~((values > 0) & np.isfinite(values)))
    if wrong.size:
        d = int(wrong[0])
        raise ValueError(f"scale[{d}] must be a finite number above 0, got {values[d]}")


def in_units(config: ISSConfig, scale: np.ndarray, horizon: int) -> ISSConfig:
    """Options under which the effect is the mean squared error of scaled actions.

    δ = 1/(H·a) Σ_h Σ_d (scale_d · (â_hd − a*_hd))², over the steps and dimensions that `config`
    chooses (without the 1/(H·a) where its reduction is a sum).

    Args:
        config: Options; their `action_dims` must not exceed the scale's.
        scale: Unit of each action dimension, [a].
        horizon: H of the chunk.

    Raises:
        ValueError: Dimensions that the scale does not cover, or weights that are given already.
    """
    if config.action_weights is not None:
        raise ValueError("ISSConfig.action_weights and units exclude each other")
    dims = config.action_dims
    chosen = list(
        range(len(scale) if dims is None else dims) if not isinstance(dims, tuple) else dims
    )
    if max(chosen) >= len(scale):
        raise ValueError(f"ISSConfig.action_dims: {dims}, but the robot has {len(scale)}")
    weights = np.square(np.asarray(scale, np.float64)[chosen])
    if config.reduction == "mean":
        weights = weights / (len(chosen) * (config.horizon or horizon))
    return dataclasses.replace(
        config,
        action_dims=tuple(chosen),
        action_weights=tuple(float(weight) for weight in weights),
        reduction="sum",
    )
