r"""Assemble the package data of the embedded default from what other experiments made.

python -m experiments.collect --config=configs/collect.py:heldout --workdir=datasets/heldout
python -m experiments.collect --config=configs/collect.py:heldout \
    --config.layout_shares="(1.0,0.0,0.0)" --config.episodes_per_task=2 \
    --workdir=datasets/heldout-native
python -m experiments.embed --config=configs/embed.py --config.checkpoint=<step>
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """The configuration."""
    config = ml_collections.ConfigDict()
    config.name = "embed"
    # The checkpoint's step; its parameters and assets are copied, its training state is not.
    config.checkpoint = ""
    config.success = "runs/rollout-embedded/success.csv"
    config.episodes = (
        "datasets/heldout-native/shard-0",
        "datasets/heldout-native/shard-1",
        "datasets/heldout/shard-0",
        "datasets/heldout/shard-1",
    )
    # Per task and layout.
    config.episodes_per_task = 2
    # Every so-many-th frame is kept.
    config.frame_stride = 4
    # MB, of everything together.
    config.limit = 25.0
    return config
