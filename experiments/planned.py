"""What an experiment would compute, said without computing it; for `experiments.plan`."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from iss_jax import ISSConfig, embedded
from iss_jax.data.success import read_success

# Episodes of each of the paper's tasks (App. C.1): 18 seen ones, 13 and 10 unseen ones.
PAPER_EPISODES = {"seen": 200, "unseen_level1": 25, "unseen_level2": 25}


class PlannedItem(NamedTuple):
    """A work item that would be computed.

    Attributes:
        kind: what the plan's table puts it under, such as its split.
        frames: observations that it explains.
        runs: policy runs on one observation each, in forward equivalents (a gradient run is about
            `GRADIENT_RUN` of them).
        stage: items of a stage begin when all of the stages before are computed.
    """

    kind: str
    frames: int
    runs: float
    stage: int = 0


GRADIENT_RUN = 2.2
"""A run and its gradient with respect to the masks, in forward runs: counted FLOPs of the embedded
policy, where `estimator_accuracy` finds 2.19. The parameters' gradients are not computed."""


def iss_runs(iss: ISSConfig) -> float:
    """Runs of one map in forward equivalents, the unmasked one included."""
    iss = iss.resolved(differentiable=True)
    assert iss.num_masks is not None
    runs = (iss.num_masks + 1) * iss.noise_draws
    return runs * GRADIENT_RUN if iss.takes_gradients else runs


class Episodes(Protocol):
    """What a plan needs of a dataset: how many episodes, and their metadata.

    `metadata(i)` has `length` (frames) and what the dataset's own has, such as `suite`, `task` and
    `split`. `iss_jax.data.lerobot.LeRobotDataset` is one.
    """

    @property
    def root(self) -> Path | str:
        """Where it lies."""
        ...

    def __len__(self) -> int:
        """Number of episodes."""
        ...

    def metadata(self, index: int, /) -> Mapping[str, Any]:
        """Metadata of one episode."""
        ...


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
