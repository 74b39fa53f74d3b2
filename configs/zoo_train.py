r"""Policies of the zoo, each trained by its recipe.

    python -m experiments.zoo_train --config=configs/zoo_train.py --config.rows="(1,)" \
        --workdir=runs/zoo/train
    python -m experiments.zoo_train --config=configs/zoo_train.py:smoke

Needs the frames of `zoo_frames`. Variants: `full` (all rows of the design), `smoke` (three steps of
one, seconds).
"""

import ml_collections

from configs.parts.variants import chosen
from configs.parts.zoo import short_training, train_keys, zoo_config

VARIANTS = ("full", "smoke")


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = zoo_config(f"zoo_train-{chosen(variant, VARIANTS)}")
    config.train = train_keys()
    if variant == "smoke":
        config.rows = (2,)
        short_training(config.train)
    return config
