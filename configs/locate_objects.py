"""Where every object is in every image of collected datasets.

python -m experiments.locate_objects --config=configs/locate_objects.py
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """The configuration."""
    config = ml_collections.ConfigDict()
    config.name = "locate_objects"
    config.datasets = (
        "datasets/demos/shard-0",
        "datasets/demos/shard-1",
        "datasets/static/shard-0",
        "datasets/static/shard-1",
    )
    return config
