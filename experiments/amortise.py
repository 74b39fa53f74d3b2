"""Can one pass predict a map? A head is taught, judged, and used as a control variate.

    python -m experiments.amortise --config=configs/amortise.py

A small head reads what the policy computes anyway and predicts the contrast of every cell
(`iss_jax.amortised`). It learns from many frames with a few masked runs on each, by a loss whose
minimum in expectation is the converged map (`experiments.amortising.targets`). It is judged on new
episodes of the tasks that it learnt from, and on new tasks: correlation with a map of very many
runs, beside the mean map of the frames learnt from and estimators of few runs; its cost; what says
when to distrust it; and what it is worth as control variate of plain runs. Beside it surrogates of
a frame's own runs (`experiments.amortising.surrogates`); every other frame chooses among them, the
others report.

The workdir receives `results.csv`, `checks.csv`, `frames.csv`, `results.json`, `head.npz` and
`figures/one_pass.png`. Runs are stored one by one, and a run that was stopped goes on.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from experiments.accuracy import frames
from experiments.amortising import items, judging, reading, report, samples, targets, teaching
from experiments.runs import app, versions
from experiments.runs.planned import GRADIENT_RUN, PlannedItem
from iss_jax.amortised import Head, contrasts_of_members, features_of, save_head
from iss_jax.data.dataset import Dataset, Episodes
from iss_jax.flops import count_flops
from iss_jax.jobs.directory import RunDirectory, open_run, run_items
from iss_jax.jobs.options import from_config
from iss_jax.pi05 import model
from iss_jax.pi05.observation import preprocess
from iss_jax.policies.restored import Policy
from iss_jax.stats.correlation import coefficient


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the experiment; returns the rows of `results.csv`."""
    options = from_config(config, items.Options)
    run = open_run(workdir, config, layout=versions.EPISODES, version=versions.MAPS)
    policy, dataset = options.load()
    known = taught_samples(run, policy, dataset, options)
    found = targets.targets(
        known.masks, known.effects, known.gradients, keep_prob=options.keep_prob, clip=options.clip
    )
    shown = teaching.folds_of(known.groups, options.members)
    taught = teaching.teach(
        known.features,
        found,
        shown,
        seed=options.seed,
        epochs=options.epochs,
        batch=options.batch,
        width=options.width,
        rate=options.rate,
        decay=options.decay,
        plain=options.plain,
        noise=options.feature_noise,
    )
    save_head(workdir / "head.npz", taught.head)
    mean_map = (found.wanted / found.scale[:, None])[::2].mean(0)
    judged = judged_frames(run, policy, dataset, options, taught.head, mean_map)
    cost = measured_cost(policy, judged[0][1], taught.head)
    rows, checked, about = [], [], []
    for number, (one, _) in enumerate(judged):
        facts = {
            "task": one.about["task"],
            "episode": one.about["episode"],
            "frame": one.about["frame"],
            "kind": one.about["kind"],
            "half": ("choice", "test")[number % 2],
        }
        budgets = {"plain": options.plain_budgets, "sloped": options.gradient_budgets}
        for row in judging.judge(one, options.keep_prob, budgets, options.repeats):
            each = {"none": 0.0, "plain": 1.0, "sloped": GRADIENT_RUN}[row["sort"]]
            head = cost["flops"] if "head" in row["method"] else 0.0
            rows.append(facts | row | {"cost": round(each * row["runs"] + head, 3)})
        checked += [facts | row for row in judging.checks(one, options.checks)]
        about.append(facts | {"scale": one.scale, "doubt": one.doubt})
    content = {
        "rows": report.summarised(rows),
        "checks": report.trusted(checked),
        "cost": cost,
        "samples": len(known.effects),
        "losses": taught.losses,
        "left_out": float(
            np.mean(
                [coefficient(*pair) for pair in zip(taught.left_out, found.wanted, strict=True)]
            )
        ),
        "frames": about,
    }
    run.write_csv("results.csv", content["rows"])
    run.write_csv("checks.csv", content["checks"])
    run.write_csv("frames.csv", rows)
    run.write_json("results.json", content)
    run.write_figure("one_pass.png", report.figure(content["rows"]))
    if not options.quiet:
        print("\n".join(report.lines(content)))
    return content["rows"]


