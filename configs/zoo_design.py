"""The design of the zoo: which recipe each of 24 policies is trained by.

    python -m experiments.zoo_design --config=configs/zoo_design.py --workdir=docs/zoo
    python -m experiments.zoo_design --config=configs/zoo_design.py:smoke

Variants: `full` and `smoke` (the same); both take a second.
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("full", "smoke")


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"zoo_design-{chosen(variant, VARIANTS)}"
    # Of the order of the runs.
    config.order_seed = 0
    return config
