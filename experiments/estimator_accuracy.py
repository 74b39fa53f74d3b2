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

The workdir receives `results.csv`, `bias.csv`, `results.json` and `figures/accuracy.png`; a run
that was stopped goes on. Runs are stored one by one: a longer reference (`reference_masks`) adds to
what is there, and another estimator needs no new run.
"""

import dataclasses
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import scipy.stats

import iss_jax
from experiments import accuracy_frames as frames, app
from experiments.accuracy_frames import Frame, Runs
from experiments.count_flops import count_flops
from experiments.nmr_correlation import located
from experiments.planned import GRADIENT_RUN, Episodes, PlannedItem
from experiments.policy import Policy, load_policy
from experiments.run_directory import open_run, run_items
from iss_jax import estimators, gradient_estimators
from iss_jax.data.lerobot import open_dataset
from iss_jax.masks import upsample
from iss_jax.stats import coefficient

METRICS = ("pearson", "spearman", "contrast_error", "overlap", "nmr_error")


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/estimator_accuracy.py`, which says what each means."""

    quiet: bool
    checkpoint: str
    dataset: str
    tokenizer: str
    max_token_len: int
    action_horizon: int
    frames: int
    keep_prob: float
    reference_masks: int
    part_masks: int
    candidates: tuple[tuple[str, str, int, int], ...]
    plain_runs: tuple[int, ...]
    surrogate_runs: int
    chunk: int
    gradient_chunk: int
    percent: float


@dataclasses.dataclass(frozen=True)
class Reference:
    """A converged map and how good it is.

    Attributes:
        scores: `centred` on all masks, [views, rows, columns].
        stderr: its standard error.
        reliability: share of the variance over cells that is not sampling noise.
        regions: labels of the frame.
    """

    scores: np.ndarray
    stderr: np.ndarray
    reliability: float
    regions: dict[str, jax.Array]


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the experiment; returns the rows of `results.csv`."""
    options = Options(**{key: value for key, value in config.to_dict().items() if key != "name"})
    if options.reference_masks % options.part_masks:
        raise ValueError(
            f"config.reference_masks must be a multiple of part_masks = {options.part_masks}, got "
            f"{options.reference_masks}"
        )
    run = open_run(workdir, config)
    policy = load_policy(located(options.checkpoint, "checkpoint"), tokenizer=options.tokenizer)
    dataset = open_dataset(located(options.dataset, "dataset"))
    bases = [
        frames.frame_item(
            dataset,
            policy,
            *chosen,
            max_token_len=options.max_token_len,
            action_horizon=options.action_horizon,
            keep_prob=options.keep_prob,
        )
        for chosen in frames.choose_frames(dataset, options.frames)
    ]

    def compute(item: Mapping[str, Any]) -> Any:
        frame = frames.read_frame(item, dataset, policy)
        if item["experiment"] == "accuracy_cost":
            return measure_cost(policy, frame, options)
        gradient = item["estimator"] == "gradient"
        chunk = options.gradient_chunk if gradient else options.chunk
        return frames.measure(item, frame, policy, chunk)

    items = [item for kind in work_items(options) for item in (base | kind for base in bases)]
    items.append(bases[0] | {"experiment": "accuracy_cost"})
    results = run_items(run, items, compute, description="runs", quiet=options.quiet)
    *runs, cost = results
    found = []
    for index, base in enumerate(bases):
        stored = [
            frames.stored_runs(item, result)
            for item, result in zip(
                items[index : -1 : len(bases)], runs[index :: len(bases)], strict=True
            )
        ]
        regions = frames.read_frame(base, dataset, policy).regions
        found.append(measure(options, stored, regions))
    rows = summarise(found, cost["flops"])
    bias = summarise_bias(found)
    run.write_csv("results.csv", rows)
    run.write_csv("bias.csv", bias)
    about = [base | {"reliability": f["reliability"]} for base, f in zip(bases, found, strict=True)]
    run.write_json("results.json", {"rows": rows, "bias": bias, "frames": about, "cost": cost})
    run.write_figure("accuracy.png", figure(rows))
    if not options.quiet:
        print_table(rows, bias, found, cost)
        print(f"\n{run.path / 'results.csv'}")
    return rows


def plan(config: ml_collections.ConfigDict, episodes: Episodes) -> list[PlannedItem]:
    """An item a kind of runs and frame: the candidates' and the reference's, without baselines."""
    del episodes
    options = Options(**{key: value for key, value in config.to_dict().items() if key != "name"})
    items = []
    for kind in work_items(options):
        price = GRADIENT_RUN if kind["estimator"] == "gradient" else 1.0
        runs = price * kind["runs"] * kind["repeats"]
        items += [PlannedItem("frames", 1, runs)] * options.frames
    return items


def work_items(options: Options) -> list[dict[str, Any]]:
    """Kinds of runs on each frame: the candidates' and, part by part, the reference's."""
    kinds = [
        {
            "experiment": "accuracy_runs",
            "use": "candidate",
            "estimator": estimator,
            "design": design,
            "runs": runs,
            "repeats": repeats,
        }
        for estimator, design, runs, repeats in options.candidates
    ]
    plain = {
        "experiment": "accuracy_runs",
        "estimator": "centred",
        "design": "bernoulli",
        "runs": options.part_masks,
        "repeats": 1,
    }
    parts = range(options.reference_masks // options.part_masks)
    reference = [plain | {"use": f"reference {part}"} for part in parts]
    return [*reference[:1], *kinds, *reference[1:]]


def measure(
    options: Options, stored: Sequence[Runs], regions: dict[str, jax.Array]
) -> dict[str, Any]:
    """One frame's candidates: a metric has one value a repeat; and their bias and spread."""
    kinds = work_items(options)
    of_reference = [s for s, kind in zip(stored, kinds, strict=True) if kind["use"] != "candidate"]
    reference = reference_map(of_reference, options.keep_prob, regions)
    candidates, bias = [], []
    for name, design, runs, plain, found in maps(options, kinds, stored):
        scale = np.sqrt(reference.reliability) if reference.reliability > 0 else np.nan
        values: dict[str, list[float]] = {metric: [] for metric in METRICS}
        for estimate in found:
            metrics = compared(np.asarray(estimate.scores), reference, options.percent)
            for metric in METRICS:
                corrected = scale if metric in ("pearson", "spearman") else 1.0
                values[metric].append(metrics[metric] / corrected)
        about = {"estimator": name, "design": design, "gradient_runs": runs, "plain_runs": plain}
        candidates.append(about | values)
        if len(found) > 1:
            bias.append(about | bias_and_spread(found, reference))
    return {"reliability": reference.reliability, "candidates": candidates, "bias": bias}


