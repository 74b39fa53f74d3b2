"""Do explanations stay when nuisance pixels get noisy? See `configs/robustness.py`.

    python -m experiments.robustness --config=configs/robustness.py

Noise over the whole frames picks the episodes whose actions it moves least (Sec. 5.2: the 5 % of
lowest action MSE). Their nuisance regions alone then get noise, and of every method the maps of the
noisy and the clean frames are compared (ΔS) beside what the noise does to the actions (ΔA).

ΔA is the policy's and the frame's, not the explanation's: all methods have the same one. The
paper's Figure 4 gives the methods different ones, and does not say how.

The workdir receives `results.csv` (a row an episode), `results.json` (means with intervals from
resampled tasks) and `figures/robustness.png`. An interrupted run is resumed by running it again.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from experiments.perturbed.items import (
    METHODS,
    PerturbedOptions,
    episode_lines,
    load_inputs,
    planned_item,
    work_item,
)
from experiments.perturbed.maps import measure
from experiments.perturbed.robustness_figure import robustness_figure
from experiments.runs import app, versions
from experiments.runs.planned import PlannedItem
from iss_jax.data.dataset import Episodes
from iss_jax.jobs.directory import open_run, run_items
from iss_jax.jobs.options import from_config
from iss_jax.stats.groups import clustered_mean


@dataclasses.dataclass(frozen=True)
class Options(PerturbedOptions):
    """One attribute per key of `configs/robustness.py`, which says what each means."""

    selection_draws: int
    strength: float
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.shares or not all(0 < share <= 1 for share in self.shares):
            raise ValueError(f"config.shares: {self.shares} given, in (0, 1] wanted")
        if self.selection_draws < 1:
            raise ValueError(f"config.selection_draws: {self.selection_draws}, at least 1 wanted")


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    options = from_config(config, Options)
    inputs = load_inputs(options)
    run = open_run(workdir, config, layout=versions.EPISODES, version=versions.MAPS)
    lines = episode_lines(options, inputs.dataset)
    noise = ("noise", options.strength)

    def results(items: Sequence[Mapping[str, Any]], description: str) -> list[Any]:
        compute = partial(measure, inputs=inputs)
        return run_items(run, items, compute, description=description, quiet=options.quiet)

    items = [
        work_item(
            "robustness, selection",
            options,
            inputs,
            line,
            [noise] * options.selection_draws,
            region="all",
            methods=(),
        )
        for line in lines
    ]
    found = results(items, "noise everywhere")
    errors = np.array([np.mean(one["action_error"]) for one in found])
    order = np.argsort(errors, kind="stable")
    chosen = order[: count_of(max(options.shares), len(lines))]
    items = [work_item("robustness", options, inputs, lines[index], [noise]) for index in chosen]
    rows = [
        row(lines[index], float(errors[index]), rank, result, options.methods)
        for rank, (index, result) in enumerate(
            zip(chosen, results(items, "noise on nuisance"), strict=True)
        )
    ]
    content = {
        "episodes": len(lines),
        "frames": sum(len(item["frames"]) for item in items),
        "iss": dataclasses.asdict(inputs.iss),
        "shares": [summary(rows, share, len(lines), options) for share in options.shares],
    }
    run.write_csv("results.csv", rows)
    run.write_json("results.json", content)
    path = run.write_figure("robustness.png", robustness_figure(content["shares"], METHODS))
    if not options.quiet:
        print_report(content)
        print(f"\nfigure: {path}")
    return content


def plan(config: ml_collections.ConfigDict, episodes: Episodes) -> list[PlannedItem]:
    """Noise on every episode, then maps of as many as will be chosen, taken to be the first."""
    options = from_config(config, Options)
    lines = episode_lines(options, episodes)
    chosen = lines[: count_of(max(options.shares), len(lines))]
    noise = options.selection_draws
    selection = [planned_item("selection", options, line, noise, ()) for line in lines]
    maps = [planned_item("maps", options, line, 1)._replace(stage=1) for line in chosen]
    return selection + maps


def count_of(share: float, episodes: int) -> int:
    """Episodes that a share of them is, at least one."""
    return max(1, round(share * episodes))


def row(
    line: Mapping[str, Any],
    full_noise_error: float,
    rank: int,
    result: Mapping[str, Any],
    methods: Sequence[str],
) -> dict[str, Any]:
    """An episode's line of `results.csv`: means over its frames."""
    values = {name: line[name] for name in ("suite", "task", "split", "seed")}
    values |= {"episode": line["index"], "rank": rank, "full_noise_action_error": full_noise_error}
    values["action_error"] = np.mean(result["action_error"])
    values["nuisance_area"] = np.mean(result["area"])
    for method in methods:
        for kind in ("cosine", "pearson"):
            values[f"{method}_{kind}"] = np.mean(np.asarray(result[kind][method], np.float64))
        clean, noisy = np.asarray(result["nmr"][method], np.float64).T
        values[f"{method}_nmr"], values[f"{method}_nmr_noisy"] = clean.mean(), noisy.mean()
    return {
        name: float(f"{value:.6g}") if isinstance(value, np.floating | float) else value
        for name, value in values.items()
    }


def summary(
    rows: Sequence[Mapping[str, Any]], share: float, episodes: int, options: Options
) -> dict[str, Any]:
    """Means over the least moved episodes, with intervals from resampled tasks."""
    own = rows[: count_of(share, episodes)]
    tasks = np.array([f"{one['suite']}/{one['task']}" for one in own])

    def mean(name: str) -> dict[str, Any]:
        values = np.array([one[name] for one in own], np.float64)
        there = np.isfinite(values)
        if not there.any():
            return {"value": None, "low": None, "high": None, "n": 0}
        found = clustered_mean(values[there], tasks[there], **options.settings)
        return found._asdict() | {"n": int(there.sum())}

    return {
        "share": share,
        "episodes": len(own),
        "tasks": len(set(tasks)),
        "action_error": mean("action_error"),
        "full_noise_action_error": mean("full_noise_action_error"),
        "methods": {
            method: {
                name: mean(f"{method}_{name}") for name in ("cosine", "pearson", "nmr", "nmr_noisy")
            }
            for method in options.methods
        },
    }


def print_report(content: Mapping[str, Any]) -> None:
    """The means, a block a share."""
    for one in content["shares"]:
        print(
            f"\n{one['episodes']} of {content['episodes']} episodes ({one['tasks']} tasks), the "
            f"{one['share']:.0%} whose actions noise everywhere moves least.\nΔA, action MSE under "
            f"noise on nuisance: {_text(one['action_error'], '.2e')}; everywhere: "
            f"{_text(one['full_noise_action_error'], '.2e')}\n"
        )
        print(f"{'':<18}{'cosine of maps':<26}{'Pearson of maps':<26}{'NMR, clean and noisy'}")
        for method, found in one["methods"].items():
            print(
                f"{METHODS[method]:<18}{_text(found['cosine'], '.4f'):<26}"
                f"{_text(found['pearson'], '.3f'):<26}"
                f"{found['nmr']['value']:.3f} {found['nmr_noisy']['value']:.3f}"
            )


def _text(found: Mapping[str, Any], form: str) -> str:
    if found["value"] is None:
        return "none"
    return f"{found['value']:{form}} [{found['low']:{form}}, {found['high']:{form}}]"


if __name__ == "__main__":
    app.run(main, "robustness")
