"""Masks until a standard error is small enough, against as many for every frame.

    python -m experiments.adaptive_stopping --config=configs/adaptive_stopping.py
    python -m experiments.adaptive_stopping --config=configs/adaptive_stopping.py:smoke

Variants: `embedded` (default; ten frames, minutes on two cores), `smoke` (one frame, seconds),
`paper` (a checkpoint and a dataset that the command line names, for a GPU:
`--config.checkpoint=<folder> --config.dataset=<folder>`).
"""

import ml_collections

from configs.parts.policy import set_policy
from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke", "paper")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"adaptive_stopping-{chosen(variant, VARIANTS)}"
    config.quiet = False

    set_policy(config, max_token_len=40)
    # Half of successful and half of failed episodes.
    config.frames = 10
    config.keep_prob = 0.3
    # (estimator, masks of a round, cap, relative targets)
    config.estimators = (
        ("centred", 50, 2000, (1.0, 0.75, 0.5)),
        ("clipped", 10, 200, (0.3, 0.2)),
    )
    # Resampled streams of rounds a frame.
    config.streams = 300

    if variant == "smoke":
        config.frames = 1
        config.num_steps = 2
        config.estimators = (("centred", 10, 60, (1.5,)),)
        config.streams = 20
    if variant == "paper":
        config.checkpoint, config.dataset = "", ""
        config.max_token_len, config.action_horizon = 200, 50
    return config
