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
from ml_collections import config_dict

VARIANTS = ("embedded", "smoke", "paper")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    if variant not in VARIANTS:
        raise ValueError(f"variant {variant!r} given, one of {VARIANTS} wanted")
    config = ml_collections.ConfigDict()
    config.name = f"method_overlays-{variant}"
    config.quiet = False

    config.checkpoint = "embedded"
    config.dataset = "docs/episodes/whole"
    # (episode, frame), a figure each.
    config.frames = ((0, 4), (0, 16), (1, 4), (1, 16))
    config.tokenizer = ""
    config.dtype = "float32"
    config.cameras = ml_collections.ConfigDict(
        {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist", "right_wrist_0_rgb": "overhead"}
    )
    config.discrete_state_input = True
    config.max_token_len = 200
    config.action_horizon = 16
    config.num_steps = 10
    # Rows of the figure, of those in `iss_jax/methods.py`.
    config.methods = ("norm", "attention", "input_gradient", "iss_gradient", "iss", "random")
    config.seed = 0
    config.iss = ml_collections.ConfigDict(
        {
            "num_masks": 400,
            "keep_prob": 0.3,
            "grid": (7, 7),
            "design": "balanced",
            "estimator": "centred",
            "blur_sigma": 10.0,
            "micro_batch": config_dict.placeholder(int),
            "noise_draws": 1,
            "action_dims": config_dict.placeholder(int),
            "horizon": config_dict.placeholder(int),
            "reduction": "mean",
        }
    )
    # Backward passes of `input_gradient`, masks of `iss_gradient`.
    config.probes = 16
    config.gradient_masks = 40
    config.percent = 10.0

    if variant == "smoke":
        config.frames = ((0, 4),)
        config.methods = ("norm", "attention", "iss", "random")
        config.iss.num_masks = 10
    if variant == "paper":
        config.checkpoint, config.dataset = "", ""
        config.frames = ((0, 0),)
        config.dtype = "bfloat16"
        config.methods = ("norm", "attention", "iss", "random")
        config.iss.num_masks = 100
        config.iss.design = "bernoulli"
        config.iss.estimator = "fixed"
    return config
