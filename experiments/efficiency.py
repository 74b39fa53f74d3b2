r"""What a map of N masks costs: the paper's Table 2, with the floor beside.

    python -m experiments.efficiency --config=configs/efficiency.py

Latency, rate and slowdown of `iss_jax.saliency` for every number of masks N and keep probability p:
the whole call, masks drawn included, one observation, its result waited for. Everything is compiled
first and then timed in turn, so that what else the machine does falls on all alike; the table gives
medians, and first calls apart.

The slowdown is against a single inference as openpi runs it: the compiled policy at batch one on
its padded prompt, nothing left out. Beside it stands that against a single inference with this
package's exact savings, which is what N + 1 runs would cost if batching gained nothing. The floor
counts the FLOPs of the runs by hand (`iss_jax.pi05.flops`): as a slowdown, in FLOPs of a single
inference, and in seconds at the peak that one matrix product reaches on the machine.

The workdir receives `results.csv`, `results.json`, `table.txt` and `figures/efficiency.png`.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

import iss_jax
from experiments.runs import app
from experiments.timing.calls import saliency_call
from experiments.timing.clock import Seconds, matmul_peak, timed
from experiments.timing.subject import Subject, SubjectOptions, make_subject
from iss_jax.data.atomic import write_bytes
from iss_jax.jobs.directory import open_run
from iss_jax.pi05 import flops
from iss_jax.pi05.model import sample_actions
from iss_jax.pi05.observation import preprocess
from iss_jax.pi05.prepare import policy_observation

SINGLE, SAVING = "single inference", "single inference, exact savings"
PAPER_SLOWDOWN = {50: 33.0, 100: 65.8, 150: 98.8, 200: 131.8}
"""Table 2 at p = 0.3: N -> latency in single inferences of 0.079 s."""


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/efficiency.py`, which says what each means."""

    subject: SubjectOptions
    num_masks: tuple[int, ...]
    keep_probs: tuple[float, ...]
    iss: dict[str, str]
    micro_batch: int
    peak_size: int
    repeats: int
    quiet: bool


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the measurement; returns the rows of `results.csv`."""
    content: dict[str, Any] = {k: v for k, v in config.to_dict().items() if k != "name"}
    content["subject"] = SubjectOptions(**content["subject"])
    options = Options(**content)
    run = open_run(workdir, config)
    subject = make_subject(options.subject)
    peak = matmul_peak(options.peak_size, options.subject.dtype)
    seconds = timed(calls(subject, options), options.repeats)
    rows = table(options, run_flops(subject), seconds, peak)
    run.write_csv("results.csv", rows)
    run.write_json("results.json", {"rows": rows, "matmul_peak": peak})
    text = table_text(rows, peak)
    write_bytes(run.path / "table.txt", text.encode())
    run.write_figure("efficiency.png", figure(rows))
    if not options.quiet:
        print(f"\n{text}\n{run.path / 'results.csv'}")
    return rows


def calls(subject: Subject, options: Options) -> dict[str, Callable[[], Any]]:
    """Name -> what is timed: two single inferences, and a map for each N and p."""
    size = subject.sizes.image.image_size
    padded = preprocess(subject.obs, size)
    trimmed = preprocess(policy_observation(subject.obs, subject.sizes.vocab), size)
    plain = jax.jit(
        partial(sample_actions, sampling=iss_jax.Sampling(savings=iss_jax.Savings.none()))
    )
    found: dict[str, Callable[[], Any]] = {
        SINGLE: partial(plain, subject.params, padded, subject.noise),
        SAVING: partial(jax.jit(sample_actions), subject.params, trimmed, subject.noise),
    }
    for num_masks in options.num_masks:
        for keep_prob in options.keep_probs:
            chosen = {"num_masks": num_masks, "keep_prob": keep_prob, **options.iss}
            call = saliency_call(subject, iss_jax.Savings(), chosen, options.micro_batch)
            found[_name(num_masks, keep_prob)] = partial(call, subject.params)
    return found


def _name(num_masks: int, keep_prob: float) -> str:
    return f"N = {num_masks}, p = {keep_prob:g}"


def run_flops(subject: Subject) -> dict[str, float]:
    """FLOPs of a single inference of openpi's, and of one run of a map."""
    shape: dict[str, Any] = {
        "valid_tokens": subject.valid_tokens,
        "prompt_length": subject.prompt_length,
        "present_views": subject.present_views,
        "action_horizon": subject.noise.shape[1],
    }
    plain = flops.masked_copy_flops(subject.sizes, iss_jax.Savings.none(), rows=1, **shape)
    return {
        "single": plain.total,
        "saving": flops.masked_copy_flops(subject.sizes, rows=1, **shape).total,
        "run": flops.masked_copy_flops(subject.sizes, **shape).total,
    }


