"""The options of ISS in an experiment's config, which all that explain a policy share."""

import dataclasses
from typing import Any

from iss_jax import ISSConfig


@dataclasses.dataclass(frozen=True)
class ISSOptions:
    """The key `iss` of a config: one entry per attribute of `ISSConfig`."""

    iss: dict[str, Any]

    def iss_config(self, action_dims: int) -> ISSConfig:
        """The options of ISS; `action_dims` when they leave the action dimensions open."""
        options = dict(self.iss)
        if options["action_dims"] is None:
            options["action_dims"] = action_dims
        return ISSConfig(**options)
