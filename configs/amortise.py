"""A head that predicts the paper's cells in one pass: taught, judged, and used as control variate.

python -m experiments.amortise --config=configs/amortise.py
python -m experiments.amortise --config=configs/amortise.py:smoke

Variants: `embedded` (the embedded policy and its episodes, every fourth task held out: some twenty
minutes on one core), `smoke` (three tasks, few runs; seconds).
"""

import ml_collections

from configs.parts.policy import set_policy
from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"amortise-{chosen(variant, VARIANTS)}"
    config.quiet = False

    set_policy(config, max_token_len=40)
    config.keep_prob = 0.3
    # Every so manieth task is held out, with all its frames.
    config.held_out = 4
    # Frames to learn from, spread over the episodes of the other tasks; all when 0.
    config.training_frames = 0
    # Of each frame its variations, and of each variation the runs, all with gradients.
    config.variations = 4
    config.runs = 7
    config.shift = 4
    # Held-out frames that the head is judged on.
    config.frames = 21
    # Plain i.i.d. masks of the converged map, and of one work item.
    config.reference_masks = 4_000
    config.part_masks = 500
    # Of each held-out frame: plain i.i.d. runs, and runs with gradients, that maps are made of.
    config.plain_runs = 300
    config.gradient_runs = 45
    config.chunk = 100
    config.gradient_chunk = 15

    if variant == "smoke":
        config.training_frames, config.frames = 4, 2
        config.variations, config.runs = 2, 3
        config.reference_masks, config.part_masks = 40, 20
        config.plain_runs, config.gradient_runs = 40, 8
        config.chunk, config.gradient_chunk = 20, 4
    return config
