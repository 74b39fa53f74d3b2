"""Pictures of the study's scenes.

    python -m experiments.contact_sheets --config=configs/contact_sheets.py
    python -m experiments.contact_sheets --config=configs/contact_sheets.py:smoke

Variants: `study` (all tasks), `smoke` (one task of each suite, small, half a minute).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("study", "smoke")


def get_config(variant: str = "study") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"contact_sheets-{chosen(variant, VARIANTS)}"
    config.image_size = 120 if variant == "study" else 32
    config.most = 0 if variant == "study" else 1  # tasks of a suite; 0 means all
    config.dim = 0.35  # brightness of nuisance
    return config
