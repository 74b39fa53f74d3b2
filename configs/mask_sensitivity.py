r"""How much errors of the region masks change NMR.

    python -m experiments.mask_sensitivity --config=configs/mask_sensitivity.py
    python -m experiments.mask_sensitivity --config=configs/mask_sensitivity.py:smoke
    python -m experiments.mask_sensitivity --config=configs/mask_sensitivity.py:paper \
        --config.checkpoint=<folder> --config.dataset=<folder>

Variants, and all keys but those below, are those of `configs/nmr_correlation.py`, whose run
directories can be given as `--workdir`: the maps are the same and are not computed again.
"""

import ml_collections

from configs import nmr_correlation
from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke", "paper")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = nmr_correlation.get_config(variant)
    config.name = f"mask_sensitivity-{chosen(variant, VARIANTS)}"
    config.errors = ml_collections.ConfigDict(
        {
            # The k of nmr@k.
            "percent": 10.0,
            # Sizes of dilate, erode and jitter, per cent of the image's height.
            "sizes": (1.25, 2.5, 5.0, 10.0, 20.0),
            # Pieces dropped a view; smaller ones than so many per cent of the view's area are none.
            "drops": (1, 2, 3),
            "smallest": 0.1,
            # Of the directions and the dropped pieces, and of the random explanations.
            "seed": 0,
            # Random explanations a frame.
            "control_draws": 10,
        }
    )
    # The labels that are wrong are those of NMR by top-k.
    config.effects.draws = 0
    if variant == "smoke":
        config.num_tasks = 4
        config.errors.sizes = (5.0,)
        config.errors.drops = (1,)
        config.errors.control_draws = 2
    return config
