"""Which success table to print.

    python -m experiments.success_table --config=configs/success_table.py
    python -m experiments.success_table --config=configs/success_table.py:smoke

Variants: `embedded` (the embedded policy's), `smoke` (the paper's Table 3); both take a second.
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"success_table-{chosen(variant, VARIANTS)}"
    # A path, or one that ships: "embedded", "paper_table3".
    config.success = "paper_table3" if variant == "smoke" else "embedded"
    return config
