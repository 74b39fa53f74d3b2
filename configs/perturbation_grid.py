r"""The four perturbations at three strengths, with NMR@10 of the ISS map beside each (Figure 6).

    python -m experiments.perturbation_grid --config=configs/perturbation_grid.py
    python -m experiments.perturbation_grid --config=configs/perturbation_grid.py:smoke
    python -m experiments.perturbation_grid --config=configs/perturbation_grid.py:paper \
        --config.checkpoint=<folder> --config.dataset=<folder> --config.episode=<number>

The paper's Figure 6 has each perturbation once, at a strength that it does not give.
"""

import ml_collections

from configs.parts.perturbed_frames import base_config


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = base_config("perturbation_grid", variant)
    config.methods = ("iss",)
    config.perturbations = ("noise", "texture", "geometric", "patch")
    config.strengths = (0.3, 0.6, 1.0)
    # Where pixels change: "nuisance" or "all".
    config.region = "nuisance"
    # The episode's index in the dataset: here of libero_object, as trained.
    config.episode = 80
    # Many masks, so that what changes is the map and not its sampling noise.
    config.iss.num_masks = 1000
    if variant == "smoke":
        config.iss.num_masks = 10
        config.strengths = (1.0,)
        config.num_steps = 2
    if variant == "paper":
        config.frames_per_episode = 1
        config.iss.num_masks = 100
        config.episode = 0
    return config
