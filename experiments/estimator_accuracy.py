"""How faithful is a map for what it costs? Mask designs and estimators against a converged map.

    python -m experiments.estimator_accuracy --config=configs/estimator_accuracy.py

For each frame, a reference map from very many plain i.i.d. masks (`centred`), and candidates: every
mask design with every estimator of plain runs, and with gradients, at several numbers of runs. All
share the frame's flow noise. A candidate is compared with the reference in cells of all views:
Pearson and Spearman correlation, both divided by the square root of the reference's reliability
(its halves' correlation, stepped up by Spearman-Brown); the error of the contrasts, in standard
deviations of the reference over cells; the overlap of the top tenth; the error of NMR@10.

Cost is in forward equivalents: a plain run is one; a gradient run is the FLOPs of its program over
those of a plain one, counted (`count_flops`), with the measured ratio of their times beside it.

The workdir receives `results.csv`, `results.json` and `figures/accuracy.png`; a run that was
stopped goes on.
"""

import dataclasses
import functools
import hashlib
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import scipy.stats

import iss_jax
from experiments import app
from experiments.count_flops import count_flops
from experiments.nmr_correlation import located
from experiments.planned import GRADIENT_RUN, Episodes, PlannedItem
from experiments.policy import Policy, load_policy
from experiments.run_directory import open_run, run_items
from iss_jax import estimators
from iss_jax.data.lerobot import LeRobotDataset, open_dataset
from iss_jax.data.regions import fit_regions
from iss_jax.masks import DESIGNS, sample_masks, upsample
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.observation import VIEWS
from iss_jax.pi05.params import sizes_of
from iss_jax.stats import coefficient

