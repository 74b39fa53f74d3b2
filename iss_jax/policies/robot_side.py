"""A robot's dict as the policy's observation, and the policy's actions as the robot's."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.normalize import NormStats, unnormalize
from iss_jax.pi05.observation import VIEWS, Observation, padded_extent
from iss_jax.policies.configs import PolicyConfig


def observe(
    raw: Mapping[str, Any],
    *,
    config: PolicyConfig,
    norm_stats: Mapping[str, NormStats],
    tokenizer: Any,
) -> Observation:
    """What the policy sees of a robot's dict, of batch one.

    Raises:
        ValueError: The dict is not this robot's, or a frame is of another kind or range.
    """
    frames, state, prompt = config.split(raw)
    return make_observation(
        {camera: _checked(camera, frame)[None] for camera, frame in frames.items()},
        config.decode_state(state)[None],
        [prompt],
        tokenizer=tokenizer,
        norm_stats=norm_stats,
        max_token_len=config.max_token_len,
        cameras={view: config.cameras.get(view, "") for view in VIEWS},
        discrete_state_input=config.discrete_state_input,
        normalisation=config.normalisation,
    )


def _checked(camera: str, frame: np.ndarray) -> np.ndarray:
    """uint8 as it is; a robot's floats in [0, 1] in the policy's [-1, 1]."""
    if frame.dtype == np.uint8:
        return frame
    if not np.issubdtype(frame.dtype, np.floating):
        raise ValueError(f"camera {camera!r}: dtype {frame.dtype}, wanted uint8 or float in [0, 1]")
    low, high = float(frame.min()), float(frame.max())
    if not (low >= 0.0 and high <= 1.0):
        raise ValueError(f"camera {camera!r}: floats in [{low:g}, {high:g}], wanted [0, 1]")
    return frame.astype(np.float32) * np.float32(2.0) - np.float32(1.0)


def to_robot(
    actions: np.ndarray,
    state: np.ndarray,
    *,
    config: PolicyConfig,
    norm_stats: Mapping[str, NormStats],
) -> np.ndarray:
    """The robot's actions [H, a] of normalised ones [H, A], at a normalised state [s]."""
    how = config.normalisation
    robot = unnormalize(actions, norm_stats["actions"], how)[..., : config.action_dims]
    return config.encode_actions(robot, unnormalize(state, norm_stats["state"], how))


def picture(
    config: PolicyConfig, raw: Mapping[str, Any], obs: Observation
) -> dict[str, np.ndarray] | None:
    """Pixels that are picture where a live input transform has letterboxed a frame."""
    frames, _, _ = config.split(raw)
    valid = {}
    for view, camera in config.cameras.items():
        if camera not in frames:
            continue
        (height, width), (to_height, to_width) = (
            frames[camera].shape[:2],
            obs.images[view].shape[1:3],
        )
        rows, columns = padded_extent(height, width, to_height, to_width)
        inside = np.zeros((1, to_height, to_width), bool)
        inside[:, rows, columns] = True
        if not inside.all():
            valid[view] = inside
    return valid or None
