"""Which success table to print: python -m experiments.success_table"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """The configuration."""
    config = ml_collections.ConfigDict()
    config.name = "success_table"
    # A path, or one that ships: "embedded", "paper_table3".
    config.success = "embedded"
    return config
