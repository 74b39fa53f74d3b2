r"""The number of masks and the keep probability (Table 1).

    python -m experiments.hyperparameters --config=configs/hyperparameters.py
    python -m experiments.hyperparameters --config=configs/hyperparameters.py:smoke
    python -m experiments.hyperparameters --config=configs/hyperparameters.py:paper \
        --config.checkpoint=<folder> --config.dataset=<folder> --distributed

- `embedded` (default): the small policy on six frames (three seen tasks, three unseen ones), the
  whole grid of the paper; minutes on two CPU cores.
- `smoke`: two frames, a corner of the grid; seconds.
- `paper`: 500 episodes, a frame each, in bfloat16. The dataset is the authors' in this package's
  layout, see `configs/nmr_correlation.py`. 15,300 runs a frame, 3,060 at each keep probability.

A work item is a frame at one keep probability. One workdir takes the results of many commands, so
that a sweep can also be spread over the GPUs of a box by hand, one keep probability each; the
command without the flag then writes the table from what is there:

    for gpu in 0 1 2 3 4; do CUDA_VISIBLE_DEVICES=$gpu python -m experiments.hyperparameters \
        --config=configs/hyperparameters.py:paper --config.checkpoint=<folder> \
        --config.dataset=<folder> --config.keep_probs="(0.$((gpu + 1)),)" \
        --workdir=runs/hyperparameters-paper & done; wait
"""

import ml_collections

from configs.parts.task_frames import task_frames
from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke", "paper")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    config = task_frames(f"hyperparameters-{chosen(variant, VARIANTS)}", paper=variant == "paper")
    config.frames_per_group = 250 if variant == "paper" else 3

    config.num_masks = (50, 100, 150, 200)
    config.keep_probs = (0.1, 0.2, 0.3, 0.4, 0.5)
    config.seeds = (0, 13, 50, 77, 99)
    # Pinned, so that the table stays comparable: the paper's estimator, and plain masks at their
    # best.
    config.presets = ml_collections.ConfigDict(
        {
            "paper": {"design": "bernoulli", "estimator": "fixed"},
            "balanced": {"design": "balanced", "estimator": "centred"},
        }
    )
    # Masks are drawn once, at the largest N; smaller maps take the first of them. The balanced
    # design comes in blocks of so many masks.
    config.block = 50
    config.grid = (7, 7)
    # Plain i.i.d. masks of the map that others are compared with, at each keep probability.
    config.reference_masks = 1000
    # `kept_mse`: share of the cells that stay sharp, and draws of as many random cells beside it.
    config.kept_share = 0.3
    config.random_draws = 20
    # Masks of one compiled call.
    config.chunk = 100

    if variant == "smoke":
        config.frames_per_group = 1
        config.num_steps = 2
        config.num_masks, config.keep_probs, config.seeds = (10, 20), (0.3, 0.5), (0, 13)
        config.block, config.reference_masks = 10, 60
        config.random_draws, config.chunk = 4, 20
    return config
