"""A checkpoint as a callable that acts: camera frames, state and prompt to robot actions."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.policy import load_policy
from iss_jax import embedded
from iss_jax.pi05 import model
from iss_jax.pi05.inputs import make_observation, robot_actions
from iss_jax.pi05.observation import preprocess
from iss_jax.pi05.params import sizes_of


def make_policy(
    checkpoint: str,
    *,
    max_token_len: int,
    action_horizon: int,
    num_steps: int = 10,
    tokenizer: str = "",
) -> Callable[[Mapping[str, Any]], np.ndarray]:
    """Restores a checkpoint and compiles its forward pass for single observations.

    The flow noise is a function of the trial's seed and the robot's state, so that a trial does not
    depend on what the process ran before it.

    Args:
        checkpoint: the step's folder, or "embedded".
        max_token_len: prompts are padded or cut to this.
        action_horizon: length of the chunk.
        num_steps: denoising steps.
        tokenizer: as in `load_policy`.

    Returns:
        policy({"images": {camera: uint8 [h, w, 3]}, "state": [s], "prompt": str, "seed": int})
        -> [H, a] in robot units.
    """
    path = embedded.checkpoint_path() if checkpoint == "embedded" else checkpoint
    policy = load_policy(path, tokenizer=tokenizer)
    sizes = sizes_of(policy.params)

    @jax.jit
    def sample(params: Any, obs: model.Observation, noise: jax.Array) -> jax.Array:
        return model.sample_actions(params, preprocess(obs, policy.image_size), noise, num_steps)

    def act(observation: Mapping[str, Any]) -> np.ndarray:
        state = np.asarray(observation["state"], np.float32)
        obs = make_observation(
            {camera: image[None] for camera, image in observation["images"].items()},
            state[None],
            [observation["prompt"]],
            tokenizer=policy.tokenizer,
            norm_stats=policy.norm_stats,
            max_token_len=max_token_len,
        )
        seed = int(observation.get("seed", 0))
        key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(state.tobytes()))
        noise = jax.random.normal(key, (1, action_horizon, sizes.action_dim), jnp.float32)
        return robot_actions(sample(policy.params, obs, noise), policy.norm_stats)[0]

    return act


def blur_away(images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Blur every image by a quarter of its height: no object can be told or located."""
    from scipy.ndimage import gaussian_filter

    out = {}
    for camera, image in images.items():
        sigma = image.shape[0] / 4
        blurred = gaussian_filter(image.astype(np.float32), (sigma, sigma, 0), mode="mirror")
        out[camera] = np.round(blurred).astype(np.uint8)
    return out
