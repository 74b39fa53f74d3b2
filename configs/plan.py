"""What a plan assumes of devices and episodes.

    python -m experiments.plan --config=configs/nmr_correlation.py:paper
    python -m experiments.plan --config=configs/plan.py --config.peak_tflops=989
    python -m experiments.plan --config=configs/plan.py:smoke

Any experiment's config may be given, with these keys as `--plan.<key>=<value>`. Variants: `paper`
(the main job on the paper's episodes), `smoke` (its own smoke run); both take seconds.
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("paper", "smoke")


def get_config(variant: str = "paper") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"plan-{chosen(variant, VARIANTS)}"
    # The config that is planned where this one is given as `--config`.
    config.of = f"configs/nmr_correlation.py:{variant}"
    # Of one GPU, in the policy's dtype, and the share of it that the policy reaches.
    config.peak_tflops = 92.0
    config.utilisation = 1.0
    # Numbers of GPUs, one process each.
    config.gpus = (1, 8, 64)
    # Of a prompt, state included.
    config.prompt_tokens = 60
    # Frames of one of the paper's episodes.
    config.episode_length = 200
    # Print every work item, too.
    config.list_items = False
    return config
