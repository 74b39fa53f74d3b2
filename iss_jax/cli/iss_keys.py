"""The key `iss` of a command: an entry per attribute of `ISSConfig`, with its defaults."""

import dataclasses
from typing import Any

import ml_collections
from ml_collections import config_dict

from iss_jax.config import ISSConfig

# Of attributes that are None by default: what they are otherwise.
_OPEN = {
    "num_masks": int,
    "micro_batch": int,
    "action_dims": int,
    "horizon": int,
    "action_weights": tuple,
}


def iss_keys(**changes: Any) -> ml_collections.ConfigDict:
    """A config of the options of ISS.

    >>> iss_keys(num_masks=10).num_masks
    10

    Args:
        changes: Other defaults.
    """
    values = {field.name: field.default for field in dataclasses.fields(ISSConfig)}
    found = {
        name: config_dict.placeholder(_OPEN[name]) if value is None else value
        for name, value in values.items()
    }
    return ml_collections.ConfigDict(found | changes)
