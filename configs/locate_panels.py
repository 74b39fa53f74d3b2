"""Where the planted panel is seen in collected datasets.

python -m experiments.locate_panels --config=configs/locate_panels.py

Variants: `training` (demonstrations and static frames), `heldout`.
"""

import ml_collections


def get_config(variant: str = "training") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    kinds = {"training": ("demos", "static"), "heldout": ("heldout",)}
    if variant not in kinds:
        raise ValueError(f"variant {variant!r}: one of {', '.join(kinds)} wanted")
    config = ml_collections.ConfigDict()
    config.name = "locate_panels"
    config.datasets = tuple(f"datasets/{kind}/shard-{k}" for kind in kinds[variant] for k in (0, 1))
    return config
