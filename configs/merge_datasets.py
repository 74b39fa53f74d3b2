"""Several datasets as one: by default the expert's held-out episodes of the study's seen tasks.

python -m experiments.collect --config=configs/collect.py:heldout \
    --config.layout_shares="(1.0, 0.0, 0.0)" --config.episodes_per_task=2 \
    --workdir=datasets/experts-object
python -m experiments.collect --config=configs/collect.py:heldout-spatial \
    --config.layout_shares="(1.0, 0.0, 0.0)" --config.episodes_per_task=2 \
    --workdir=datasets/experts-spatial
python -m experiments.merge_datasets --config=configs/merge_datasets.py --workdir=datasets/experts
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """The configuration."""
    config = ml_collections.ConfigDict()
    config.name = "merge_datasets"
    config.datasets = tuple(
        f"datasets/experts-{suite}/shard-{k}" for suite in ("object", "spatial") for k in (0, 1)
    )
    config.features = ()
    config.metadata = ml_collections.ConfigDict({"split": "seen"})
    return config
