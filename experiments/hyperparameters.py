r"""How many masks, and how dense? The paper's Table 1, and what a map of N masks is worth.

    python -m experiments.hyperparameters --config=configs/hyperparameters.py

Maps of N masks that keep a cell with probability p, for every N, p and seed, on single frames. Two
quantities can be what Table 1 calls the Action MSE "between original and masked ISS", and both are
reported:

- `action_mse`: mean squared action error of the masked runs themselves (Sec. 5.3: "the
  interventional Action MSE on the original episodes"). Its expectation does not depend on N.
- `kept_mse`: action error of the frame that is blurred but for the `kept_share` most salient cells
  of the map, beside the same number of random cells.

What a user needs to choose N and p by stands beside them: the error of the map against a reference
of many more masks at the same p (`experiments.single_frames.sweep`), its correlations, and the
standard error that the library reports. Seeds are of the masks; frames and flow noise stay.

A work item is a frame at one p, so a sweep may be dealt over processes by either.
"""

import dataclasses
from pathlib import Path
from typing import Any

import ml_collections

from experiments.runs import app, versions
from experiments.runs.planned import PlannedItem
from experiments.single_frames.frames import (
    SingleFrameOptions,
    choose_frames,
    episodes_of_tasks,
    read_frame,
    run_keys,
)
from experiments.single_frames.sweep import measure
from experiments.single_frames.sweep_report import figure, make_rows, reference_rows, table_text
from iss_jax.data.atomic import write_bytes
from iss_jax.data.dataset import Dataset, Episodes
from iss_jax.jobs.directory import open_run, run_items
from iss_jax.jobs.options import from_config
from iss_jax.policies.restored import Policy


@dataclasses.dataclass(frozen=True)
class Options(SingleFrameOptions):
    """One attribute per key of `configs/hyperparameters.py`, which says what each means."""

    quiet: bool
    num_masks: tuple[int, ...]
    keep_probs: tuple[float, ...]
    seeds: tuple[int, ...]
    presets: dict[str, dict[str, str]]
    block: int
    grid: tuple[int, int]
    reference_masks: int
    kept_share: float
    random_draws: int
    chunk: int

    def __post_init__(self) -> None:
        uneven = [n for n in self.num_masks if n % self.block]
        if uneven:
            raise ValueError(f"config.num_masks: {uneven} are no multiples of block {self.block}")
        parts = [p * self.block for p in self.keep_probs]
        if any(abs(part - round(part)) > 1e-6 for part in parts):
            raise ValueError(
                f"config.keep_probs: of {self.block} masks, {parts} would keep a cell; whole "
                "numbers wanted, so that the balanced design is unbiased"
            )


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the sweep; returns what `results.json` holds."""
    options = from_config(config, Options)
    run = open_run(workdir, config, layout=versions.EPISODES, version=versions.MAPS)
    policy, dataset = options.load()
    items = work_items(options, dataset, policy)
    results = run_items(
        run,
        items,
        lambda item: measure(
            item,
            read_frame(item, dataset, policy, options),
            policy.params,
        ),
        description="frames, one keep probability after the other",
        quiet=options.quiet,
    )
    content = {
        "frames": len({(item["task"], item["episode"]) for item in items}),
        "rows": make_rows(items, results),
        "references": reference_rows(items, results),
    }
    run.write_json("results.json", content)
    run.write_csv("results.csv", content["rows"])
    run.write_csv("references.csv", content["references"])
    text = table_text(content)
    if run.processes.first:
        write_bytes(run.path / "table.txt", text.encode())
    run.write_figure("hyperparameters.png", figure(content["rows"]))
    if not options.quiet:
        print(f"\n{text}\n{run.path / 'results.csv'}")
    return content


def plan(config: ml_collections.ConfigDict, episodes: Episodes) -> list[PlannedItem]:
    """An item a frame and keep probability: the reference, every preset's masks, cells kept."""
    values = config.to_dict()
    drawn = max(values["num_masks"]) + len(values["num_masks"])
    presets = len(values["presets"]) * len(values["seeds"]) * drawn
    item = PlannedItem("", 1, values["reference_masks"] + presets + values["random_draws"])
    return [
        item._replace(kind=f"{group}, p = {keep_prob:g}")
        for keep_prob in values["keep_probs"]
        for group, splits in values["groups"].items()
        for _ in range(values["frames_per_group"] or len(episodes_of_tasks(episodes, splits)))
    ]


def work_items(options: Options, dataset: Dataset, policy: Policy) -> list[dict[str, Any]]:
    """An item a frame and keep probability; it holds everything that its result depends on."""
    names = ("num_masks", "seeds", "presets", "block", "grid", "reference_masks", "kept_share")
    common = {name: getattr(options, name) for name in (*names, "random_draws", "chunk")}
    common |= run_keys(options, policy)
    frames = choose_frames(dataset, options.groups, options.frames_per_group)
    return [
        {"experiment": "hyperparameters", **common, **frame, "keep_prob": keep_prob}
        for frame in frames
        for keep_prob in options.keep_probs
    ]


if __name__ == "__main__":
    app.run(main, "hyperparameters")
