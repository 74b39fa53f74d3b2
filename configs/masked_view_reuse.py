"""Whether encoding a masked view once for several masks pays.

    python -m experiments.masked_view_reuse --config=configs/masked_view_reuse.py

Variants: `embedded` (default; three frames, five minutes on two cores), `smoke` (seconds).
"""

import ml_collections

from configs.bench_subject import subject

VARIANTS = ("embedded", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    if variant not in VARIANTS:
        raise ValueError(f"variant {variant!r} given, one of {VARIANTS} wanted")
    config = ml_collections.ConfigDict()
    config.name = f"masked_view_reuse-{variant}"
    config.quiet = False
    config.subject = subject("embedded")

    # (episode, frame) of the dataset.
    config.frames = ((0, 0), (90, 1), (150, 0))
    # Masks of one map, a multiple of all uses.
    config.num_masks = 96
    config.keep_prob = 0.3
    # Masks that share each masked copy; 1 is the plain design.
    config.uses = (1, 2, 4)
    # Maps of each design, whose spread is the variance.
    config.repeats = 60

    if variant == "smoke":
        config.frames = ((0, 0),)
        config.num_masks = 12
        config.uses = (1, 2)
        config.repeats = 8
    return config
