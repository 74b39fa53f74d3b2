r"""Do explanations change as the actions do? (Sec. 5.2, Figures 5 and 11)

    python -m experiments.fidelity --config=configs/fidelity.py
    python -m experiments.fidelity --config=configs/fidelity.py:smoke
    python -m experiments.fidelity --config=configs/fidelity.py:paper \
        --config.checkpoint=<folder> --config.dataset=<folder>

- `embedded` (default): one frame of an embedded episode of each of the 41 tasks, the first seed's;
  minutes on two CPU cores. `--config.seeds="()"` takes all five seeds, 205 episodes.
- `smoke`: six episodes and a few masks; seconds.
- `paper`: 1,000 episodes, every tenth frame, the authors' estimator.
"""

import ml_collections

from configs.parts.perturbed_frames import base_config


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = base_config("fidelity", variant)
    # There are 216 correlations.
    config.resamples, config.permutations = 1999, 1999
    # Masks of their own for the copies, the other reading, would nearly double the time; see
    # `robustness` for what they do.
    config.methods = tuple(name for name in config.methods if name != "iss_new_masks")
    # In nuisance regions; the paper's order in its App. F.2.
    config.perturbations = ("texture", "geometric", "patch")
    config.strength = 1.0
    # Episodes drawn at random from the chosen ones; all of them when 0.
    config.episodes = 0
    if variant == "embedded":
        config.seeds = (0,)
    if variant == "smoke":
        config.resamples, config.permutations = 99, 99
    if variant == "paper":
        config.episodes = 1000
    return config