def reference_map(
    parts: Sequence[Runs], keep_prob: float, regions: dict[str, jax.Array]
) -> Reference:
    """`centred` on all parts together, and the agreement of its halves."""
    masks = jnp.concatenate([part.masks for part in parts])
    effects = jnp.concatenate([part.effects for part in parts])
    centred = functools.partial(estimators.estimate, keep_prob=keep_prob)
    half = len(masks) // 2
    halves = [
        np.asarray(centred(masks[rows], effects[rows]).scores).ravel()
        for rows in (slice(None, half), slice(half, None))
    ]
    agreement = coefficient(halves[0], halves[1])
    whole = centred(masks, effects)
    return Reference(
        np.asarray(whole.scores),
        np.asarray(whole.stderr),
        2 * agreement / (1 + agreement),
        regions,
    )


def maps(
    options: Options, kinds: Sequence[Mapping[str, Any]], stored: Sequence[Runs]
) -> Iterator[tuple[str, str, int, int, list[estimators.Estimate]]]:
    """(estimator, design, gradient runs, plain runs, the map of each repeat) of all candidates."""
    patterns: list[jax.Array] = []
    plain: list[Runs] = []
    for kind, all_runs in zip(kinds, stored, strict=True):
        if kind["use"] != "candidate":
            continue
        runs, repeats, design = kind["runs"], kind["repeats"], kind["design"]
        starts = [runs * repeat for repeat in range(repeats)]
        gradient = kind["estimator"] == "gradient"
        # The first of a repeat's i.i.d. masks are i.i.d. masks; balanced ones come as they are.
        budgets = [runs]
        if not gradient and design == "bernoulli":
            budgets = [n for n in options.plain_runs if n <= runs]
            plain = [all_runs.part(start, start + runs) for start in starts]
        for budget in budgets:
            parts = [all_runs.part(start, start + budget) for start in starts]
            names = gradient_estimators.ESTIMATORS if gradient else estimators.ESTIMATORS
            for name in names:
                found = [_estimate(part, name, design, options.keep_prob) for part in parts]
                if name == "clipped" and runs == options.surrogate_runs:
                    patterns = [
                        (one.scores - part.effects.mean()) / options.keep_prob
                        for one, part in zip(found, parts, strict=True)
                    ]
                yield name, design, budget * gradient, budget * (not gradient), found
    if patterns and plain:
        for budget in options.plain_runs:
            found = [
                estimators.estimate_with_surrogate(
                    part.masks[:budget],
                    part.effects[:budget],
                    patterns[index % len(patterns)],
                    keep_prob=options.keep_prob,
                )
                for index, part in enumerate(plain)
            ]
            yield "surrogate", "bernoulli", options.surrogate_runs, budget, found


