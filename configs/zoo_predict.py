"""Which checkpoint will generalise, and what will break it.

    python -m experiments.zoo_predict --config=configs/zoo_predict.py
    python -m experiments.zoo_predict --config=configs/zoo_predict.py:smoke

Variants: `shipped` (the tables in `docs/zoo`), `smoke` (a made-up zoo, in which the nuisance share
knows all and the other measures nothing; seconds).
"""

import ml_collections

from configs.parts.variants import chosen
from configs.parts.zoo import zoo_config

VARIANTS = ("shipped", "smoke")


def get_config(variant: str = "shipped") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = zoo_config(f"zoo_predict-{chosen(variant, VARIANTS)}")
    # Folder with `measures.csv` and `trials.csv`, or "made-up".
    config.tables = "docs/zoo"
    config.resamples = 4_999
    config.permutations = 9_999
    if variant == "smoke":
        config.tables = "made-up"
        config.resamples, config.permutations = 199, 199
    return config
