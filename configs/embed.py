r"""Assemble the package data of the embedded default from what other experiments made.

python -m experiments.embed --config=configs/embed.py --config.checkpoint=<step>
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """The configuration."""
    config = ml_collections.ConfigDict()
    config.name = "embed"
    # The checkpoint's step; its parameters and assets are copied, its training state is not.
    config.checkpoint = ""
    config.success = "runs/rollout-study/success.csv"
    config.episodes = ("runs/rollout-study/episodes",)
    # Of each task and seed.
    config.episodes_per_row = 1
    # Evenly spread over the episode.
    config.frames_per_episode = 2
    # MB, of everything together.
    config.limit = 25.0
    return config
