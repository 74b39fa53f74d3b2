r"""What is known of the zoo's policies before any shifted trial, and what that costs.

    python -m experiments.zoo_measure --config=configs/zoo_measure.py --config.rows="(1,)"
    python -m experiments.zoo_measure --config=configs/zoo_measure.py:smoke

Needs the frames of `zoo_frames` and the leaves of `zoo_train`. Variants: `full` (64 frames a
policy), `smoke` (the embedded policy on two frames that ship, few runs; a minute).
"""

from ml_collections import config_dict

from configs.parts.variants import chosen
from configs.parts.zoo import (
    measure_keys,
    short_measures,
    short_training,
    train_keys,
    zoo_config,
)

VARIANTS = ("full", "smoke")


def get_config(variant: str = "full") -> config_dict.ConfigDict:
    """The configuration of one variant."""
    config = zoo_config(f"zoo_measure-{chosen(variant, VARIANTS)}")
    # Filled with a recipe's name; "embedded" is the policy that all of them start from.
    config.leaves = "runs/zoo/train/{name}/leaves.npz"
    # Where held-out frames are, and how the teacher answers on them.
    config.train = train_keys()
    config.measure = measure_keys()
    if variant == "smoke":
        config.leaves, config.rows, config.quiet = "embedded", (2,), True
        short_training(config.train)
        short_measures(config.measure)
    return config
