r"""Does a policy use its images at all? One number with an interval.

    python -m experiments.image_use --config=configs/image_use.py
    python -m experiments.image_use --config=configs/image_use.py:blurred
    python -m experiments.image_use --config=configs/image_use.py:smoke
    python -m experiments.image_use --config=configs/image_use.py:own \
        --config.checkpoint=<folder> --config.dataset=<folder>

- `embedded` (default): sixteen frames of the embedded policy, of two suites.
- `blurred`: its twin, whose every image is blurred away before the policy sees it.
- `own`: sixteen frames of a policy and a dataset of yours, which have to be given.
- `smoke`: one frame; seconds.
"""

import ml_collections

from configs.parts.policy import set_policy
from configs.parts.variants import chosen

VARIANTS = ("embedded", "blurred", "own", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"image_use-{chosen(variant, VARIANTS)}"
    config.quiet = False
    set_policy(config, max_token_len=40)
    # Low-rank leaves that `experiments.distil` wrote, added to the checkpoint; none when empty.
    config.leaves = ""
    # Whether every image is blurred away, the donors' too.
    config.blurred = variant == "blurred"
    # A success table, from which frames of different success are chosen; empty when there is none.
    config.success = "embedded"
    config.policy_seed = 0
    # The middle frames of so many episodes, or of those that are named, such as "(0, 12)".
    config.frames = 16
    config.episodes = (46, 55, 58, 65, 66, 75, 80, 85, 135, 136, 145, 148, 155, 159, 165, 170)
    config.draws = 8
    config.donors = 64
    # Dataset of the donors. When empty the embedded episodes for the embedded policy, and the
    # explained dataset for any other.
    config.donors_from = ""
    config.seed = 0
    if variant == "own":
        config.checkpoint = config.dataset = config.success = ""
        config.dtype, config.max_token_len = "bfloat16", 200
        config.episodes = ()
    if variant == "smoke":
        config.frames, config.episodes, config.draws, config.donors = 1, (), 2, 8
    return config
