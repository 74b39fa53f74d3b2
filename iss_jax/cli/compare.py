"""iss-jax compare."""

from typing import Any

import ml_collections

SUMMARY = "to be written"


def get_config() -> ml_collections.ConfigDict:
    """Keys and defaults."""
    return ml_collections.ConfigDict()


def run(config: ml_collections.ConfigDict, workdir: str | None) -> Any:
    """Runs it."""
    raise NotImplementedError
