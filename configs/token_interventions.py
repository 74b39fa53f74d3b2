r"""Interventions on single tokens of the prefix (Sec. 4.1).

    python -m experiments.token_interventions --config=configs/token_interventions.py
    python -m experiments.token_interventions --config=configs/token_interventions.py:smoke
    python -m experiments.token_interventions --config=configs/token_interventions.py:paper \
        --config.checkpoint=<folder> --config.dataset=<folder> --distributed

- `embedded` (default): the small policy on one frame of each of the study's 41 tasks; minutes on
  two CPU cores.
- `smoke`: two frames; seconds.
- `paper`: the middle frames of 575 episodes of unseen tasks and as many of seen ones, in bfloat16:
  about 830 exact runs (three views of 256 tokens, 60 of the prompt), 600 with masks and 16
  gradients a frame. The dataset is the authors' in this package's layout, see
  `configs/nmr_correlation.py`.
"""

import ml_collections

from configs.parts.task_frames import task_frames
from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke", "paper")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    config = task_frames(
        f"token_interventions-{chosen(variant, VARIANTS)}", paper=variant == "paper"
    )

    # Mean embeddings are taken over so many frames of each group, in batches.
    config.mean_frames = 40
    config.mean_batch = 8

    # Gradients behind first-order scores: so many calls of so many probes.
    config.probe_calls = 4
    config.probes = 4
    # Algorithm 1 in token space: keep probabilities, and masks at each.
    config.keep_probs = (0.5, 0.9, 0.98)
    config.num_masks = 200

    # Estimates from some of the tokens, made from the exact runs: (top, drawn, probes), each so
    # often.
    config.budgets = ((0, 8, 0), (0, 19, 0), (0, 38, 0), (4, 4, 4), (9, 10, 4), (19, 19, 4))
    config.repeats = 200

    # Words of the instruction by class; those that are not named are objects and their looks.
    config.word_classes = ml_collections.ConfigDict(
        {
            "function": ("the", "a", "and", "it", "both", "of"),
            "verb": ("pick", "place", "put"),
            "relation": (
                *("up", "on", "in", "to", "next", "from", "between", "center", "top"),
                *("left", "right"),
            ),
        }
    )
    config.random_draws = 999
    # Word plots to draw.
    config.figures = 6

    if variant == "smoke":
        config.frames_per_group, config.mean_frames, config.mean_batch = 1, 2, 1
        config.num_steps = 2
        config.probe_calls, config.probes = 2, 2
        config.keep_probs, config.num_masks = (0.9,), 10
        config.budgets, config.repeats = ((0, 19, 0), (9, 10, 2)), 5
        config.random_draws, config.figures = 2, 1
    if variant == "paper":
        config.frames_per_group, config.mean_frames = 575, 2000
        config.budgets = ((0, 77, 0), (0, 192, 0), (38, 39, 8), (96, 96, 8))
        config.repeats = 50
    return config
