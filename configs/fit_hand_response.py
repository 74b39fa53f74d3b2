"""The constants of the hand's response to actions (`iss_jax.envs.hand_response`).

    python -m experiments.fit_hand_response --config=configs/fit_hand_response.py
    python -m experiments.fit_hand_response --config=configs/fit_hand_response.py:smoke

Variants: `training` (48 episodes, which made the shipped constants), `smoke` (three episodes, half
a minute). Both need the simulator.
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("training", "smoke")


def get_config(variant: str = "training") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"fit_hand_response-{chosen(variant, VARIANTS)}"
    config.suite = "libero_object"
    # Indices in the suite.
    config.tasks = (0, 3, 5, 8)
    # Episodes a task; every third is held out for the comparison.
    config.episodes = 12
    # Control steps of the chunks that are compared.
    config.horizon = 16
    if variant == "smoke":
        config.tasks, config.episodes = (0,), 3
    return config
