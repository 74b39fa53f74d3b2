"""Serves a checkpoint by openpi's protocol: `configs/serve_policy.py` says how to run it.

Every observation gets flow noise of its own, as openpi's server draws it, unless it brings some: a
float32 array [H, A] under "noise", which repeated calls may share. Noise of another shape is
refused, and so are frames of more different sizes than `sizes`: all clients would wait while each
is compiled. `iss-jax serve` does the same.
"""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import ml_collections

from experiments.runs import app
from iss_jax import embedded
from iss_jax.pi05.params import sizes_of
from iss_jax.policies.answering import answering
from iss_jax.policies.openpi import from_checkpoint
from iss_jax.policies.robots import robot_of
from iss_jax.policies.server import serve
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
    robot = robot_of(options.robot)
    policy = from_checkpoint(
        embedded.checkpoint_path() if own else options.checkpoint,
        robot,
        tokenizer=options.tokenizer or None,
        dtype=jnp.dtype(options.dtype),
        sampling=Sampling(num_steps=options.num_steps),
    )
    dims = sizes_of(policy.params).action_dim
    about = {"robot": robot.name, "action_horizon": policy.action_horizon, "action_dim": dims}
    serve(
        answering(policy, robot, seed=options.seed, sizes=options.sizes),
        host=options.host,
        port=options.port,
        metadata=about,
        ready=lambda port: print(f"serving ws://{options.host}:{port}", flush=True),
    )


if __name__ == "__main__":
    app.run(main, "serve_policy", many_processes=False)
