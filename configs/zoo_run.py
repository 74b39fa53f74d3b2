r"""The whole zoo: every policy of the design trained, measured and rolled out.

    python -m experiments.zoo_frames --config=configs/zoo_frames.py --workdir=datasets/zoo
    for process in 0 1; do
      python -m experiments.zoo_run --config=configs/zoo_run.py --workdir=runs/zoo \
          --num_processes=2 --process_id=$process &
    done; wait
    python -m experiments.zoo_run --config=configs/zoo_run.py:smoke

Needs the simulator (extra `libero`). Variants: `full` (`docs/making/zoo.md` says what it takes),
`smoke` (one policy, three steps of training, two frames, no trials; two minutes).
"""

import ml_collections

from configs.parts.variants import chosen
from configs.parts.zoo import (
    measure_keys,
    rollout_keys,
    short_measures,
    short_training,
    train_keys,
    zoo_config,
)

VARIANTS = ("full", "smoke")


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = zoo_config(f"zoo_run-{chosen(variant, VARIANTS)}")
    # Receives the tables and the leaves of all policies that are done; nothing when empty.
    config.into = "docs/zoo"
    config.train = train_keys()
    config.measure = measure_keys()
    config.rollout = rollout_keys()
    if variant == "smoke":
        config.into, config.rows, config.quiet = "", (2,), True
        short_training(config.train)
        short_measures(config.measure)
        config.rollout.trials = 0
    return config
