"""How faithful is a map for what it costs? Mask designs and estimators against a converged map.

    python -m experiments.estimator_accuracy --config=configs/estimator_accuracy.py

For each frame, a reference map from very many plain i.i.d. masks (`centred`), and candidates: every
mask design with every estimator, of plain runs, of runs with gradients and of both, at several
numbers of runs. All share the frame's flow noise; no candidate shares a run with the reference. A
candidate is compared with the reference in cells of all views: Pearson and Spearman correlation,
both divided by the square root of the reference's reliability (its halves' correlation, stepped up
by Spearman-Brown); the error of the contrasts, in standard deviations of the reference over cells;
the overlap of the top tenth; the error of NMR@10. Bias and spread apart, in the same unit as the
error: the spread of repeats, and what is left of the error of their mean when the noise of the
repeats and of the reference is subtracted.

Cost is in forward equivalents: a plain run is one; a gradient run is the FLOPs of its program over
those of a plain one, counted (`count_flops`), with the measured ratio of their times beside it.

The workdir receives `results.csv`, `bias.csv`, `frames.csv` (what makes a frame easy or hard),
`results.json` and `figures/accuracy.png`; a run that was stopped goes on. Runs are stored one by
one: a longer reference (`reference_masks`) adds to what is there, and another estimator needs no
new run.
"""

import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

import iss_jax
from experiments.accuracy import first_order, frames
from experiments.accuracy.candidates import candidates
from experiments.accuracy.frames import Frame
from experiments.accuracy.metrics import (
    about_frame,
    agreement,
    bias_and_spread,
    reference_map,
    summarise,
    summarise_bias,
)
from experiments.accuracy.report import figure, print_table
from experiments.runs import app, versions
from experiments.runs.planned import GRADIENT_RUN, PlannedItem
from iss_jax.data.dataset import Episodes
from iss_jax.flops import count_flops
from iss_jax.jobs.directory import open_run, run_items
from iss_jax.jobs.options import from_config
from iss_jax.pi05.observation import VIEWS
from iss_jax.policies.restored import Policy


