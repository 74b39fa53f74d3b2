"""Where every object is in every image of collected datasets.

python -m experiments.locate_objects --config=configs/locate_objects.py

Variants: `embedded` (demonstrations and static frames), `corrections`, `corrections-2`, `spatial`,
`spatial-corrections`.
"""

import ml_collections


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = "locate_objects"
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
    elif variant != "embedded":
        known = "embedded, corrections, corrections-2, spatial, spatial-corrections"
        raise ValueError(f"variant {variant!r}: one of {known} wanted")
    return config
