"""Pictures of the study's scenes: python -m experiments.contact_sheets

Variants: `study` (all tasks), `smoke` (one task of each suite, small).
"""

import ml_collections


def get_config(variant: str = "study") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    if variant not in ("study", "smoke"):
        raise ValueError(f"variant {variant!r}: one of study, smoke wanted")
    config = ml_collections.ConfigDict()
    config.name = f"contact_sheets-{variant}"
    config.image_size = 120 if variant == "study" else 32
    config.most = 0 if variant == "study" else 1  # tasks of a suite; 0 means all
    config.dim = 0.35  # brightness of nuisance
    return config