CAMERAS = {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist", "right_wrist_0_rgb": "overhead"}
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
    plain_runs: tuple[int, ...]
    gradient_runs: tuple[int, ...]
    repeats: int
    chunk: int
    gradient_chunk: int
    percent: float


@dataclasses.dataclass(frozen=True)
class Frame:
    """One observation, the flow noise that all its runs share, and its region labels."""

    obs: Any
    noise: jax.Array
    regions: dict[str, jax.Array]


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the experiment; returns the rows of `results.csv`."""
    options = Options(**{key: value for key, value in config.to_dict().items() if key != "name"})
    run = open_run(workdir, config)
    policy = load_policy(located(options.checkpoint, "checkpoint"), tokenizer=options.tokenizer)
    dataset = open_dataset(located(options.dataset, "dataset"))
    items = work_items(options, dataset, policy)
    results = run_items(
        run,
        items,
        lambda item: measure(item, options, read_frame(item, options, dataset, policy), policy),
        description="frames",
        quiet=options.quiet,
    )
    rows = summarise(results)
    run.write_csv("results.csv", rows)
    run.write_json("results.json", {"rows": rows, "frames": results})
    run.write_figure("accuracy.png", figure(rows))
    if not options.quiet:
        print_table(rows, results)
        print(f"\n{run.path / 'results.csv'}")
    return rows


def plan(config: ml_collections.ConfigDict, episodes: Episodes) -> list[PlannedItem]:
    """An item a frame: the reference and every candidate, a baseline a chunk left out."""
    del episodes
    options = Options(**{key: value for key, value in config.to_dict().items() if key != "name"})
    candidates = sum(options.plain_runs) + GRADIENT_RUN * sum(options.gradient_runs)
    runs = options.reference_masks + len(DESIGNS) * options.repeats * candidates
    return [PlannedItem("frames", 1, runs)] * options.frames


def work_items(options: Options, dataset: LeRobotDataset, policy: Policy) -> list[dict[str, Any]]:
    """One item a frame: episodes of the tasks in turn, a third and two thirds into each."""
    episodes: dict[str, list[int]] = {}
    for index in range(len(dataset)):
        episodes.setdefault(dataset.metadata(index)["task"], []).append(index)
    left_out = ("quiet", "frames", "tokenizer", "dataset")
    common = {k: v for k, v in dataclasses.asdict(options).items() if k not in left_out}
    items = []
    for number in range(options.frames):
        tasks = list(episodes)
        task = tasks[number % len(tasks)]
        lap = number // len(tasks) + number % len(tasks)
        episode = episodes[task][lap % len(episodes[task])]
        length = dataset.metadata(episode)["length"]
        frame = length * (1 + number // len(tasks) % 2) // 3
        items.append(
            {
                **common,
                "experiment": "estimator_accuracy",
                "checkpoint": policy.fingerprint,
                "data": hashlib.sha256(dataset.data_path(episode).read_bytes()).hexdigest()[:16],
                "task": task,
                "episode": episode,
                "frame": frame,
            }
        )
    return items


def read_frame(
    item: Mapping[str, Any], options: Options, dataset: LeRobotDataset, policy: Policy
) -> Frame:
    """The item's observation with noise of its own."""
    episode = dataset.read(item["episode"], [item["frame"]])
    obs = make_observation(
        {camera: episode.images[camera] for camera in CAMERAS.values()},
        episode.state,
        [episode.prompt],
        tokenizer=policy.tokenizer,
        norm_stats=policy.norm_stats,
        max_token_len=options.max_token_len,
        cameras=CAMERAS,
    )
    dims = sizes_of(policy.params).action_dim
    noise = jax.random.normal(_key(item, "noise"), (1, options.action_horizon, dims))
    regions = {
        view: jnp.asarray(
            fit_regions(episode.regions[camera], policy.image_size, policy.image_size)[0]
        )
        for view, camera in CAMERAS.items()
    }
    return Frame(obs, noise, regions)


def _key(item: Mapping[str, Any], use: str) -> jax.Array:
    name = f"{item['task']}/{item['episode']}/{item['frame']}/{use}"
    return jax.random.key(zlib.crc32(name.encode()))


def measure(
    item: Mapping[str, Any], options: Options, frame: Frame, policy: Policy
) -> dict[str, Any]:
    """Every candidate's agreement with the frame's reference, a list a metric (one a repeat)."""
    plain = functools.partial(_runs, policy, frame, options, "centred", options.chunk)
    slopes = functools.partial(_runs, policy, frame, options, "gradient", options.gradient_chunk)
    draw = functools.partial(
        sample_masks, num_views=len(VIEWS), grid=(7, 7), keep_prob=options.keep_prob
    )

    masks = draw(_key(item, "reference"), options.reference_masks, design="bernoulli")
    start = time.perf_counter()
    effects, _ = plain(masks)
    plain_seconds = (time.perf_counter() - start) / len(masks)
    half = len(masks) // 2
    centred = functools.partial(estimators.estimate, keep_prob=options.keep_prob)
    first, second = (
        np.asarray(centred(masks[part], effects[part]).scores).ravel()
        for part in (slice(None, half), slice(half, None))
    )
    reference = np.asarray(centred(masks, effects).scores)
    agreement = float(np.corrcoef(first, second)[0, 1])
    reliability = 2 * agreement / (1 + agreement)
    compare = functools.partial(
        compared, reference=reference, regions=frame.regions, percent=options.percent
    )

    def correct(metrics: dict[str, float]) -> dict[str, float]:
        scale = np.sqrt(reliability) if reliability > 0 else np.nan
        return {k: v / scale if k in ("pearson", "spearman") else v for k, v in metrics.items()}

    candidates = []
    for design, runs, masks in _designs(item, options.plain_runs, options, draw, "plain"):
        effects, _ = plain(masks)
        for estimator in estimators.ESTIMATORS:
            found = [
                centred(masks[part], effects[part], estimator=estimator, design=design)
                for part in _parts(runs, options.repeats)
            ]
            metrics = [correct(compare(np.asarray(one.scores))) for one in found]
            candidates.append(_candidate(design, estimator, runs, metrics))
    gradient_seconds = []
    for design, runs, masks in _designs(item, options.gradient_runs, options, draw, "gradient"):
        start = time.perf_counter()
        effects, gradients = slopes(masks)
        assert gradients is not None
        gradient_seconds.append((time.perf_counter() - start) / len(masks))
        found = [
            estimators.estimate_from_gradients(
                masks[part],
                effects[part],
                gradients[part],
                design=design,
                keep_prob=options.keep_prob,
            )
            for part in _parts(runs, options.repeats)
        ]
        metrics = [correct(compare(np.asarray(one.scores))) for one in found]
        candidates.append(_candidate(design, "gradient", runs, metrics))
    return {
        "reliability": reliability,
        "candidates": candidates,
        "gradient_flops": _gradient_flops(policy, frame, options),
        # The first call compiled.
        "gradient_time": float(np.median(gradient_seconds[1:] or gradient_seconds)) / plain_seconds,
    }


def _designs(
    item: Mapping[str, Any], budgets: tuple[int, ...], options: Options, draw: Any, use: str
) -> Iterator[tuple[str, int, jax.Array]]:
    """(design, runs, the masks of all repeats, one repeat after the other)."""
    for design in DESIGNS:
        for runs in budgets:
            keys = jax.random.split(_key(item, f"{use}/{design}/{runs}"), options.repeats)
            parts = [draw(key, runs, design=design) for key in keys]
            yield design, runs, jnp.concatenate(parts)


def _parts(runs: int, repeats: int) -> list[slice]:
    return [slice(runs * i, runs * (i + 1)) for i in range(repeats)]


def _runs(
    policy: Policy, frame: Frame, options: Options, estimator: str, chunk: int, masks: jax.Array
) -> tuple[jax.Array, jax.Array | None]:
    """Effects of masks, and their gradients if the estimator is `gradient`; `chunk` at a time."""
    fill = jnp.ones((-len(masks) % chunk, *masks.shape[1:]), bool)
    effects, gradients = [], []
    for part in jnp.split(jnp.concatenate([masks, fill]), (len(masks) + len(fill)) // chunk):
        found = iss_jax.saliency(
            policy.params,
            frame.obs,
            noise=frame.noise,
            masks=part,
            config=_config(options, estimator, chunk),
        )
        effects.append(found.effects[0])
        if found.gradients is not None:
            gradients.append(found.gradients[0])
    joined = jnp.concatenate(gradients)[: len(masks)] if gradients else None
    return jnp.concatenate(effects)[: len(masks)], joined


def _config(options: Options, estimator: str, num_masks: int) -> iss_jax.ISSConfig:
    return iss_jax.ISSConfig(
        num_masks=num_masks,
        keep_prob=options.keep_prob,
        estimator=estimator,
        design="bernoulli",
    )


def _gradient_flops(policy: Policy, frame: Frame, options: Options) -> float:
    """FLOPs of runs with gradients over those of as many plain ones, both with their baseline."""
    found = []
    for estimator in ("gradient", "centred"):
        config = dataclasses.replace(_config(options, estimator, 7), micro_batch=8)
        call = functools.partial(iss_jax.saliency, noise=frame.noise, config=config)
        found.append(count_flops(call, policy.params, frame.obs))
    return found[0] / found[1]


def compared(
    scores: np.ndarray, *, reference: np.ndarray, regions: dict[str, jax.Array], percent: float
) -> dict[str, float]:
    """How close a map is to the reference, both [views, gh, gw]; see the module."""
    a, b = scores.ravel().astype(np.float64), reference.ravel().astype(np.float64)
    top = max(1, round(0.1 * len(a)))
    best = [set(np.argsort(-x, kind="stable")[:top].tolist()) for x in (a, b)]
    nmr = [_nmr(x, regions, percent) for x in (scores, reference)]
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


def _candidate(
    design: str, estimator: str, runs: int, metrics: list[dict[str, float]]
) -> dict[str, Any]:
    values = {name: [one[name] for one in metrics] for name in METRICS}
    return {"design": design, "estimator": estimator, "runs": runs, **values}


def summarise(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a candidate: cost, and each metric's mean over frames with its 95 % t-interval."""
    price = float(np.mean([result["gradient_flops"] for result in results]))
    rows = []
    for number, first in enumerate(results[0]["candidates"]):
        each = [result["candidates"][number] for result in results]
        runs, gradient = first["runs"], first["estimator"] == "gradient"
        row: dict[str, Any] = {
            "design": first["design"],
            "estimator": first["estimator"],
            "runs": runs,
            "cost": round(runs * price if gradient else runs, 1),
        }
        for name in METRICS:
            values = np.array([np.nanmean(np.asarray(one[name], float)) for one in each])
            row[name] = float(values.mean())
            spread = scipy.stats.sem(values) if len(values) > 1 else np.nan
            reach = scipy.stats.t.ppf(0.975, max(len(values) - 1, 1)) * spread
            row[f"{name}_low"], row[f"{name}_high"] = row[name] - reach, row[name] + reach
        rows.append(row)
    return sorted(rows, key=lambda row: (row["estimator"], row["design"], row["runs"]))


def print_table(rows: list[dict[str, Any]], results: list[dict[str, Any]]) -> None:
    """Prints the rows, and how good the reference is."""
    reliability = [result["reliability"] for result in results]
    flops, seconds = (
        np.mean([result[f"gradient_{name}"] for result in results]) for name in ("flops", "time")
    )
    print(f"\n{len(results)} frames")
    print(f"reference: reliability {np.mean(reliability):.3f}, at least {min(reliability):.3f}")
    print(f"a gradient run in plain ones: {flops:.2f} counted, {seconds:.2f} timed")
    print(
        f"\n{'estimator':10}{'design':11}{'runs':>5}{'cost':>7}  Pearson [95 %]       Spearman",
        end="",
    )
    print("  contrast error  overlap  NMR error")
    for row in rows:
        interval = f"[{row['pearson_low']:.2f}, {row['pearson_high']:.2f}]"
        print(
            f"{row['estimator']:10}{row['design']:11}{row['runs']:5d}{row['cost']:7.1f}"
            f"  {row['pearson']:5.2f} {interval:14} {row['spearman']:8.2f}"
            f"{row['contrast_error']:16.2f}{row['overlap']:9.2f}{row['nmr_error']:11.3f}"
        )


def figure(rows: list[dict[str, Any]]) -> Any:
    """Pearson correlation with the converged map against cost."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(6, 4), layout="constrained")
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
    axes.legend(fontsize=7)
    return drawn


if __name__ == "__main__":
    app.run(main, "estimator_accuracy")
