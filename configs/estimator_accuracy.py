"""How faithful a map is for what it costs, for every mask design and estimator.

python -m experiments.estimator_accuracy --config=configs/estimator_accuracy.py

Variants: `embedded` (20 frames of the ten embedded tasks, 20,000 reference masks: some two minutes
a frame on two cores), `smoke` (one frame, seconds).
"""

import ml_collections


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    if variant not in ("embedded", "smoke"):
        raise ValueError(f"variant {variant!r}: one of embedded, smoke wanted")
    config = ml_collections.ConfigDict()
    config.name = f"estimator_accuracy-{variant}"
    config.quiet = False

    config.checkpoint = "embedded"
    config.dataset = "embedded"
    config.tokenizer = ""
    config.max_token_len = 48
    config.action_horizon = 16
    # Two frames of each task, alternately of the native and the shuffled layout.
    config.frames = 20
    config.keep_prob = 0.3
    # Plain i.i.d. masks of the reference.
    config.reference_masks = 20_000
    # Runs of each candidate map, and how often each is repeated.
    config.plain_runs = (25, 50, 100, 200)
    config.gradient_runs = (2, 5, 10, 20, 50)
    config.repeats = 5
    # Masks of one compiled program.
    config.chunk = 500
    config.gradient_chunk = 100
    config.percent = 10.0

    if variant == "smoke":
        config.frames = 1
        config.reference_masks = 40
        config.plain_runs, config.gradient_runs = (10,), (4,)
        config.repeats, config.chunk, config.gradient_chunk = 2, 20, 4
    return config