def table(
    options: Options, counted: Mapping[str, float], seconds: Mapping[str, Seconds], peak: float
) -> list[dict[str, Any]]:
    """A row for each single inference, and for each N and p."""

    def row(name: str, num_masks: int, keep_prob: float, flop: float) -> dict[str, Any]:
        taken = seconds[name]
        return {
            "name": name,
            "num_masks": num_masks,
            "keep_prob": keep_prob,
            "first_seconds": taken.first,
            "seconds": taken.warm,
            "hz": 1.0 / taken.warm,
            "slowdown": taken.warm / seconds[SINGLE].warm,
            "slowdown_of_savings": taken.warm / seconds[SAVING].warm,
            "floor_slowdown": flop / counted["single"],
            "paper_slowdown": PAPER_SLOWDOWN.get(num_masks, float("nan")),
            "tflop": flop / 1e12,
            "floor_seconds": flop / peak,
            "over_floor": taken.warm * peak / flop,
        }

    rows = [
        row(SINGLE, 0, float("nan"), counted["single"]),
        row(SAVING, 0, float("nan"), counted["saving"]),
    ]
    for num_masks in options.num_masks:
        for keep_prob in options.keep_probs:
            flop = (num_masks + 1) * counted["run"]
            rows.append(row(_name(num_masks, keep_prob), num_masks, keep_prob, flop))
    return rows


def table_text(rows: Sequence[Mapping[str, Any]], peak: float) -> str:
    """Table 2, and beside it first calls and the floor."""
    lines = [
        f"matrix-product peak, measured: {peak / 1e12:.3g} TFLOP/s",
        f"{'':32}{'first call':>11}{'latency':>11}{'Hz':>8}{'slowdown':>9}{'with':>9}"
        f"{'floor':>8}{'paper':>8}{'floor':>11}{'x floor':>9}",
        f"{'':71}{'savings':>9}{'FLOPs':>8}{'':>8}{'seconds':>11}",
    ]
    for row in rows:
        paper = f"{row['paper_slowdown']:8.1f}" if row["paper_slowdown"] > 0 else f"{'':8}"
        lines.append(
            f"{row['name']:32}{row['first_seconds']:9.2f} s{1e3 * row['seconds']:8.1f} ms"
            f"{row['hz']:8.2f}{row['slowdown']:9.1f}{row['slowdown_of_savings']:9.1f}"
            f"{row['floor_slowdown']:8.1f}{paper}{1e3 * row['floor_seconds']:8.1f} ms"
            f"{row['over_floor']:9.2f}"
        )
    return "\n".join(lines) + "\n"


def figure(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Slowdown against N, beside the floor and the paper's."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(5.2, 3.8), dpi=120, layout="constrained")
    axes = drawn.subplots()
    maps = [row for row in rows if row["num_masks"]]
    for keep_prob in dict.fromkeys(row["keep_prob"] for row in maps):
        own = [row for row in maps if row["keep_prob"] == keep_prob]
        axes.plot(
            [row["num_masks"] for row in own],
            [row["slowdown"] for row in own],
            "o-",
            markersize=3,
            linewidth=1,
            label=f"p = {keep_prob:g}",
        )
    first = [row for row in maps if row["keep_prob"] == maps[0]["keep_prob"]]
    counts = [row["num_masks"] for row in first]
    axes.plot(counts, [row["floor_slowdown"] for row in first], "k:", label="floor, FLOPs")
    published = np.array([row["paper_slowdown"] for row in first])
    if np.isfinite(published).any():
        axes.plot(counts, published, "kx", label="the paper, p = 0.3")
    axes.set(xlabel="masks N", ylabel="latency in single inferences", ylim=(0, None))
    axes.legend(fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return drawn


if __name__ == "__main__":
    app.run(main, "efficiency", many_processes=False)
