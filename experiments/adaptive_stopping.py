"""Masks until a standard error is small enough, against as many for every frame.

    python -m experiments.adaptive_stopping --config=configs/adaptive_stopping.py

On frames of the embedded rollouts `iss_jax.saliency_until` runs to its cap, twice over with other
masks and the same flow noise. Its rounds tell where it would have stopped at each target: what is
run after a stop is never seen before it. Compared are the two maps of a frame,

- both ended by the rule, each by its own runs; they should correlate at 1 / (1 + target^2);
- both of as many rounds as the rule took on average over frames: the same total cost.

What stopping does to a map's honesty is measured by resampling: streams of rounds drawn from those
of a frame (plain masks, whose maps are means over rounds), each ended by the rule; the mean squared
error of their contrasts over the one claimed, and the bias of their mean score in its standard
errors.

The workdir receives `results.csv`, `frames.csv` and `results.json`; a stopped run goes on.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import Float

import iss_jax
from experiments.accuracy import frames
from experiments.runs import app, versions
from iss_jax.adaptive import LEAST_ROUNDS, contrast_error
from iss_jax.jobs.directory import open_run, run_items
from iss_jax.jobs.options import from_config
from iss_jax.masked_runs import cell_scores
from iss_jax.pi05.observation import VIEWS
from iss_jax.policies.restored import Policy
from iss_jax.results import MaskRuns
from iss_jax.stats.correlation import coefficient

REPLICATES = 2


@dataclasses.dataclass(frozen=True)
class Options(frames.AccuracyOptions):
    """One attribute per key of `configs/adaptive_stopping.py`, which says what each means."""

    estimators: tuple[tuple[str, int, int, tuple[float, ...]], ...]
    streams: int
    quiet: bool


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the experiment; returns the rows of `results.csv`."""
    options = from_config(config, Options)
    run = open_run(workdir, config, layout=versions.EPISODES, version=versions.MAPS)
    policy, dataset = options.load()
    items = []
    for episode, frame in frames.choose_frames(dataset, options.frames):
        base = frames.frame_item(dataset, policy, episode, frame, options)
        for estimator, size, most, _ in options.estimators:
            about = {"estimator": estimator, "size": size, "rounds": most // size}
            about |= {"experiment": "adaptive_stopping"}
            items += [base | about | {"replicate": number} for number in range(REPLICATES)]
    found = run_items(
        run,
        items,
        lambda item: measure(item, frames.read_frame(item, dataset, policy), policy),
        description="frames",
        quiet=options.quiet,
    )
    rows, each = [], []
    for estimator, size, most, targets in options.estimators:
        pairs: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for item, result in zip(items, found, strict=True):
            if item["estimator"] == estimator and item["rounds"] == most // size:
                arrays = {name: np.asarray(value) for name, value in result.items()}
                pairs.setdefault((item["episode"], item["frame"]), []).append(arrays)
        for target in targets:
            row, per_frame = compare(list(pairs.values()), target, size)
            about = {"estimator": estimator, "target": target}
            resampled = (
                [honesty(pair, target, options.streams) for pair in pairs.values()]
                if estimator == "centred"
                else []
            )
            for name in ("error_over_claimed", "score_bias"):
                values = [one[name] for one in resampled]
                row[f"{name}_median"] = float(np.median(values)) if values else np.nan
                row[f"{name}_worst"] = float(max(values, key=abs)) if values else np.nan
            rows.append(about | row)
            each += [
                about | {"episode": key[0], "frame": key[1]} | one
                for key, one in zip(pairs, per_frame, strict=True)
            ]
    run.write_csv("results.csv", rows)
    run.write_csv("frames.csv", each)
    run.write_json("results.json", rows)
    if not options.quiet:
        print_table(rows)
        print(f"\n{run.path / 'results.csv'}")
    return rows


def measure(item: Mapping[str, Any], frame: frames.Frame, policy: Policy) -> dict[str, Any]:
    """Cells of every round, and of the map from all rounds up to each."""
    config = iss_jax.ISSConfig(
        num_masks=item["size"], keep_prob=item["keep_prob"], estimator=item["estimator"]
    )
    found = iss_jax.saliency_until(
        policy.params,
        frame.obs,
        target_stderr=1e-6,
        most_masks=item["size"] * item["rounds"],
        key=frames.item_key(item, f"adaptive/{item['replicate']}"),
        noise=frame.noise,
        config=config,
        sampling=frame.sampling,
    )
    runs, masks = MaskRuns(found.saliency.effects, found.saliency.gradients), found.saliency.masks
    together = []
    for stop in range(LEAST_ROUNDS, item["rounds"] + 1):
        some = slice(0, stop * item["size"])
        part = jax.tree.map(lambda leaf, some=some: leaf[:, some], runs)
        active = jnp.ones((1, *masks.shape[1:]), bool)
        together.append(np.asarray(cell_scores(masks[some], part, active, config).scores[0]))
    return {"rounds": found.rounds[:, 0], "together": np.stack(together)}


def stopped(rounds: Float[np.ndarray, "r views gh gw"], target: float) -> tuple[int, bool, float]:
    """Rounds that the rule takes, whether they reached the target, and their relative error."""
    active = np.ones((len(VIEWS), *rounds.shape[2:]), bool)
    relative = np.inf
    for count in range(LEAST_ROUNDS, len(rounds) + 1):
        error, spread = contrast_error(rounds[:count], active)
        relative = float(error / spread) if spread > 0.0 else np.inf
        if relative <= target:
            return count, True, relative
    return len(rounds), False, relative


def compare(
    pairs: Sequence[Sequence[Mapping[str, np.ndarray]]], target: float, size: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Masks and agreement of the two maps, by the rule and with as many for every frame."""
    stops = [[stopped(one["rounds"], target) for one in pair] for pair in pairs]
    mean = np.mean([[count for count, _, _ in stop] for stop in stops])
    alike = max(LEAST_ROUNDS, round(float(mean)))

    def agreement(pair: Sequence[Mapping[str, np.ndarray]], counts: Sequence[int]) -> float:
        a, b = (
            one["together"][n - LEAST_ROUNDS].ravel() for one, n in zip(pair, counts, strict=True)
        )
        return float(coefficient(a, b))

    per_frame = [
        {
            "masks": size * float(np.mean([count for count, _, _ in stop])),
            "reached": all(reached for _, reached, _ in stop),
            "agreement": agreement(pair, [count for count, _, _ in stop]),
            "agreement_fixed": agreement(pair, [alike] * REPLICATES),
        }
        for pair, stop in zip(pairs, stops, strict=True)
    ]
    masks = np.array([one["masks"] for one in per_frame])
    row: dict[str, Any] = {
        "frames": len(per_frame),
        "reached": sum(one["reached"] for one in per_frame),
        "masks_mean": size * float(mean),
        "masks_fixed": size * alike,
        "masks_least": masks.min(),
        "masks_most": masks.max(),
        "expected": 1.0 / (1.0 + target**2),
    }
    for name in ("agreement", "agreement_fixed"):
        values = np.array([one[name] for one in per_frame])
        row |= {name: values.mean(), f"{name}_least": values.min()}
        row[f"{name}_spread"] = values.std(ddof=1) if len(values) > 1 else np.nan
    return row, per_frame


def honesty(
    pair: Sequence[Mapping[str, np.ndarray]], target: float, streams: int
) -> dict[str, float]:
    """What stopping does to the error and to the mean score, by resampling a frame's rounds."""
    pool = np.concatenate([one["rounds"] for one in pair]).astype(np.float64)
    centre = pool.mean(0)
    most, rng = len(pool) // REPLICATES, np.random.default_rng(0)
    squares, claimed, shifts, counts = [], [], [], []
    for _ in range(streams):
        rounds = pool[rng.integers(0, len(pool), most)]
        count, reached, _ = stopped(rounds, target)
        if not reached:
            continue
        away = rounds[:count].mean(0) - centre
        squares.append(np.square(away - away.mean()).mean())
        claimed.append(contrast_error(rounds[:count], np.ones(away.shape, bool))[0] ** 2)
        shifts.append(away.mean())
        counts.append(count)
    if not counts:
        return {"error_over_claimed": np.nan, "score_bias": np.nan}
    one_error = pool.mean((1, 2, 3)).std(ddof=1) / np.sqrt(np.mean(counts))
    return {
        "error_over_claimed": float(np.mean(squares) / np.mean(claimed)),
        "score_bias": float(np.mean(shifts) / one_error),
    }


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints the rows."""
    print(
        f"\n{'estimator':10}{'target':>7}{'reached':>9}{'masks':>7} [least, most]     expected r"
        "   r by the rule (spread, least)   r, fixed N    error²/claimed   bias of score"
    )
    for row in rows:
        print(
            f"{row['estimator']:10}{row['target']:7.2f}{row['reached']:6d}/{row['frames']}"
            f"{row['masks_mean']:7.0f} [{row['masks_least']:5.0f}, {row['masks_most']:5.0f}]"
            f"{row['expected']:13.2f}"
            f"{row['agreement']:13.2f} ({row['agreement_spread']:.2f}, "
            f"{row['agreement_least']:5.2f})"
            f"{row['agreement_fixed']:12.2f} ({row['agreement_fixed_spread']:.2f}, "
            f"{row['agreement_fixed_least']:5.2f})"
            f"{row['error_over_claimed_median']:8.2f} ({row['error_over_claimed_worst']:.2f})"
            f"{row['score_bias_median']:8.2f} ({row['score_bias_worst']:.2f})"
        )


if __name__ == "__main__":
    app.run(main, "adaptive_stopping")
