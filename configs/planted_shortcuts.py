r"""Policies whose spurious cue is known, because it was planted.

    # After demonstrations, static frames and `locate_objects` of libero_object, as in
    # docs/making/policy.md:
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

    # Of the tables that ship, and of no trained policy:
    python -m experiments.planted_shortcuts --config=configs/planted_shortcuts.py
    python -m experiments.planted_shortcuts --config=configs/planted_shortcuts.py:smoke

Variants: `shipped` (report on the tables in `docs/planted`; needs no policy and no simulator),
`full` (trials and maps of the trained policies, then the same report), `smoke` (the same with the
embedded policy in their place: short trials of one task, two frames; a minute).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("shipped", "full", "smoke")


def get_config(variant: str = "shipped") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"planted-{chosen(variant, VARIANTS)}"
    # Folder with `trials.csv` and `frames.csv`; empty makes them.
    config.tables = "docs/planted" if variant == "shipped" else ""
    config.cue_probabilities = (0.0, 0.5, 0.9, 1.0)
    config.seeds = (0,)
    # Of training; filled with a policy's `rho` and `seed`. "embedded" is the package's own.
    config.checkpoint = "runs/planted/{rho:g}-{seed}/checkpoints/2500"
    config.image_size = 80
    config.max_token_len = 40
    config.action_horizon = 16
    config.num_steps = 10
    # Trials: of each of these tasks of libero_object, under each condition, on held-out layouts.
    config.tasks = tuple(range(10))
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
    if variant == "smoke":
        config.checkpoint, config.cue_probabilities = "embedded", (0.0, 1.0)
        config.num_steps = 2
        config.tasks, config.trials, config.max_steps, config.processes = (0,), 1, 8, 1
        config.datasets, config.episode_frames = ("docs/episodes/expert",), (0,)
        config.num_masks, config.gradient_probes, config.gradient_points = 10, 1, 2
        config.resamples = 99
    return config
