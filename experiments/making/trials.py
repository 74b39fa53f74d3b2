"""Trials acted out over a pool of simulators, from starts that no training has seen."""

from collections.abc import Iterator, Sequence
from typing import Any

import ml_collections

HELD_OUT_INIT_STATES = 25


HELD_OUT_LAYOUT_SEEDS = 10_000


TRIALS_APART = 5  # init states between the first trials of two seeds


def act_out(
    config: ml_collections.ConfigDict,
    checkpoint: str,
    trials: Sequence[Any],
    transform: str | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Trials (`RolloutItem`) of a checkpoint's policy with what came of them, as each ends."""
    from iss_jax.envs.rollout import rollouts

    if not trials:
        return
    yield from rollouts(
        trials,
        "experiments.inputs.acting:make_policy",
        {
            "checkpoint": str(checkpoint),
            "max_token_len": config.max_token_len,
            "action_horizon": config.action_horizon,
            "num_steps": config.num_steps,
            "robot": config.get("robot", "embedded"),
            "dtype": config.get("dtype", "float32"),
        },
        processes=config.processes,
        image_size=config.image_size,
        execute=config.execute,
        transform=transform,
    )
