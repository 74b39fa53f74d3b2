"""Where the planted panel is seen in collected datasets.

    python -m experiments.locate_panels --config=configs/locate_panels.py
    python -m experiments.locate_panels --config=configs/locate_panels.py:smoke

Variants: `training` (demonstrations and static frames), `heldout`, `smoke` (a copy of
`docs/episodes/expert`, half a minute).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("training", "heldout", "smoke")


def get_config(variant: str = "training") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"locate_panels-{chosen(variant, VARIANTS)}"
    # Write beside a copy in the workdir and leave the dataset as it is.
    config.copy = variant == "smoke"
    kinds = ("demos", "static") if variant == "training" else ("heldout",)
    config.datasets = tuple(f"datasets/{kind}/shard-{k}" for kind in kinds for k in (0, 1))
    if variant == "smoke":
        config.datasets = ("docs/episodes/expert",)
    return config
