"""A policy of the zoo as a callable that acts in closed loop."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from iss_jax import embedded
from iss_jax.pi05.lora import merge_lora
from iss_jax.pi05.params import sizes_of
from iss_jax.policies.configs import CONFIGS
from iss_jax.policies.low_rank import with_leaves
from iss_jax.policies.openpi import from_checkpoint
from iss_jax.policies.restored import Policy, load_policy
from iss_jax.sampling import Sampling


def load(leaves: str | Path) -> Policy:
    """The policy of some low-rank leaves; the embedded one itself of "embedded"."""
    base = load_policy(embedded.checkpoint_path())
    return base if str(leaves) == "embedded" else with_leaves(base, leaves)


def actor(
    policy: Policy, *, max_token_len: int, action_horizon: int, num_steps: int
) -> Callable[[Mapping[str, Any]], np.ndarray]:
    """The policy as `iss_jax.envs.rollout.rollout` calls it.

    The flow noise is a function of the trial's seed and the robot's state, as of
    `experiments.inputs.acting.make_policy`.

    Args:
        policy: With or without low-rank leaves; they are merged.
        max_token_len: Prompts are padded or cut to this.
        action_horizon: Length of the chunk.
        num_steps: Euler steps.
    """
    robot = dataclasses.replace(
        CONFIGS["embedded"], max_token_len=max_token_len, action_horizon=action_horizon
    )
    base = from_checkpoint(
        embedded.checkpoint_path(),
        robot,
        dtype=jnp.dtype("float32"),
        sampling=Sampling(num_steps=num_steps),
    )
    chosen = dataclasses.replace(base, params=merge_lora(policy.params))
    dims = sizes_of(chosen.params).action_dim

    def act(observation: Mapping[str, Any]) -> np.ndarray:
        state = np.asarray(observation["state"], np.float32)
        key = jax.random.key(int(observation.get("seed", 0)))
        key = jax.random.fold_in(key, zlib.crc32(state.tobytes()))
        noise = jax.random.normal(key, (action_horizon, dims), jnp.float32)
        return chosen.infer(observation, noise=noise)

    return act