def plan(config: ml_collections.ConfigDict, episodes: Episodes) -> list[PlannedItem]:
    """Samples to learn from, then runs on the frames that are judged."""
    options = from_config(config, items.Options)
    count = sum(
        episodes.metadata(index)["length"]
        for index in samples.split(episodes, options.held_out).learning
    )
    count = min(count, options.training_frames) or count
    each = options.variations * (1 + options.runs) * GRADIENT_RUN
    judged = options.plain_runs + options.reference_masks + GRADIENT_RUN * options.gradient_runs
    half = options.frames // 2
    return [PlannedItem("samples", options.variations, each)] * count + [
        PlannedItem("judged", 1, judged)
    ] * (2 * half)


def taught_samples(
    run: RunDirectory, policy: Policy, dataset: Dataset, options: items.Options
) -> reading.Samples:
    """What a head learns from, computed where it is not yet."""
    learning = samples.split(dataset, options.held_out).learning
    prompts = sorted({prompt for index in learning for prompt in dataset.prompts(index)})
    work = items.training_items(dataset, policy, options)
    results = run_items(
        run,
        work,
        lambda item: samples.measure(item, dataset, policy, prompts),
        description="samples",
        quiet=options.quiet,
    )
    return reading.read_samples(work, results, dataset, policy, prompts)


def judged_frames(
    run: RunDirectory,
    policy: Policy,
    dataset: Dataset,
    options: items.Options,
    head: Head,
    mean_map: np.ndarray,
) -> list[tuple[judging.Judged, frames.Frame]]:
    """The frames that are judged, each with its runs and what is predicted of it."""
    work = items.judged_items(dataset, policy, options)

    def compute(item: Any) -> Any:
        gradient = item["estimator"] == "gradient"
        chunk = options.gradient_chunk if gradient else options.chunk
        return frames.measure(item, frames.read_frame(item, dataset, policy), policy, chunk)

    # Kind by kind, so that a run that is stopped has all frames of some.
    by_kind = [
        run_items(run, kind, compute, description=kind[0]["use"], quiet=options.quiet)
        for kind in zip(*work, strict=True)
    ]
    found = []
    for own, results in zip(work, zip(*by_kind, strict=True), strict=True):
        plain, sloped, *parts = (
            frames.stored_runs(item, result) for item, result in zip(own, results, strict=True)
        )
        frame = frames.read_frame(own[0], dataset, policy)
        members = teaching.predicted(head, reading.features_of_frame(policy, frame))[:, 0]
        wanted, scale = judging.converged(parts, sloped, options.keep_prob)
        mean = members.mean(0).astype(np.float64)
        one = judging.Judged(
            own[0] | {"kind": _kind(own[0], dataset, options)},
            wanted,
            scale,
            plain,
            sloped,
            {"head": mean, "mean map": mean_map.astype(np.float64)},
            float(members.std(0, ddof=1).mean() / max(float(mean.std()), 1e-30)),
        )
        found.append((one, frame))
    return found


def _kind(item: dict[str, Any], dataset: Dataset, options: items.Options) -> str:
    parts = samples.split(dataset, options.held_out)
    return "new episode" if item["episode"] in parts.new_episodes else "new task"


def measured_cost(policy: Policy, frame: frames.Frame, head: Head) -> dict[str, float]:
    """What the head adds to the policy's pass: by FLOPs, and by the clock of whole calls."""
    obs = preprocess(frame.obs, policy.image_size)
    sampling = frame.sampling.resolved(model.compute_dtype(policy.params))

    def whole(params: Any, obs: Any, noise: jax.Array) -> Any:
        return features_of(params, obs, noise, sampling)

    features, _ = jax.jit(whole)(policy.params, obs, frame.noise)
    alone = count_flops(whole, policy.params, obs, frame.noise)
    added = count_flops(contrasts_of_members, head, features)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(head))
    calls: Sequence[Any] = (
        jax.jit(lambda: whole(policy.params, obs, frame.noise)[1]),
        jax.jit(lambda: contrasts_of_members(head, features)),
    )
    times = []
    for call in calls:
        call()
        spent = []
        for _ in range(20):
            start = time.perf_counter()
            jax.block_until_ready(call())
            spent.append(time.perf_counter() - start)
        times.append(float(np.median(spent)))
    return {
        "flops": float(added / alone),
        "time": times[1] / times[0],
        "parameters": int(parameters),
        "pass_flops": float(alone),
    }


if __name__ == "__main__":
    app.run(main, "amortise")
