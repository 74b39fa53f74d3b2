"""Serves a checkpoint by openpi's protocol: `configs/serve_policy.py` says how to run it.

Every observation gets flow noise of its own, as openpi's server draws it, unless it brings some: a
float32 array [H, A] under "noise", which repeated calls may share.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import ml_collections
import numpy as np

from experiments import app
from iss_jax import embedded
from iss_jax.pi05.params import sizes_of
from iss_jax.policies.openpi import from_checkpoint
from iss_jax.policies.server import serve


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Serves until interrupted; nothing is written."""
    del workdir
    own = config.checkpoint == "embedded"
    policy = from_checkpoint(
        embedded.checkpoint_path() if own else config.checkpoint,
        config.robot,
        tokenizer=config.tokenizer or None,
        dtype=jnp.dtype(config.dtype),
        num_steps=config.num_steps,
    )
    shape = (policy.action_horizon, sizes_of(policy.params).action_dim)
    rng = np.random.default_rng(config.seed)

    def infer(observation: Mapping[str, Any]) -> dict[str, Any]:
        noise = observation.get("noise")
        if noise is None:
            noise = rng.standard_normal(shape, np.float32)
        return {"actions": policy.infer(observation, noise=noise)}

    serve(
        infer,
        host=config.host,
        port=config.port,
        metadata={"robot": config.robot, "action_horizon": shape[0], "action_dim": shape[1]},
        ready=lambda port: print(f"serving ws://{config.host}:{port}", flush=True),
    )


if __name__ == "__main__":
    app.run(main, "serve_policy")
