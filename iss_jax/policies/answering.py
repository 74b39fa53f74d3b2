"""A policy as a server asks it: an observation in, an answer out, each with noise of its own."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from iss_jax.pi05.params import sizes_of
from iss_jax.policies.configs import PolicyConfig
from iss_jax.policies.openpi import OpenpiPolicy
from iss_jax.policies.shapes import KnownShapes


def answering(
    policy: OpenpiPolicy, robot: PolicyConfig, *, seed: int = 0, sizes: int = 4
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """What answers observations, for `iss_jax.policies.server.serve`.

    An observation may bring its noise, float32 [H, A] under "noise"; else it gets some of its own.

    Args:
        policy: Loaded.
        robot: Of the observations.
        seed: Of the noise.
        sizes: Different sizes of frames that are answered; each is compiled once.
    """
    shape = (policy.action_horizon, sizes_of(policy.params).action_dim)
    rng = np.random.default_rng(seed)
    known = KnownShapes(sizes, {"noise": shape})

    def infer(observation: Mapping[str, Any]) -> dict[str, Any]:
        frames, _, _ = robot.split(observation)
        noise = observation.get("noise")
        known.check(frames if noise is None else {**frames, "noise": noise})
        if noise is None:
            noise = rng.standard_normal(shape, np.float32)
        return {"actions": policy.infer(observation, noise=noise)}

    return infer
