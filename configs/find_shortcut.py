r"""A planted shortcut, found or not: two trained policies that differ in what they were taught.

    python -m experiments.find_shortcut --config=configs/find_shortcut.py
    python -m experiments.find_shortcut --config=configs/find_shortcut.py:smoke

Variants: `embedded` (default; the middle frame of nine tasks), `smoke` (one frame, two draws, two
denoising steps; seconds).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"find_shortcut-{chosen(variant, VARIANTS)}"
    config.quiet = False
    # The middle frame of each held-out task of these suites; the first so many, all when 0.
    config.suites = ("libero_object", "libero_object_object", "libero_object_swap")
    config.tasks = 0
    # Of them so many are pictured.
    config.shown = 2
    # Players, what replaces them, and draws of each, as the truth bench does
    # (docs/results/causes.md), which has 2 draws at 30 runs.
    config.players = 12
    config.fill = "background"
    config.draws = 4
    config.donors = 40
    # Of the paper's map, of the frames that are pictured.
    config.num_masks = 100
    config.num_steps = 4
    if variant == "smoke":
        config.draws = 2
        config.tasks, config.shown, config.donors = 1, 1, 4
        config.num_masks, config.num_steps = 4, 2
    return config
