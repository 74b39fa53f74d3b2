"""Paths that a command's options give: names of packaged data, or one's own."""

from collections.abc import Callable
from pathlib import Path

from iss_jax import embedded

PACKAGED: dict[str, dict[str, Callable[[], Path]]] = {
    "checkpoint": {"embedded": embedded.checkpoint_path},
    "dataset": {"embedded": embedded.episodes_path},
    "success": {"embedded": embedded.success_path, "paper_table3": embedded.paper_table3_path},
}


def located(value: str, name: str) -> Path:
    """The path that a config key gives: a name of packaged data, or a path of one's own."""
    if not value:
        raise ValueError(f"config.{name}: empty; give --config.{name}=<path>")
    return PACKAGED[name][value]() if value in PACKAGED[name] else Path(value)
