"""One table of many runs.

    python -m experiments.join --config=configs/join.py --config.runs=runs/sweep,runs/other
    python -m experiments.join --config=configs/join.py:smoke

Variants: `runs` (those that `--config.runs` names), `smoke` (two that it writes itself; a second).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("runs", "smoke")


def get_config(variant: str = "runs") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"join-{chosen(variant, VARIANTS)}"
    # Run directories, or folders of some, with commas between.
    config.runs = ""
    # Which of their tables.
    config.table = "results.csv"
    # Two runs are written to the workdir first, and joined with the others.
    config.examples = variant == "smoke"
    return config
