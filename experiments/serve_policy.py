"""Serves a checkpoint by openpi's protocol: `configs/serve_policy.py` says how to run it.

Every observation gets flow noise of its own, as openpi's server draws it, unless it brings some: a
float32 array [H, A] under "noise", which repeated calls may share. Noise of another shape is
refused, and so are frames of more different sizes than `sizes`: all clients would wait while each
is compiled.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import ml_collections
import numpy as np

from experiments.runs import app
from iss_jax import embedded
from iss_jax.pi05.params import sizes_of
from iss_jax.policies.configs import named
from iss_jax.policies.openpi import from_checkpoint
from iss_jax.policies.server import serve
from iss_jax.policies.shapes import KnownShapes
from iss_jax.sampling import Sampling


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/serve_policy.py`."""

    name: str
    robot: str
    checkpoint: str
    tokenizer: str
    dtype: str
    num_steps: int
    host: str
    port: int
    seed: int
    sizes: int


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Serves until interrupted; nothing is written."""
    del workdir
    options = Options(**config.to_dict())
    own = options.checkpoint == "embedded"
    policy = from_checkpoint(
        embedded.checkpoint_path() if own else options.checkpoint,
        options.robot,
        tokenizer=options.tokenizer or None,
        dtype=jnp.dtype(options.dtype),
        sampling=Sampling(num_steps=options.num_steps),
    )
    shape = (policy.action_horizon, sizes_of(policy.params).action_dim)
    rng = np.random.default_rng(options.seed)
    known = KnownShapes(options.sizes, {"noise": shape})
    robot = named(options.robot)

    def infer(observation: Mapping[str, Any]) -> dict[str, Any]:
        frames, _, _ = robot.split(observation)
        noise = observation.get("noise")
        known.check(frames if noise is None else {**frames, "noise": noise})
        if noise is None:
            noise = rng.standard_normal(shape, np.float32)
        return {"actions": policy.infer(observation, noise=noise)}

    serve(
        infer,
        host=options.host,
        port=options.port,
        metadata={"robot": options.robot, "action_horizon": shape[0], "action_dim": shape[1]},
        ready=lambda port: print(f"serving ws://{options.host}:{port}", flush=True),
    )


if __name__ == "__main__":
    app.run(main, "serve_policy", many_processes=False)