@dataclasses.dataclass(frozen=True)
class Options(frames.AccuracyOptions):
    """One attribute per key of `configs/estimator_accuracy.py`, which says what each means."""

    quiet: bool
    reference_masks: int
    part_masks: int
    candidates: tuple[tuple[str, str, int, int], ...]
    straight_points: tuple[int, ...]
    probes: tuple[int, ...]
    plain_runs: tuple[int, ...]
    gradient_runs: tuple[int, ...]
    most_repeats: int
    surrogate_runs: int
    chunk: int
    gradient_chunk: int
    percent: float


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the experiment; returns the rows of `results.csv`."""
    options = from_config(config, Options)
    if options.reference_masks % options.part_masks:
        raise ValueError(
            f"config.reference_masks must be a multiple of part_masks = {options.part_masks}, got "
            f"{options.reference_masks}"
        )
    run = open_run(workdir, config, layout=versions.EPISODES, version=versions.MAPS)
    policy, dataset = options.load()
    bases = [
        frames.frame_item(dataset, policy, *chosen, options)
        for chosen in frames.choose_frames(dataset, options.frames)
    ]

    def compute(item: Mapping[str, Any]) -> Any:
        frame = frames.read_frame(item, dataset, policy)
        if item["experiment"] == "accuracy_cost":
            return measure_cost(policy, frame, options)
        if item["experiment"] == "first_order_cost":
            return measure_first_order_cost(policy, frame)
        if item["experiment"] == "first_order":
            return first_order.measure(
                policy, frame, item["keep_prob"], item["points"], frames.GRID
            )
        gradient = item["estimator"] == "gradient"
        chunk = options.gradient_chunk if gradient else options.chunk
        return frames.measure(item, frame, policy, chunk)

    kinds = work_items(options)
    costs = [bases[0] | {"experiment": f"{kind}_cost"} for kind in ("accuracy", "first_order")]
    # Kind by kind, so that a run that is stopped has all frames of some.
    items = [base | kind for kind in kinds for base in bases]
    results = run_items(run, [*items, *costs], compute, description="runs", quiet=options.quiet)
    of_items, of_costs = results[: len(items)], results[len(items) :]
    cost = {name: times for result in of_costs for name, times in result.items()}
    found = []
    for index, base in enumerate(bases):
        mine = slice(index, None, len(bases))
        stored = [
            result if item["experiment"] == "first_order" else frames.stored_runs(item, result)
            for item, result in zip(items[mine], of_items[mine], strict=True)
        ]
        regions = frames.read_frame(base, dataset, policy).regions
        found.append(measure(options, stored, regions))
    rows = summarise(found, cost)
    bias = summarise_bias(found)
    about = [base | f["frame"] for base, f in zip(bases, found, strict=True)]
    run.write_csv("results.csv", rows)
    run.write_csv("bias.csv", bias)
    run.write_csv("frames.csv", about)
    run.write_json("results.json", {"rows": rows, "bias": bias, "frames": about, "cost": cost})
    run.write_figure("accuracy.png", figure(rows))
    if not options.quiet:
        print_table(rows, bias, found, cost)
        print(f"\n{run.path / 'results.csv'}")
    return rows


def plan(config: ml_collections.ConfigDict, episodes: Episodes) -> list[PlannedItem]:
    """An item a kind of runs and frame: the candidates' and the reference's, without baselines."""
    del episodes
    options = from_config(config, Options)
    # The Jacobian, a derivative forwards a cell, at two runs each (`first_order_cost` counts 1.24).
    clean = 2.0 * len(VIEWS) * frames.GRID[0] * frames.GRID[1]
    items = []
    for kind in work_items(options):
        if kind["experiment"] == "first_order":
            points = first_order.straight_points(options.keep_prob, options.straight_points)
            runs = GRADIENT_RUN * len(points) + clean
        else:
            price = GRADIENT_RUN if kind["estimator"] == "gradient" else 1.0
            runs = price * kind["runs"] * kind["repeats"]
        items += [PlannedItem("frames", 1, runs)] * options.frames
    return items


def work_items(options: Options) -> list[dict[str, Any]]:
    """Kinds of runs on each frame: the candidates' and, part by part, the reference's."""
    runs = {"experiment": "accuracy_runs"}
    kinds = [
        runs
        | {
            "use": "candidate",
            "estimator": estimator,
            "design": design,
            "runs": runs_each,
            "repeats": repeats,
        }
        for estimator, design, runs_each, repeats in options.candidates
    ]
    kinds.append(
        {
            "experiment": "first_order",
            "use": "candidate",
            "estimator": "first_order",
            "points": options.straight_points,
        }
    )
    plain = runs | {
        "estimator": "centred",
        "design": "bernoulli",
        "runs": options.part_masks,
        "repeats": 1,
    }
    parts = range(options.reference_masks // options.part_masks)
    reference = [plain | {"use": f"reference {part}"} for part in parts]
    return [*reference[:1], *kinds, *reference[1:]]


def measure(
    options: Options, stored: Sequence[Any], regions: dict[str, jax.Array]
) -> dict[str, Any]:
    """One frame's candidates: a metric has one value a repeat; their bias and spread; the frame."""
    kinds = work_items(options)
    parts = [one for one, kind in zip(stored, kinds, strict=True) if kind["use"] != "candidate"]
    reference = reference_map(parts, options.keep_prob, regions)
    found = list(candidates(options, kinds, stored))
    gradients = [
        one for one, kind in zip(stored, kinds, strict=True) if kind["estimator"] == "gradient"
    ]
    return {
        "frame": about_frame(parts, gradients, reference, options.keep_prob),
        "candidates": [
            one.about | agreement(one.maps, reference, options.percent) for one in found
        ],
        "bias": [
            one.about | bias_and_spread(one.maps, reference) for one in found if len(one.maps) > 1
        ],
    }


def measure_cost(policy: Policy, frame: Frame, options: Options) -> dict[str, float]:
    """A gradient run in plain ones: its FLOPs, and its time, side by side and warm."""
    masks = jnp.ones((options.gradient_chunk, 3, *frames.GRID), bool).at[:, :, ::2].set(False)
    times: dict[str, list[float]] = {"gradient": [], "centred": []}
    for _ in range(4):
        for estimator, spent in times.items():
            start = time.perf_counter()
            frames.run(policy, frame, options.keep_prob, estimator, masks, len(masks))
            spent.append(time.perf_counter() - start)
    flops = {}
    for estimator in times:
        # The difference of two lengths, so that the baseline's run is not counted in.
        counts = []
        for runs in (7, 15):
            config = iss_jax.ISSConfig(
                num_masks=runs, design="bernoulli", estimator=estimator, micro_batch=8
            )
            call = functools.partial(
                iss_jax.saliency, noise=frame.noise, config=config, sampling=frame.sampling
            )
            counts.append(count_flops(call, policy.params, frame.obs))
        flops[estimator] = counts[1] - counts[0]
    # The first calls compiled.
    seconds = {name: min(spent[1:]) for name, spent in times.items()}
    return {name: x["gradient"] / x["centred"] for name, x in (("flops", flops), ("time", seconds))}


def measure_first_order_cost(policy: Policy, frame: Frame) -> dict[str, float]:
    """Scores at the clean frame in plain runs, by FLOPs."""
    shape = (len(VIEWS), *frames.GRID)
    arguments = (policy.params, frame.obs, frame.noise)
    plain = count_flops(first_order.masked_actions, *arguments, jnp.ones((1, *shape)))
    scores = {
        "jacobian_norm": first_order.jacobian,
        "gauss_newton": first_order.drop_all_and_back,
    }
    return {
        name: count_flops(functools.partial(score, shape=shape), *arguments) / plain
        for name, score in scores.items()
    }


if __name__ == "__main__":
    app.run(main, "estimator_accuracy")
