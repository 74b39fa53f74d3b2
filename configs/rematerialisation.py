"""Activations of gradient runs computed again instead of kept: memory, FLOPs, time.

    python -m experiments.rematerialisation --config=configs/rematerialisation.py
    python -m experiments.rematerialisation --config=configs/rematerialisation.py:smoke

Variants: `embedded` (default; the embedded policy), `middle` (random weights, wide enough that
matrix products dominate; minutes on two cores), `smoke` (seconds), `full` (the released sizes in
bfloat16 with random weights, for a GPU).
"""

import ml_collections

from configs.parts.bench_subject import subject
from configs.parts.variants import chosen

VARIANTS = ("embedded", "middle", "smoke", "full")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"rematerialisation-{chosen(variant, VARIANTS)}"
    config.quiet = False
    config.subject = subject("embedded")
    # Of the released sizes, see `experiments.timing.released.FORMS`.
    config.forms = ("full", "libero")
    # Gradient runs of the map that is timed, and rows of one step; the unmasked run is a row more.
    config.num_masks = 15
    config.micro_batch = 8
    # Devices whose micro-batch is named.
    config.device_gb = (16, 24, 80)
    config.repeats = 5

    if variant in ("middle", "smoke"):
        config.subject = subject("middle")
        config.subject.present_views = 2
        config.subject.valid_tokens = 20
        config.subject.action_horizon = 10
    if variant == "smoke":
        config.subject.depth, config.subject.present_views = 2, 1
        config.subject.prompt_length = 32
        config.forms = ("libero",)
        config.num_masks, config.micro_batch, config.repeats = 3, 2, 1
    if variant == "full":
        config.subject = subject("pi05")
        config.subject.dtype = "bfloat16"
        config.subject.action_horizon = 50
        config.num_masks, config.micro_batch = 7, 4
    return config
