"""The previous frame's map as control variate and as prior of the present one.

    python -m experiments.temporal_sharing --config=configs/temporal_sharing.py

Variants: `embedded` (default; 16 frames of two whole episodes, 3,000 masks each, some
minutes on two cores), `smoke` (two frames, seconds), `paper` (a checkpoint and a dataset that
the command line names, for a GPU: `--config.checkpoint=<folder> --config.dataset=<folder>`). The
default dataset is found from the root of the checkout.
"""

import ml_collections

VARIANTS = ("embedded", "smoke", "paper")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    if variant not in VARIANTS:
        raise ValueError(f"variant {variant!r} given, one of {VARIANTS} wanted")
    config = ml_collections.ConfigDict()
    config.name = f"temporal_sharing-{variant}"
    config.quiet = False

    config.checkpoint = "embedded"
    config.dataset = "docs/episodes/whole"
    config.tokenizer = ""
    config.max_token_len = 40
    config.action_horizon = 16
    # (episode, first frame) of each window, its frames, and how far apart they are: the policy acts
    # at every second frame that was recorded.
    config.windows = ((0, 6), (0, 24), (1, 6), (1, 32))
    config.length = 4
    config.stride = 2
    config.keep_prob = 0.3
    # Masks of one map, and maps; the reference of a map is the masks of all others.
    config.num_masks = 100
    config.repeats = 30
    config.gradient_runs = 40
    config.gradient_repeats = 3
    # Weight of the past; 0 is none.
    config.memories = (0.25, 0.5, 0.75)
    # Masks of one compiled program.
    config.chunk = 500
    config.gradient_chunk = 40

    if variant == "smoke":
        config.windows, config.length = ((0, 6),), 2
        config.num_masks, config.repeats = 10, 2
        config.gradient_runs, config.gradient_repeats = 4, 1
        config.memories = (0.5,)
        config.chunk, config.gradient_chunk = 20, 4
    if variant == "paper":
        config.checkpoint, config.dataset = "", ""
        config.max_token_len, config.action_horizon = 200, 50
    return config
