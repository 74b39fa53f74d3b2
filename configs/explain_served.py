"""Saliency of a policy behind a server, on one frame of an episode.

    python -m experiments.serve_policy &
    python -m experiments.explain_served --config=configs/explain_served.py

Or both in half a minute:

    python -m experiments.serve_policy --config=configs/serve_policy.py:smoke &
    python -m experiments.explain_served --config=configs/explain_served.py:smoke

A run that was stopped goes on. The frame's cameras and state are sent under the keys of
`config.robot` (`iss_jax.policies.configs`). `smoke` asks with few masks.
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.name = f"explain_served-{chosen(variant, VARIANTS)}"
    config.uri = "ws://127.0.0.1:8000"
    config.robot = "embedded"
    config.dataset = "embedded"
    config.episode = 0
    config.frame = 0
    # View of the policy to camera of the dataset.
    config.cameras = ml_collections.ConfigDict(
        {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist", "right_wrist_0_rgb": "overhead"}
    )
    # Frames mirrored left to right before they are sent.
    config.mirror = False
    # Send this one noise with every call, for servers that take it (`experiments.serve_policy`).
    config.shared_noise = False
    config.num_masks = 10 if variant == "smoke" else 100
    config.baseline_calls = 4 if variant == "smoke" else 16
    config.reply_timeout = 120.0
    # What the policy acts on: names, regions, looks, looks_joined, as `configs/explain_episode.py`
    # says; nothing when empty. A call for each player and draw.
    config.players = "names"
    config.draws = 2 if variant == "smoke" else 8
    # auto: donors of other tasks where the dataset has some at the same size, else blur.
    config.fill = "auto"
    config.donors = 8 if variant == "smoke" else 64
    return config
