"""Several datasets as one: by default the expert's held-out episodes of the study's seen tasks.

python -m experiments.collect --config=configs/collect.py:heldout \
    --config.layout_shares="(1.0, 0.0, 0.0)" --config.episodes_per_task=2 \
    --workdir=datasets/experts-object
python -m experiments.collect --config=configs/collect.py:heldout-spatial \
    --config.layout_shares="(1.0, 0.0, 0.0)" --config.episodes_per_task=2 \
    --workdir=datasets/experts-spatial
python -m experiments.merge_datasets --config=configs/merge_datasets.py --workdir=datasets/experts

The same frames with landmarks as support, which are LIBERO's nuisance (`configs/rollout.py`):

python -m experiments.collect --config=configs/collect.py:heldout-spatial \
    --config.layout_shares="(1.0, 0.0, 0.0)" --config.episodes_per_task=2 --config.landmarks=True \
    --workdir=datasets/experts-landmarks
python -m experiments.merge_datasets --config=configs/merge_datasets.py:landmarks \
    --workdir=datasets/experts-with-landmarks
"""

import ml_collections


def get_config(variant: str = "experts") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    if variant not in ("experts", "landmarks"):
        raise ValueError(f"variant {variant!r}: one of experts, landmarks wanted")
    spatial = "spatial" if variant == "experts" else "landmarks"
    config = ml_collections.ConfigDict()
    config.name = "merge_datasets"
    config.datasets = tuple(
        f"datasets/experts-{suite}/shard-{k}" for suite in ("object", spatial) for k in (0, 1)
    )
    config.features = ()
    config.metadata = ml_collections.ConfigDict({"split": "seen"})
    return config
