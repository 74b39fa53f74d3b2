r"""Does the squared error of actions stand in for the KL of their distribution (Eq. 6)?

    python -m experiments.kl_and_error --config=configs/kl_and_error.py
    python -m experiments.kl_and_error --config=configs/kl_and_error.py:smoke

Variants: `embedded` (a π0-FAST taught by the embedded policy, then held-out frames; half an hour on
one core), `smoke` (two steps, one frame; a minute).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"kl_and_error-{chosen(variant, VARIANTS)}"
    config.quiet = False
    config.seed = 0
    # Taught on the tasks of the bench's split for choosing, measured on the others of these suites.
    config.suites = ("libero_object", "libero_object_object", "libero_object_swap")
    config.frames = 0  # the first so many to be taught; all when 0
    # The teacher's answers: flow noises of each frame and instruction, Euler steps.
    config.teacher_draws = 8
    config.num_steps = 4
    config.action_horizon = 16
    config.max_token_len = 40
    # Actions as tokens: coefficients a dimension, bins, and the id of the lowest one. The embedded
    # tokenizer's whole numbers from 0 serve as bins.
    config.kept = 3
    config.bins = 32
    config.first = 10
    # Training.
    config.steps = 2000
    config.batch_size = 16
    config.peak_lr = 5e-4
    config.warmup_steps = 100
    config.weight_decay = 0.05
    config.ema_decay = 0.995
    config.colour_jitter = 0.2
    config.shift = 4
    config.log_every = 50
    config.save_every = 250
    # Measuring: held-out tasks (all when 0), frames of each, masks of each of two halves, draws of
    # each region, donors.
    config.tasks = 0
    config.frames_per_task = 2
    config.masks = 300
    config.draws = 16
    config.donors = 40
    config.resamples = 2_000
    config.confidence = 0.95
    if variant == "smoke":
        config.update({"frames": 2, "teacher_draws": 1, "num_steps": 1, "kept": 1, "steps": 2})
        config.update({"batch_size": 2, "warmup_steps": 1, "log_every": 1, "save_every": 1})
        config.update({"tasks": 1, "frames_per_task": 1, "masks": 4, "draws": 2, "donors": 3})
        config.resamples = 99
    return config
