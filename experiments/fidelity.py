"""Do explanations change as the actions do? See `configs/fidelity.py`.

    python -m experiments.fidelity --config=configs/fidelity.py

Texture, warp and patches change the nuisance regions of each frame (Sec. 5.2). Over episodes, how
much a method's map changes, 1 − cosine, is correlated with how much the actions do (ΔA, mean
squared, under one flow noise): for each method and perturbation, on seen tasks, unseen ones, all.

Both grow with how much there is to perturb, so that each correlation stands beside the partial one
given the nuisance area. A second measure of change, 1 − Pearson's r of the two maps, does not
depend on a constant that both maps share.

The workdir receives `results.csv` (a row an episode and perturbation), `results.json` (the
correlations, clustered by task) and `figures/`: `fidelity.png` (Figure 5), `fidelity_grid.png`
(Figure 11). An interrupted run is resumed by running it again.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from experiments.perturbed.fidelity_figure import fidelity_bars, fidelity_grid
from experiments.perturbed.items import (
    METHODS,
    PerturbedOptions,
    episode_lines,
    load_inputs,
    planned_item,
    work_item,
)
from experiments.perturbed.maps import measure
from experiments.runs import app, versions
from experiments.runs.planned import PlannedItem
from iss_jax.data.dataset import Episodes
from iss_jax.jobs.directory import open_run, run_items
from iss_jax.jobs.options import from_config
from iss_jax.perturbations import PERTURBATIONS
from iss_jax.stats import correlation as stats

CHANGES = ("cosine", "pearson")  # of maps: the change is 1 minus it
SPLITS = ("seen", "unseen", "all")


@dataclasses.dataclass(frozen=True)
class Options(PerturbedOptions):
    """One attribute per key of `configs/fidelity.py`, which says what each means."""

    perturbations: tuple[str, ...]
    strength: float
    episodes: int

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = sorted(set(self.perturbations) - set(PERTURBATIONS))
        if unknown or not self.perturbations:
            raise ValueError(
                f"config.perturbations: {self.perturbations} given, of {list(PERTURBATIONS)}"
            )


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    options = from_config(config, Options)
    inputs = load_inputs(options)
    run = open_run(workdir, config, layout=versions.EPISODES, version=versions.MAPS)
    lines = drawn(episode_lines(options, inputs.dataset), options)
    pairs = [(name, options.strength) for name in options.perturbations]
    items = [work_item("fidelity", options, inputs, line, pairs) for line in lines]
    results = run_items(
        run,
        items,
        partial(measure, inputs=inputs),
        description="maps of perturbed frames",
        quiet=options.quiet,
    )
    rows = [row for pair in zip(lines, results, strict=True) for row in rows_of(*pair, options)]
    content = {
        "episodes": len(lines),
        "frames": sum(len(item["frames"]) for item in items),
        "tasks": len({task_of(row) for row in rows}),
        "iss": dataclasses.asdict(inputs.iss),
        "action_error": {
            name: float(np.mean([r["action_error"] for r in rows if r["perturbation"] == name]))
            for name in options.perturbations
        },
        "correlations": correlations(rows, options),
    }
    run.write_csv("results.csv", rows)
    run.write_json("results.json", content)
    figures = [
        run.write_figure("fidelity.png", fidelity_bars(content["correlations"], METHODS)),
        run.write_figure(
            "fidelity_grid.png", fidelity_grid(content["correlations"], rows, split_of, METHODS)
        ),
    ]
    if not options.quiet:
        print_report(content)
        for path in figures:
            print(f"figure: {path}")
    return content


def plan(config: ml_collections.ConfigDict, episodes: Episodes) -> list[PlannedItem]:
    """An item an episode: its frames and their perturbed copies."""
    options = from_config(config, Options)
    copies = len(options.perturbations)
    return [
        planned_item(line["split"], options, line, copies)
        for line in drawn(episode_lines(options, episodes), options)
    ]


def drawn(lines: list[dict[str, Any]], options: Options) -> list[dict[str, Any]]:
    """As many episodes as the options say, drawn at random, in their order."""
    if not options.episodes or options.episodes >= len(lines):
        return lines
    rng = np.random.default_rng(options.seed)
    chosen = np.sort(rng.choice(len(lines), options.episodes, replace=False))
    return [lines[index] for index in chosen]


def rows_of(
    line: Mapping[str, Any], result: Mapping[str, Any], options: Options
) -> list[dict[str, Any]]:
    """An episode's rows of `results.csv`, one a perturbation: means over its frames."""
    rows = []
    for number, name in enumerate(options.perturbations):
        row = {key: line[key] for key in ("suite", "task", "split", "seed")}
        row |= {"episode": line["index"], "perturbation": name}
        values = {
            "action_error": np.mean(result["action_error"], axis=0)[number],
            "nuisance_area": np.mean(result["area"]),
        }
        for method in options.methods:
            for kind in CHANGES:
                similarity = np.asarray(result[kind][method], np.float64)[:, number]
                values[f"{method}_{kind}_change"] = 1.0 - similarity.mean()
            share = np.asarray(result["nmr"][method], np.float64).mean(0)
            values[f"{method}_nmr_change"] = share[1 + number] - share[0]
        rows.append(row | {key: float(f"{value:.6g}") for key, value in values.items()})
    return rows


