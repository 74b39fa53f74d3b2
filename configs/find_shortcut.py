r"""A planted shortcut, found or not: two policies that differ in one thing.

    python -m experiments.find_shortcut --config=configs/find_shortcut.py
    python -m experiments.find_shortcut --config=configs/find_shortcut.py:smoke

Variants: `embedded` (default), `smoke` (two draws, two denoising steps; seconds).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"find_shortcut-{chosen(variant, VARIANTS)}"
    config.quiet = False
    # The frame: of which held-out task of the suite, by number.
    config.suite = "libero_object"
    config.task = 0
    # Players, what replaces them, and draws of each. A wide blur, as the truth bench chose
    # (docs/results/causes.md); "background" takes donors.
    config.players = 12
    config.fill = "blur"
    config.draws = 8
    config.donors = 40
    config.num_steps = 10
    if variant == "smoke":
        config.draws, config.donors, config.num_steps = 2, 4, 2
    return config
