"""Work items of `amortise`: which runs on which frames."""

import dataclasses
from typing import Any

from experiments.accuracy.frames import AccuracyOptions, frame_item
from experiments.amortising.samples import split
from iss_jax.data.dataset import Dataset
from iss_jax.policies.restored import Policy


@dataclasses.dataclass(frozen=True)
class Options(AccuracyOptions):
    """One attribute per key of `configs/amortise.py`, which says what each means."""

    quiet: bool
    held_out: int
    training_frames: int
    variations: int
    runs: int
    shift: int
    reference_masks: int
    part_masks: int
    plain_runs: int
    gradient_runs: int
    chunk: int
    gradient_chunk: int
    clip: bool
    members: int
    seed: int
    epochs: int
    batch: int
    width: int
    rate: float
    decay: float
    plain: float
    feature_noise: float
    plain_budgets: tuple[int, ...]
    gradient_budgets: tuple[int, ...]
    repeats: int
    checks: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.held_out < 2:
            raise ValueError(f"config.held_out: {self.held_out} given, at least 2 wanted")
        if self.reference_masks % (2 * self.part_masks):
            raise ValueError(
                f"config.reference_masks: {self.reference_masks} given, a multiple of twice "
                f"part_masks = {self.part_masks} wanted"
            )


def _spread(values: list[Any], count: int) -> list[Any]:
    """So many of the values, evenly through them; all when 0."""
    count = min(count, len(values)) or len(values)
    return [values[(2 * number + 1) * len(values) // (2 * count)] for number in range(count)]


def training_items(dataset: Dataset, policy: Policy, options: Options) -> list[dict[str, Any]]:
    """An item a frame of the tasks to learn from."""
    episodes = split(dataset, options.held_out).learning
    chosen = [
        (episode, frame)
        for episode in episodes
        for frame in range(dataset.metadata(episode)["length"])
    ]
    return [
        frame_item(dataset, policy, episode, frame, options)
        | {
            "experiment": "amortise_sample",
            "held_out": options.held_out,
            "variations": options.variations,
            "runs": options.runs,
            "shift": options.shift,
        }
        for episode, frame in _spread(chosen, options.training_frames)
    ]


def judged_items(dataset: Dataset, policy: Policy, options: Options) -> list[list[dict[str, Any]]]:
    """Of each judged frame its items: plain runs, gradient runs, the reference's.

    Half of the frames are new episodes of the tasks learnt from, the others of new tasks. They are
    spread over the tasks, and alternate between the first and the last of an episode.
    """
    parts = split(dataset, options.held_out)
    half = options.frames // 2
    episodes = _spread(parts.new_episodes, half) + _spread(parts.new_tasks, half)
    found = []
    for number, episode in enumerate(episodes):
        frame = (dataset.metadata(episode)["length"] - 1) * (number % 2)
        base = frame_item(dataset, policy, episode, frame, options)
        runs = base | {"experiment": "amortise_runs", "design": "bernoulli", "repeats": 1}
        plain = runs | {"estimator": "centred"}
        found.append(
            [
                plain | {"use": "candidate", "runs": options.plain_runs},
                runs | {"use": "candidate", "estimator": "gradient", "runs": options.gradient_runs},
                *(
                    plain | {"use": f"reference {part}", "runs": options.part_masks}
                    for part in range(options.reference_masks // options.part_masks)
                ),
            ]
        )
    return found
