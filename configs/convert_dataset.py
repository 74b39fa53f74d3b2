r"""A dataset in another format.

    python -m experiments.convert_dataset --config=configs/convert_dataset.py:v3.0 \
        --config.dataset=<folder> --workdir=<new folder>
    python -m experiments.convert_dataset --config=configs/convert_dataset.py:smoke

The variant is the new format, `v2.1` or `v3.0` of LeRobot or `folders` as the paper's authors have
them; that of the source is recognised. Without a dataset it is the packaged episodes. `smoke`
takes the first three of these, in a second.

Features of another name than this package's are named like this:

    --config.features.cameras='{"front": "observation.images.cam_high"}' \
    --config.features.state=qpos
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("v2.1", "v3.0", "folders", "smoke")


def get_config(variant: str = "v3.0") -> ml_collections.ConfigDict:
    """The configuration."""
    config = ml_collections.ConfigDict()
    config.name = f"convert_dataset-{chosen(variant, VARIANTS)}"
    # "embedded" is the package's own.
    config.dataset = "embedded"
    config.to = "v3.0" if variant == "smoke" else variant
    # LeRobot only: JSON objects {camera: feature}, and names; empty for those of this package.
    config.features = ml_collections.ConfigDict(
        {"cameras": "", "regions": "", "state": "", "action": ""}
    )
    # Episode folders only: frames a second of those that do not say; 0 for the authors'.
    config.fps = 0.0
    # A JSON object that goes before the episodes' own metadata, such as {"suite": "agnostos"}.
    config.metadata = "{}"
    # Episodes without the metadata `task` get their instruction as such.
    config.task_from_prompt = False
    # Features that are not read (strings, unknown arrays) are left out; else they are an error.
    config.drop_unread = False
    # Read both again and compare every array to the bit.
    config.verify = True
    # Only so many episodes, the first ones; 0 for all.
    config.most = 3 if variant == "smoke" else 0
    config.quiet = False
    return config
