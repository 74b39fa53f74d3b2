"""The key `iss` of a command: one entry per attribute of `ISSConfig`, all of them pinned."""

import dataclasses

import ml_collections
from ml_collections import config_dict

from iss_jax.config import ISSConfig

# Of those that are left open: the type that a flag gives them.
_OPEN = {"micro_batch": int, "action_dims": int, "horizon": int, "action_weights": tuple}


def iss_keys(defaults: ISSConfig) -> ml_collections.ConfigDict:
    """Keys and defaults.

    >>> iss_keys(ISSConfig(num_masks=50)).num_masks
    50

    Args:
        defaults: What holds where a flag says nothing.
    """
    keys = dataclasses.asdict(defaults)
    return ml_collections.ConfigDict(
        {
            name: config_dict.placeholder(_OPEN[name]) if value is None else value
            for name, value in keys.items()
        }
    )
