"""Where every object is in every image of collected datasets.

    python -m experiments.locate_objects --config=configs/locate_objects.py
    python -m experiments.locate_objects --config=configs/locate_objects.py:smoke

Variants: `embedded` (demonstrations and static frames), `corrections`, `corrections-2`, `spatial`,
`spatial-corrections`, `smoke` (a copy of `docs/episodes/expert`, ten seconds).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = (
    "embedded",
    "corrections",
    "corrections-2",
    "spatial",
    "spatial-corrections",
    "smoke",
)


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"locate_objects-{chosen(variant, VARIANTS)}"
    # Write beside a copy in the workdir and leave the dataset as it is.
    config.copy = variant == "smoke"
    config.datasets = (
        "datasets/demos/shard-0",
        "datasets/demos/shard-1",
        "datasets/static/shard-0",
        "datasets/static/shard-1",
    )
    if variant in ("corrections", "corrections-2"):
        config.datasets = (f"datasets/{variant}/shard-0", f"datasets/{variant}/shard-1")
    elif variant in ("spatial", "spatial-corrections"):
        kinds = ("demos", "static") if variant == "spatial" else ("corrections",)
        config.datasets = tuple(
            f"datasets/spatial/{kind}/shard-{shard}" for kind in kinds for shard in (0, 1)
        )
    elif variant == "smoke":
        config.datasets = ("docs/episodes/expert",)
    return config
