r"""Assemble the package data of the embedded default from what other experiments made.

    python -m experiments.embed --config=configs/embed.py --config.checkpoint=<step>
    python -m experiments.embed --config=configs/embed.py:smoke

Variants: `study` (a policy of one's own with what `rollout` made of it), `smoke` (the embedded
policy and its success again, with two episodes; a second). The folder must be new or empty.
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("study", "smoke")


def get_config(variant: str = "study") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"embed-{chosen(variant, VARIANTS)}"
    # The checkpoint's step; its parameters and assets are copied, its training state is not.
    # "embedded" is the package's own, as for the two below.
    config.checkpoint = ""
    config.success = "runs/rollout-study/success.csv"
    config.episodes = ("runs/rollout-study/episodes",)
    # Of each task and seed.
    config.episodes_per_row = 1
    # Evenly spread over the episode.
    config.frames_per_episode = 2
    # MB, of everything together.
    config.limit = 25.0
    if variant == "smoke":
        config.checkpoint = config.success = "embedded"
        config.episodes = ("docs/episodes/whole",)
    return config
