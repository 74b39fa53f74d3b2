r"""Explanations side by side on chosen frames, every view (Figure 12).

    python -m experiments.method_overlays --config=configs/method_overlays.py
    python -m experiments.method_overlays --config=configs/method_overlays.py:smoke
    python -m experiments.method_overlays --config=configs/method_overlays.py:paper \
        --config.checkpoint=<folder> --config.dataset=<folder>

- `embedded` (default): the embedded policy on frames of two whole episodes of its own.
- `smoke`: one frame and a few masks; seconds.
- `paper`: the paper's three methods and its estimator.

The default dataset is found from the root of the checkout.
"""

import ml_collections

from configs.parts.policy import iss, set_policy
from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke", "paper")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"method_overlays-{chosen(variant, VARIANTS)}"
    config.quiet = False

    set_policy(config, dataset="docs/episodes/whole")
    # (episode, frame), a figure each.
    config.frames = ((0, 4), (0, 16), (1, 4), (1, 16))
    # Rows of the figure, of those in `iss_jax/methods.py`.
    config.methods = ("norm", "attention", "gradient", "iss_gradient", "iss", "random")
    config.seed = 0
    config.iss = iss(400)
    # Backward passes of `gradient`, masks of `iss_gradient`.
    config.probes = 16
    config.gradient_masks = 40
    config.percent = 10.0
    # A row of players beside the methods, see `configs/explain_episode.py`; none when empty.
    config.players = "names"
    config.draws = 8
    config.fill = "auto"
    config.donors = 64
    config.donors_from = ""

    if variant == "smoke":
        config.frames = ((0, 4),)
        config.num_steps = 2
        config.methods = ("norm", "attention", "iss", "random")
        config.iss.num_masks = 10
        config.draws, config.donors = 2, 8
    if variant == "paper":
        config.checkpoint, config.dataset = "", ""
        config.frames = ((0, 0),)
        config.dtype = "bfloat16"
        config.methods = ("norm", "attention", "iss", "random")
        config.iss.num_masks = 100
        config.iss.design = "bernoulli"
        config.iss.estimator = "fixed"
    return config
