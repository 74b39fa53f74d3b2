"""Time of a saliency map.

    python -m experiments.bench --config=configs/bench.py
    python -m experiments.bench --config=configs/bench.py:smoke

`embedded` (default): the small policy that ships with the package, the paper's 100 masks. `smoke`:
ten masks, seconds.
"""

import ml_collections

VARIANTS = ("embedded", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    if variant not in VARIANTS:
        raise ValueError(f"variant {variant!r} given, one of {VARIANTS} wanted")
    config = ml_collections.ConfigDict()
    config.name = f"bench-{variant}"
    config.quiet = False

    # "embedded" is the package's own; otherwise folders.
    config.checkpoint = "embedded"
    config.dataset = "embedded"
    config.tokenizer = ""
    config.episode = 0
    config.frame = 0
    config.max_token_len = 200
    config.action_horizon = 16

    config.num_masks = 100
    config.repeats = 5

    if variant == "smoke":
        config.num_masks = 10
        config.repeats = 1
    return config
