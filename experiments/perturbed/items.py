"""What the experiments on perturbations are asked: options, inputs, episodes, work items."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments.runs.planned import GRADIENT_RUN, PlannedItem, iss_runs
from iss_jax import ISSConfig
from iss_jax.data.dataset import Dataset, Episodes
from iss_jax.data.strided import strided_frames
from iss_jax.few import few
from iss_jax.jobs.options import ISSOptions, PolicyOptions, at_least_one
from iss_jax.methods import TITLES
from iss_jax.policies.frames import source_of
from iss_jax.policies.restored import Policy

METHODS = {
    **{name: TITLES[name] for name in ("iss", "attention", "norm", "gradient", "random")},
    "iss_new_masks": "ISS, new masks",
    "random_same": "random, same deal",
}
"""What is compared, and how figures call it.

`iss` shares its masks between a frame and its copies; with `iss_new_masks` the copies have masks of
their own. `random` deals the scores of each ISS map to random cells, anew for every map;
`random_same` deals those of a frame and of its copies to the same random cells, so that it changes
as ISS does and says nothing of where.
"""

Perturbation = tuple[str, float]  # its name and its strength


@dataclasses.dataclass(frozen=True)
class PerturbedOptions(PolicyOptions, ISSOptions):
    """The keys of `configs/parts/perturbed_frames.py`, which says what each means.

    Raises:
        ValueError: An unknown method, or a number that must be positive is not.
    """

    quiet: bool
    seed_key: str
    seeds: tuple[int, ...]
    num_tasks: int
    frames_per_episode: int
    stride: int
    methods: tuple[str, ...]
    gradient_probes: int
    percent: float
    seed: int
    confidence: float
    resamples: int
    permutations: int

    def __post_init__(self) -> None:
        unknown = sorted(set(self.methods) - set(METHODS))
        if unknown or not self.methods:
            raise ValueError(f"config.methods: {list(self.methods)} given, of {list(METHODS)}")
        at_least_one(self, "stride", "max_token_len", "gradient_probes")

    @property
    def settings(self) -> dict[str, Any]:
        """Of intervals and tests."""
        return {"confidence": self.confidence, "resamples": self.resamples}


class Inputs(NamedTuple):
    """What is explained, of what, and how.

    Attributes:
        iss: options of ISS.
        policy: the policy.
        dataset: its episodes.
    """

    iss: ISSConfig
    policy: Policy
    dataset: Dataset


def load_inputs(options: PerturbedOptions) -> Inputs:
    """Restores the policy and opens the dataset.

    Raises:
        ValueError: a path is empty.
        FileNotFoundError: something is missing in them.
    """
    policy, dataset = options.load()
    robot = len(policy.norm_stats["actions"].mean)
    return Inputs(options.iss_config(robot), policy, dataset)


def episode_lines(options: PerturbedOptions, dataset: Episodes) -> list[dict[str, Any]]:
    """The metadata of the chosen episodes, by split, task and seed.

    Rows that are in this order come in the same order in every task.

    Raises:
        ValueError: an episode lacks its task or split, or none is left.
    """
    lines = [dict(dataset.metadata(index)) | {"index": index} for index in range(len(dataset))]
    wanted = ["suite", "task", "split", *filter(None, [options.seed_key])]
    for line in lines:
        missing = [name for name in wanted if name not in line]
        if missing:
            raise ValueError(
                f"{dataset.root}: episode {line['index']} lacks the metadata {missing}"
            )
        line["seed"] = line[options.seed_key] if options.seed_key else 0
    tasks = list(dict.fromkeys((line["suite"], line["task"], line["split"]) for line in lines))
    chosen = [
        line
        for line in lines
        if (line["suite"], line["task"], line["split"]) in tasks[: options.num_tasks or None]
        and (not options.seeds or line["seed"] in options.seeds)
    ]
    if not chosen:
        raise ValueError(f"{dataset.root}: no episode of the seeds {few(options.seeds)}")
    order = {"seen": 0, "near": 1, "far": 2}
    return sorted(
        chosen,
        key=lambda line: (
            order.get(line["split"], 3),
            *(line[name] for name in ("split", "suite", "task", "seed", "index")),
        ),
    )


def work_item(
    experiment: str,
    options: PerturbedOptions,
    inputs: Inputs,
    line: Mapping[str, Any],
    perturbations: Sequence[Perturbation],
    *,
    region: str = "nuisance",
    methods: Sequence[str] | None = None,
) -> dict[str, Any]:
    """One episode under some perturbations, with everything that the result depends on.

    Args:
        experiment: keeps the items of several stages and experiments apart.
        options: the experiment's.
        inputs: the policy, the episodes, the options of ISS.
        line: the episode's (`episode_lines`).
        perturbations: name and strength of each copy of a frame.
        region: `nuisance` or `all`, where pixels may change.
        methods: those to compare; the options' when None.
    """
    index = line["index"]
    return {
        "experiment": experiment,
        **options.run_keys(inputs.policy),
        "percent": options.percent,
        "seed": options.seed,
        "iss": dataclasses.asdict(inputs.iss),
        "methods": list(options.methods if methods is None else methods),
        "gradient_probes": options.gradient_probes,
        "perturbations": [list(pair) for pair in perturbations],
        "region": region,
        "task": f"{line['suite']}/{line['task']}/{line['split']}/{line['seed']}",
        "episode": index,
        **source_of(inputs.dataset, index),
        "frames": strided_frames(line["length"], options.stride, options.frames_per_episode),
    }


def planned_item(
    kind: str,
    options: PerturbedOptions,
    line: Mapping[str, Any],
    copies: int,
    methods: Sequence[str] | None = None,
) -> PlannedItem:
    """A work item as a plan counts it: the actions of frames and copies, ISS, gradients.

    Args:
        kind: what the plan calls it.
        options: the experiment's.
        line: the episode's.
        copies: perturbed copies of each frame.
        methods: as in `work_item`.
    """
    used = set(options.methods if methods is None else methods)
    rows = 1 + copies
    runs = float(rows)
    if used & {"iss", "iss_new_masks", "random", "random_same"}:
        maps = rows + copies * ("iss_new_masks" in used)
        runs += maps * iss_runs(ISSConfig(**options.iss))
    if "gradient" in used:
        runs += rows * options.gradient_probes * GRADIENT_RUN
    frames = len(strided_frames(line["length"], options.stride, options.frames_per_episode))
    return PlannedItem(kind, frames, frames * runs)
