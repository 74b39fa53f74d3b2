r"""Names for the things in recorded frames, by acting their trials out again.

    export OPENBLAS_CORETYPE=Haswell
    python -m experiments.label_instances --config=configs/label_instances.py
    export OPENBLAS_CORETYPE=SkylakeX
    python -m experiments.label_instances --config=configs/label_instances.py:whole
    python -m experiments.label_instances --config=configs/label_instances.py:smoke

Needs the simulator (extra `libero`). Variants: `embedded` (the embedded episodes, 205 trials),
`whole` (the two of `docs/episodes/whole`), `smoke` (the first of the embedded ones).

A trial repeats to the bit only where every rounding does. The embedded episodes were recorded with
OpenBLAS's kernels for Haswell, which it takes on processors without AVX-512, the whole ones with
those for AVX-512; the variable asks for them on any processor that can run them. With others the
robot's controller rounds otherwise, and a closed loop amplifies that.
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("embedded", "whole", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"label_instances-{chosen(variant, VARIANTS)}"
    # A dataset of `rollout` or `record_episodes`, or "embedded", and the policy that acted in it.
    config.dataset = config.checkpoint = "embedded"
    # Only so many episodes, the first ones; 0 for all.
    config.most = 0
    # As they were recorded: control steps between frames, and how many of these each episode kept,
    # evenly spread (`embed`); 0 for all.
    config.record_every = 8
    config.frames_per_episode = 2
    config.image_size = 80
    config.max_token_len = 40
    config.action_horizon = 16
    config.execute = 8
    config.num_steps = 10
    config.processes = 2
    if variant == "whole":
        config.dataset = "docs/episodes/whole"
        config.record_every, config.frames_per_episode = 4, 0
    if variant == "smoke":
        config.most = config.processes = 1
    return config
