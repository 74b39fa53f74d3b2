"""A checkpoint as a callable that acts: camera frames, state and prompt to robot actions."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from iss_jax import embedded
from iss_jax.pi05.params import sizes_of
from iss_jax.policies.configs import PolicyConfig
from iss_jax.policies.openpi import from_checkpoint
from iss_jax.policies.robot_cameras import matched
from iss_jax.policies.robots import robot_of
from iss_jax.sampling import Sampling


def make_policy(
    checkpoint: str,
    *,
    max_token_len: int,
    action_horizon: int,
    num_steps: int = 10,
    tokenizer: str = "",
    robot: str = "embedded",
    dtype: str = "float32",
) -> Callable[[Mapping[str, Any]], np.ndarray]:
    """Restores a checkpoint and compiles its forward pass for single observations.

    The flow noise is a function of the trial's seed and the robot's state, so that a trial does not
    depend on what the process ran before it.

    Args:
        checkpoint: the step's folder, or "embedded".
        max_token_len: prompts are padded or cut to this.
        action_horizon: length of the chunk.
        num_steps: denoising steps.
        tokenizer: as in `from_checkpoint`.
        robot: name of the policy's configuration, or a Python file that holds it.
        dtype: of the parameters.

    Returns:
        policy({"images": {camera: uint8 [h, w, 3]}, "state": [s], "prompt": str, "seed": int})
        -> [H, a] in robot units.
    """
    described = robot_of(robot)
    sent = SENT.get(robot, partial(as_robot_sends, described))
    policy = from_checkpoint(
        embedded.checkpoint_path() if checkpoint == "embedded" else checkpoint,
        dataclasses.replace(described, max_token_len=max_token_len, action_horizon=action_horizon),
        tokenizer=tokenizer or None,
        dtype=jnp.dtype(dtype),
        sampling=Sampling(num_steps=num_steps),
    )
    action_dim = sizes_of(policy.params).action_dim

    def act(observation: Mapping[str, Any]) -> np.ndarray:
        state = np.asarray(observation["state"], np.float32)
        seed = int(observation.get("seed", 0))
        key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(state.tobytes()))
        noise = jax.random.normal(key, (action_horizon, action_dim), jnp.float32)
        return policy.infer(sent(observation), noise=noise)

    return act


def as_openpi_sends(observation: Mapping[str, Any]) -> dict[str, Any]:
    """LIBERO's frames as `pi05_libero` was trained: mirrored left to right.

    openpi turns MuJoCo's bottom-up frames by 180°, which leaves upright ones mirrored.
    """
    images = {camera: image[:, ::-1] for camera, image in observation["images"].items()}
    return {
        "observation/image": images["front"],
        "observation/wrist_image": images["wrist"],
        "observation/state": observation["state"],
        "prompt": observation["prompt"],
    }


def as_robot_sends(robot: PolicyConfig, observation: Mapping[str, Any]) -> dict[str, Any]:
    """A rollout's frames under the names of a robot's cameras, and its state under its keys."""
    images = observation["images"]
    found = matched(robot.cameras, list(images))
    frames = {robot.cameras[view]: images[camera] for view, camera in found.items()}
    return robot.join(frames, observation["state"], observation["prompt"])


# What of a rollout's observation a robot's policy gets.
SENT: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "embedded": lambda observation: observation,
    "pi05_libero": as_openpi_sends,
}


def blur_away(images: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Blur images [..., h, w, 3] by a quarter of their height: nothing can be told or located."""
    from scipy.ndimage import gaussian_filter

    out = {}
    for camera, given in images.items():
        image = np.asarray(given)
        sigma = image.shape[-3] / 4
        along = (0,) * (image.ndim - 3) + (sigma, sigma, 0)
        soft = gaussian_filter(image.astype(np.float32), along, mode="mirror")
        out[camera] = (np.round(soft) if image.dtype == np.uint8 else soft).astype(image.dtype)
    return out