def split_of(row: Mapping[str, Any], split: str) -> bool:
    """Whether a row is of one of `SPLITS`: unseen is all that is not seen."""
    return split == "all" or (row["split"] == "seen") == (split == "seen")


def task_of(row: Mapping[str, Any]) -> str:
    return f"{row['suite']}/{row['task']}"


def correlations(rows: Sequence[Mapping[str, Any]], options: Options) -> list[dict[str, Any]]:
    """Of ΔA with each method's change, by perturbation and split, clustered by task.

    Pearson's, as the paper has it, and Spearman's, which a few large ΔA do not decide. Beside each
    stands the partial correlation given the nuisance area.
    """
    settings = {**options.settings, "permutations": options.permutations}
    found = []
    for split in SPLITS:
        for name in options.perturbations:
            own = [r for r in rows if r["perturbation"] == name and split_of(r, split)]
            if len(own) < 3:
                continue
            tasks = np.array([task_of(row) for row in own])
            error = np.array([row["action_error"] for row in own])
            area = np.array([[row["nuisance_area"]] for row in own])
            for method in options.methods:
                for change in CHANGES:
                    x = np.array([row[f"{method}_{change}_change"] for row in own])
                    there = np.isfinite(x)
                    if there.sum() < 3:
                        continue
                    for kind in ("pearson", "spearman"):
                        call = {"clusters": tasks[there], "kind": kind, **settings}
                        entry = stats.correlate(x[there], error[there], **call)
                        partial = stats.partial_correlate(
                            x[there], error[there], area[there], **call
                        )
                        found.append(
                            {
                                "method": method,
                                "perturbation": name,
                                "split": split,
                                "change": change,
                                **entry._asdict(),
                                "partial": partial._asdict(),
                            }
                        )
    return found


def print_report(content: Mapping[str, Any]) -> None:
    """Pearson's correlations with their intervals, for both measures of change."""
    print(
        f"\n{content['episodes']} episodes of {content['tasks']} tasks, {content['frames']} frames"
        ". Mean ΔA: "
        + ", ".join(f"{name} {value:.2e}" for name, value in content["action_error"].items())
    )
    shown = [e for e in content["correlations"] if e["kind"] == "pearson"]
    for change in CHANGES:
        measure = "cosine" if change == "cosine" else "Pearson of the maps"
        print(f"\nPearson r of ΔA with 1 − {measure}; interval and p by task; partial given area")
        for one in (e for e in shown if e["change"] == change):
            low, high = one["bootstrap"]
            print(
                f"{one['split']:<8}{one['perturbation']:<11}{METHODS[one['method']]:<18}"
                f"{one['r']:>6.2f} [{low:>5.2f}, {high:>5.2f}]  p = {one['p_value']:<8.2g}"
                f"partial {one['partial']['r']:>5.2f}  n = {one['n']}"
            )


if __name__ == "__main__":
    app.run(main, "fidelity")
