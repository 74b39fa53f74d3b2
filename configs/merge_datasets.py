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

A second, on what is in the checkout (`docs/episodes/expert`, twice); the folder must be new or
empty:

python -m experiments.merge_datasets --config=configs/merge_datasets.py:smoke
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("experts", "landmarks", "smoke")


def get_config(variant: str = "experts") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"merge_datasets-{chosen(variant, VARIANTS)}"
    spatial = "landmarks" if variant == "landmarks" else "spatial"
    config.datasets = tuple(
        f"datasets/experts-{suite}/shard-{k}" for suite in ("object", spatial) for k in (0, 1)
    )
    config.features = ()
    config.metadata = ml_collections.ConfigDict({"split": "seen"})
    if variant == "smoke":
        config.datasets = ("docs/episodes/expert", "docs/episodes/expert")
        config.features = ("target_position",)
    return config
