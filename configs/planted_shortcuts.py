r"""Policies whose spurious cue is known, because it was planted.

    # After demonstrations, static frames and `locate_objects` (docs/making/policy.md):
    python -m experiments.locate_panels --config=configs/locate_panels.py
    python -m experiments.collect --config=configs/collect.py:heldout --workdir=datasets/heldout
    python -m experiments.locate_panels --config=configs/locate_panels.py:heldout
    for rho in 0 0.5 0.9 1; do
      for steps in 1500 2500; do
        python -m experiments.train --config=configs/train.py:planted --config.steps=$steps \
            --config.cue_probability=$rho --workdir=runs/planted/$rho-0
      done
    done
    python -m experiments.planted_shortcuts --config=configs/planted_shortcuts.py:full

Variants: `shipped` (report on the tables in `docs/planted`; needs no policy and no simulator),
`full` (trials and maps of the trained policies, then the same report).
"""

import ml_collections


def get_config(variant: str = "shipped") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    if variant not in ("shipped", "full"):
        raise ValueError(f"variant {variant!r}: one of shipped, full wanted")
    config = ml_collections.ConfigDict()
    config.name = f"planted-{variant}"
    # Folder with `trials.csv` and `frames.csv`; empty makes them.
    config.tables = "docs/planted" if variant == "shipped" else ""
    config.cue_probabilities = (0.0, 0.5, 0.9, 1.0)
    config.seeds = (0,)
    # Of training; filled with a policy's `rho` and `seed`.
    config.checkpoint = "runs/planted/{rho:g}-{seed}/checkpoints/2500"
    config.image_size = 80
    config.max_token_len = 40
    config.action_horizon = 16
    config.num_steps = 10
    # Trials: of each of libero_object's tasks, under each condition, on held-out layouts.
    config.trials = 4
    config.execute = 8
    config.max_steps = 280
    config.processes = 2
    # Maps: frames of `collect`'s held-out episodes.
    config.datasets = ("datasets/heldout/shard-0", "datasets/heldout/shard-1")
    config.episode_frames = (0, 10)  # of each episode: at the start and on the way
    config.num_masks = 100
    config.wide_sigma = 224.0  # pixels of a frame 224 high: of iss_wide, which leaves no colour
    config.gradient_probes = 8
    config.gradient_points = 16
    config.percent = 10.0
    # Report.
    config.resamples = 2_000
    config.confidence = 0.95
    return config