def _estimate(runs: Runs, name: str, design: str, keep_prob: float) -> estimators.Estimate:
    options = {"estimator": name, "design": design, "keep_prob": keep_prob}
    if runs.gradients is None:
        return estimators.estimate(runs.masks, runs.effects, **options)
    return gradient_estimators.estimate_from_gradients(
        runs.masks, runs.effects, runs.gradients, **options
    )


def bias_and_spread(found: Sequence[estimators.Estimate], reference: Reference) -> dict[str, float]:
    """Squared, in units of the reference's variance over cells; contrasts only.

    The bias may come out negative by chance, as what is subtracted from it is estimated.
    """
    scores = np.array([one.scores for one in found], np.float64).reshape(len(found), -1)
    scores -= scores.mean(1, keepdims=True)
    wanted = reference.scores.astype(np.float64).ravel()
    wanted -= wanted.mean()
    noise = float(np.square(reference.stderr).mean())
    unit = max(float(wanted.var()) - noise, 1e-30)
    variance = float(scores.var(0, ddof=1).mean())
    error = float(np.square(scores.mean(0) - wanted).mean())
    claimed = np.square(np.array([one.stderr for one in found], np.float64)).mean()
    return {
        "bias": (error - variance / len(found) - noise) / unit,
        "variance": variance / unit,
        "claimed": float(claimed) / unit,
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
            call = functools.partial(iss_jax.saliency, noise=frame.noise, config=config)
            counts.append(count_flops(call, policy.params, frame.obs))
        flops[estimator] = counts[1] - counts[0]
    # The first calls compiled.
    seconds = {name: min(spent[1:]) for name, spent in times.items()}
    return {name: x["gradient"] / x["centred"] for name, x in (("flops", flops), ("time", seconds))}


def compared(scores: np.ndarray, reference: Reference, percent: float) -> dict[str, float]:
    """How close a map [views, gh, gw] is to the reference; see the module."""
    a, b = scores.ravel().astype(np.float64), reference.scores.ravel().astype(np.float64)
    top = max(1, round(0.1 * len(a)))
    best = [set(np.argsort(-x, kind="stable")[:top].tolist()) for x in (a, b)]
    nmr = [_nmr(x, reference.regions, percent) for x in (scores, reference.scores)]
    deviation = (a - a.mean()) - (b - b.mean())
    return {
        "pearson": coefficient(a, b),
        "spearman": coefficient(a, b, kind="spearman"),
        "contrast_error": float(deviation.std() / b.std()),
        "overlap": len(best[0] & best[1]) / top,
        "nmr_error": abs(nmr[0] - nmr[1]),
    }


def _nmr(scores: np.ndarray, regions: dict[str, jax.Array], percent: float) -> float:
    maps = {
        view: upsample(
            jnp.asarray(scores[None, i], jnp.float32), (labels.shape[1], labels.shape[2])
        )
        for i, (view, labels) in enumerate(regions.items())
    }
    return float(iss_jax.nuisance_mass_ratio(maps, regions, k=percent)[0])


def summarise(found: Sequence[Mapping[str, Any]], price: float) -> list[dict[str, Any]]:
    """A row a candidate: cost, and each metric's mean over frames with its 95 % t-interval."""
    rows = []
    for number, first in enumerate(found[0]["candidates"]):
        each = [one["candidates"][number] for one in found]
        row = {k: first[k] for k in ("estimator", "design", "gradient_runs", "plain_runs")}
        row["cost"] = round(price * row["gradient_runs"] + row["plain_runs"], 1)
        row["frames"] = len(each)
        for name in METRICS:
            values = np.array([np.nanmean(np.asarray(one[name], float)) for one in each])
            row[name] = float(values.mean())
            spread = scipy.stats.sem(values) if len(values) > 1 else np.nan
            reach = scipy.stats.t.ppf(0.975, max(len(values) - 1, 1)) * spread
            row[f"{name}_low"], row[f"{name}_high"] = row[name] - reach, row[name] + reach
        rows.append(row)
    return sorted(rows, key=lambda row: (row["estimator"], row["design"], row["cost"]))


def summarise_bias(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a candidate: medians over frames of squared bias, variance, and claimed variance."""
    rows = []
    for number, first in enumerate(found[0]["bias"]):
        each = [one["bias"][number] for one in found]
        row = {k: first[k] for k in ("estimator", "design", "gradient_runs", "plain_runs")}
        for name in ("bias", "variance", "claimed"):
            row[name] = float(np.median([one[name] for one in each]))
        row["frames_below"] = sum(one["bias"] < one["variance"] for one in each)
        rows.append(row)
    return sorted(rows, key=lambda row: (row["estimator"], row["design"], row["gradient_runs"]))


def print_table(
    rows: list[dict[str, Any]],
    bias: list[dict[str, Any]],
    found: Sequence[Mapping[str, Any]],
    cost: Mapping[str, float],
) -> None:
    """Prints the rows, and how good the reference is."""
    reliability = [one["reliability"] for one in found]
    print(f"\n{len(found)} frames")
    print(f"reference: reliability {np.mean(reliability):.3f}, at least {min(reliability):.3f}")
    print(f"a gradient run in plain ones: {cost['flops']:.2f} counted, {cost['time']:.2f} timed")
    print("\nruns: with gradients + plain")
    print(
        f"{'estimator':10}{'design':11}{'runs':>8}{'cost':>7}  Pearson [95 %]       Spearman"
        "  contrast error  overlap  NMR error"
    )
    for row in rows:
        interval = f"[{row['pearson_low']:.2f}, {row['pearson_high']:.2f}]"
        runs = f"{row['gradient_runs']}+{row['plain_runs']}"
        print(
            f"{row['estimator']:10}{row['design']:11}{runs:>8}{row['cost']:7.1f}"
            f"  {row['pearson']:5.2f} {interval:14} {row['spearman']:8.2f}"
            f"{row['contrast_error']:16.2f}{row['overlap']:9.2f}{row['nmr_error']:11.3f}"
        )
    print("\nsquared, over the variance of the map; medians over frames")
    print(
        f"{'estimator':10}{'design':11}{'runs':>8}   bias  variance  claimed  frames with less bias"
    )
    for row in bias:
        runs = f"{row['gradient_runs']}+{row['plain_runs']}"
        print(
            f"{row['estimator']:10}{row['design']:11}{runs:>8}{row['bias']:7.3f}"
            f"{row['variance']:10.3f}{row['claimed']:9.3f}{row['frames_below']:8d} of {len(found)}"
        )


def figure(rows: list[dict[str, Any]]) -> Any:
    """Pearson correlation with the converged map against cost."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7.5, 4), layout="constrained")
    axes = drawn.subplots()
    for kind in dict.fromkeys((row["estimator"], row["design"]) for row in rows):
        part = [row for row in rows if (row["estimator"], row["design"]) == kind]
        axes.errorbar(
            [row["cost"] for row in part],
            [row["pearson"] for row in part],
            yerr=[row["pearson_high"] - row["pearson"] for row in part],
            label=", ".join(kind),
            marker="o",
            markersize=3,
            linewidth=1,
        )
    axes.set(xlabel="cost, forward equivalents", ylabel="Pearson r with the converged map")
    axes.set(xscale="log", ylim=(0, 1))
    drawn.legend(loc="outside right upper", fontsize=7)
    return drawn


if __name__ == "__main__":
    app.run(main, "estimator_accuracy")
