"""Several datasets as one: by default the expert's held-out episodes of the study's seen tasks.

python -m experiments.collect --config=configs/collect.py:heldout --workdir=datasets/heldout
python -m experiments.collect --config=configs/collect.py:heldout-spatial \
    --workdir=datasets/spatial/heldout
python -m experiments.merge_datasets --config=configs/merge_datasets.py --workdir=datasets/experts
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    """The configuration."""
    config = ml_collections.ConfigDict()
    config.name = "merge_datasets"
    config.datasets = tuple(
        f"datasets/{name}/shard-{k}" for name in ("heldout", "spatial/heldout") for k in (0, 1)
    )
    config.features = ()
    config.metadata = ml_collections.ConfigDict({"split": "seen"})
    return config
