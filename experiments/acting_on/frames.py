"""Which frames are looked at: of episodes that the user names, or from the best to the worst."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from iss_jax.data.dataset import Dataset
from iss_jax.data.success import Success, read_success
from iss_jax.few import few
from iss_jax.jobs.packaged import located


@dataclasses.dataclass(frozen=True)
class ChosenFrame:
    """One frame of a dataset.

    Attributes:
        episode: its episode.
        frame: its number in it.
        prompt: the instruction.
        suite: of the episode, empty where it has none.
        success: how often the policy succeeds there, where that is known.
    """

    episode: int
    frame: int
    prompt: str
    suite: str
    success: Success | None = None

    def row(self) -> dict[str, Any]:
        """Its columns in tables."""
        return {
            "episode": self.episode,
            "frame": self.frame,
            "suite": self.suite,
            "prompt": self.prompt,
            "successes": None if self.success is None else self.success.successes,
            "trials": None if self.success is None else self.success.trials,
        }

    def title(self) -> str:
        """Instruction, suite and success in a line."""
        rate = ""
        if self.success is not None:
            rate = f", success {self.success.successes} of {self.success.trials}"
        return f"{self.prompt} ({self.suite or f'episode {self.episode}'}{rate})"


def choose(
    dataset: Dataset,
    success: str,
    policy_seed: int,
    count: int,
    episodes: Sequence[int] = (),
) -> list[ChosenFrame]:
    """The middle frames of some episodes.

    Args:
        dataset: the episodes.
        success: a success table or a packaged one's name; empty when nothing is known.
        policy_seed: which policy's success.
        count: frames wanted.
        episodes: which; spread from the best to the worst success, or evenly, when empty.

    Raises:
        ValueError: an episode that the dataset lacks.
    """
    wrong = [episode for episode in episodes if not 0 <= episode < len(dataset)]
    if wrong:
        raise ValueError(
            f"config.episodes: {few(wrong)} given, {dataset.root} has episodes 0 to "
            f"{len(dataset) - 1}"
        )
    table: dict[tuple[Any, ...], Success] = {}
    if success:
        for row in read_success(located(success, "success")):
            if row.policy_seed == policy_seed:
                table[(row.suite, row.task, row.split, row.seed)] = row
    found = [_frame(dataset, table, e) for e in episodes or range(len(dataset))]
    if episodes:
        return found
    known = [one for one in found if one.success is not None]
    ranked = sorted(known, key=lambda one: -_rate(one)) if len(known) >= count else found
    count = min(count, len(ranked))
    chosen: list[ChosenFrame] = []
    for number in range(count):
        wanted = number * (len(ranked) - 1) / max(count - 1, 1)
        near = [i for i in range(len(ranked)) if abs(i - wanted) <= len(ranked) / (2 * count)]
        suites = [one.suite for one in chosen]
        order = {i: (suites.count(ranked[i].suite), abs(i - wanted)) for i in near}
        chosen.append(ranked[min(near, key=order.__getitem__)])
    return chosen


def _rate(one: ChosenFrame) -> float:
    assert one.success is not None
    return one.success.rate


def _frame(dataset: Dataset, table: dict[tuple[Any, ...], Success], episode: int) -> ChosenFrame:
    line = dataset.metadata(episode)
    names = tuple(line.get(name) for name in ("suite", "task", "split", "seed"))
    return ChosenFrame(
        episode=episode,
        frame=line["length"] // 2,
        prompt=line["tasks"][0],
        suite=str(line.get("suite") or ""),
        success=table.get(names),
    )
