"""A head that predicts the paper's cells in one pass: taught, judged, and used as control variate.

python -m experiments.amortise --config=configs/amortise.py
python -m experiments.amortise --config=configs/amortise.py:smoke

Variants: `embedded` (the embedded policy and its episodes, every fourth task held out: some ten
minutes of one core), `smoke` (few frames, few runs; half a minute).
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
    # Every so manieth task is held out; of the others the last seed's episodes are.
    config.held_out = 4
    # Frames to learn from, spread over the episodes of the other tasks; all when 0.
    config.training_frames = 0
    # Of each frame its variations, and of each variation the runs, all with gradients.
    config.variations = 4
    config.runs = 7
    config.shift = 4
    # Frames that it is judged on, half of either kind.
    config.frames = 12
    # Plain i.i.d. masks of the converged map, and of one work item.
    config.reference_masks = 1_000
    config.part_masks = 500
    # Of each held-out frame: plain i.i.d. runs, and runs with gradients, that maps are made of.
    config.plain_runs = 200
    config.gradient_runs = 45
    config.chunk = 100
    config.gradient_chunk = 15

    # Teaching: gradients shortened or not; networks side by side, each kept from some of the seeds.
    config.clip = True
    config.members = 4
    config.seed = 0
    config.epochs = 30
    config.batch = 64
    config.width = 32
    config.rate = 2e-3
    config.decay = 0.1
    # Weight of the loss of effects beside that of gradients; "inf": it alone.
    config.plain = 0.0
    config.feature_noise = 0.6
    # Numbers of runs that maps are made of, and sets of runs of one frame at most.
    config.plain_budgets = (20, 100)
    config.gradient_budgets = (1, 4, 9, 45)
    config.repeats = 5
    # Fresh runs that a predicted map is checked with.
    config.checks = (5, 10, 20)

    if variant == "smoke":
        config.training_frames, config.frames = 4, 2
        config.variations, config.runs = 2, 3
        config.reference_masks, config.part_masks = 40, 20
        config.plain_runs, config.gradient_runs = 40, 8
        config.chunk, config.gradient_chunk = 20, 4
        config.epochs, config.batch, config.width, config.members = 2, 4, 8, 2
        config.plain_budgets, config.gradient_budgets = (10,), (1, 4)
        config.repeats, config.checks = 1, (4,)
    return config
