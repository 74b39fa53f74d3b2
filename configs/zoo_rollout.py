r"""Success of the zoo's policies, unshifted and along every axis.

    python -m experiments.zoo_rollout --config=configs/zoo_rollout.py --config.rows="(1,)"
    python -m experiments.zoo_rollout --config=configs/zoo_rollout.py:ladder --config.rows="(1,)"
    python -m experiments.zoo_rollout --config=configs/zoo_rollout.py:smoke

Needs the simulator (extra `libero`). Variants: `full` (40 trials an axis; a quarter of an hour a
policy), `ladder` (several strengths an axis, ten trials each, from which strengths were set),
`smoke` (the embedded policy, one short trial of each axis).
"""

import ml_collections

from configs.parts.variants import chosen
from configs.parts.zoo import rollout_keys, zoo_config

VARIANTS = ("full", "ladder", "smoke")

LADDER = {
    "cue": (1.0,),
    "layout": (0.03, 0.04, 0.06, 0.08),
    "looks": (0.3, 0.4, 0.6, 0.7, 1.0),
    "distractors": (3.0, 6.0, 8.0, 12.0, 16.0),
    "texture": (0.2, 0.25, 0.35, 0.5, 0.8),
    "light": (0.1, 0.2, 0.4, 0.8, 1.2),
    "camera": (0.01, 0.02, 0.03, 0.04),
    "noise": (0.08, 0.1, 0.15, 0.16, 0.24),
}


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = zoo_config(f"zoo_rollout-{chosen(variant, VARIANTS)}")
    # Filled with a recipe's name; "embedded" is the policy that all of them start from.
    config.leaves = "runs/zoo/train/{name}/leaves.npz"
    config.rollout = rollout_keys()
    if variant == "ladder":
        config.rollout.trials = 1
        config.rollout.strengths = ml_collections.ConfigDict(LADDER)
    elif variant == "smoke":
        config.leaves, config.rows = "embedded", (4,)
        config.rollout.update({"tasks": (0,), "trials": 1, "max_steps": 16, "num_steps": 2})
    return config
