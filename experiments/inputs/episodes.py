"""Which episodes and frames a command takes: tables of episodes, features of a dataset."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from iss_jax import embedded
from iss_jax.data.lerobot import Keys
from iss_jax.data.success import read_success

# Episodes of each of the paper's tasks (App. C.1): 18 seen ones, 13 and 10 unseen ones.
PAPER_EPISODES = {"seen": 200, "unseen_level1": 25, "unseen_level2": 25}


@dataclasses.dataclass(frozen=True)
class EpisodeTable:
    """Episodes known by their metadata alone."""

    root: str
    lines: Sequence[Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.lines)

    def metadata(self, index: int, /) -> Mapping[str, Any]:
        """Metadata of one episode."""
        return self.lines[index]


def paper_episodes(length: int) -> EpisodeTable:
    """The paper's 3,600 seen and 575 unseen episodes.

    Args:
        length: frames of each; the paper does not say.
    """
    rows = read_success(embedded.paper_table3_path())
    tasks = dict.fromkeys((row.suite, row.task, row.split) for row in rows)
    lines = [
        {"suite": suite, "task": task, "split": split, "length": length, "tasks": [task]}
        for suite, task, split in tasks
        for _ in range(PAPER_EPISODES[split])
    ]
    return EpisodeTable("the paper's episodes", lines)


def keys_of(given: Mapping[str, str]) -> Keys | None:
    """Which features are what; None when the config says nothing of it.

    Raises:
        ValueError: a JSON object cannot be read.
    """
    if not any(given.values()):
        return None
    cameras, regions = (
        json_object(given[name], f"features.{name}") if given[name] else None
        for name in ("cameras", "regions")
    )
    return Keys(cameras, regions, given["state"] or None, given["action"] or None)


def json_object(text: str, name: str) -> dict[str, Any]:
    """The JSON object that a config key gives.

    Raises:
        ValueError: it is not one; the message names the key.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"config.{name}: {text!r} cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"config.{name}: {text!r} given, a JSON object wanted")
    return value
