"""Time of a saliency map against the time of the inferences it is made of.

    python -m experiments.bench --config=configs/bench.py

One policy, one observation, all in one run: a single inference of openpi's plain pass; N masked
ones, one call a mask, as the paper's authors do on openpi; the same N in a plain batched loop;
`iss_jax.saliency` with its exact savings; the gradient runs that reach the accuracy of the paper's
N, and those that correlate by 0.9 with the converged map (docs/results/accuracy.md); and NMR by
effect, four draws of three regions and a baseline. Every way is run once to compile and then timed
`repeats` times in turn, the result waited for; the table gives medians.

Cost is in single inferences (the paper's: 65.8 for N = 100). FLOPs are counted from the traced
program; the floor is what they would take at the peak that one square matrix product reaches on
this machine, in the same run.

The released sizes (`:full`) are measured row by row instead, for ten minutes on a GPU: each row is
compiled whole, timed, and stored before the next one starts, the most valuable first
(`experiments.timing.rows`). A row that fails or kills its process is named and costs itself alone.
Started again, the command measures what is missing, and refuses a workdir whose rows were measured
with other versions, code, options or devices. FLOPs are set against the peak that products of the
model's own shapes sustain.

The workdir receives `results.csv` and `results.json`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

import iss_jax
from experiments.runs import app
from experiments.timing.calls import nmr_call, saliency_call
from experiments.timing.clock import Seconds, matmul_peak, timed
from experiments.timing.one_by_one import measure_rows
from experiments.timing.subject import Subject, SubjectOptions, make_subject
from iss_jax import nmr_effect
from iss_jax.flops import count_flops
from iss_jax.interventions import blend, blur
from iss_jax.jobs.directory import open_run
from iss_jax.masked_runs import draw_masks
from iss_jax.masks import upsample
from iss_jax.pi05.model import sample_actions
from iss_jax.pi05.observation import VIEWS, preprocess

PAPER_COST = 65.8
"""N = 100 in single inferences, 5.18 s against 0.079 s (Sec. 5.4)."""


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/bench.py`, which says what each means."""

    subject: SubjectOptions
    num_masks: int
    micro_batch: int
    as_the_paper: dict[str, Any]
    pearson_0_9: dict[str, Any]
    peak_size: int
    repeats: int
    quiet: bool


class Way(NamedTuple):
    """One way to spend forward passes.

    Attributes:
        runs: masked runs, without the baseline.
        call: does it.
        flops: counted.
    """

    runs: int
    call: Callable[[], Any]
    flops: float


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the benchmark; returns the rows of `results.csv`."""
    if "budget_s" in config:
        return measure_rows(config.to_dict(), workdir)
    content: dict[str, Any] = {k: v for k, v in config.to_dict().items() if k != "name"}
    content["subject"] = SubjectOptions(**content["subject"])
    options = Options(**content)
    run = open_run(workdir, config)
    subject = make_subject(options.subject)
    found = ways(subject, options)
    peak = matmul_peak(options.peak_size, options.subject.dtype)
    seconds = timed({name: way.call for name, way in found.items()}, options.repeats)
    rows = table(found, seconds, peak)
    run.write_csv("results.csv", rows)
    run.write_json("results.json", {"rows": rows, "matmul_peak": peak, "paper_cost": PAPER_COST})
    if not options.quiet:
        print_table(rows, peak)
        print(f"\n{run.path / 'results.csv'}")
    return rows


def ways(subject: Subject, options: Options) -> dict[str, Way]:
    """Name -> way, the single inference first."""
    params, obs = subject.params, subject.obs
    plain = iss_jax.Savings.none()
    prepared = preprocess(obs, subject.sizes.image.image_size)
    sample = partial(sample_actions, sampling=iss_jax.Sampling(savings=plain))
    infer = partial(jax.jit(sample), params, prepared, subject.noise)
    single = count_flops(sample, params, prepared, subject.noise)
    found = {
        "single inference": Way(1, infer, single),
        "one call a mask": Way(
            options.num_masks,
            call_a_mask(subject, options.num_masks),
            single * options.num_masks,
        ),
    }
    exact = {"num_masks": options.num_masks}
    for name, savings, config in (
        ("plain batched", plain, exact),
        ("exact savings", iss_jax.Savings(), exact),
        (row_name(options.as_the_paper), iss_jax.Savings(), options.as_the_paper),
        (row_name(options.pearson_0_9), iss_jax.Savings(), options.pearson_0_9),
    ):
        call = saliency_call(subject, savings, config, options.micro_batch)
        found[name] = Way(config["num_masks"], partial(call, params), count_flops(call, params))
    by_effect = nmr_call(subject, options.micro_batch)
    runs = nmr_effect.CONFIG.runs(len(iss_jax.Region))
    found["NMR by effect"] = Way(runs, partial(by_effect, params), count_flops(by_effect, params))
    return found


def row_name(config: Mapping[str, Any]) -> str:
    """What a map runs, such as `20 gradient runs`; equal names are equal maps."""
    rest = sorted(config.keys() - {"num_masks", "estimator"})
    plural = "" if config["num_masks"] == 1 else "s"
    first = f"{config['num_masks']} {config['estimator']} run{plural}"
    return ", ".join([first, *(f"{key} {config[key]}" for key in rest)])


def call_a_mask(subject: Subject, num_masks: int) -> Callable[[], list[np.ndarray]]:
    """One masked copy blended, run and fetched after the other."""
    prepared = preprocess(subject.obs, subject.sizes.image.image_size)
    plain = iss_jax.Sampling(savings=iss_jax.Savings.none())

    @jax.jit
    def masked(params: Any, keep: jax.Array) -> jax.Array:
        images = {}
        for index, view in enumerate(VIEWS):
            frame = prepared.images[view][0]
            soft = upsample(keep[index].astype(jnp.float32), (frame.shape[0], frame.shape[1]))
            images[view] = blend(frame, blur(frame), soft)[None]
        copy = dataclasses.replace(prepared, images=images)
        return sample_actions(params, copy, subject.noise, plain)

    keeps = draw_masks(
        jax.random.key(0), len(VIEWS), iss_jax.ISSConfig(num_masks=num_masks, design="bernoulli")
    )
    # Fetching every result is what a caller that compares actions on the host does.
    return lambda: [np.asarray(masked(subject.params, keep)) for keep in keeps]


def table(
    found: Mapping[str, Way], seconds: Mapping[str, Seconds], peak: float
) -> list[dict[str, Any]]:
    """A row a way; cost in the first one's seconds."""
    single = next(iter(seconds.values())).warm
    return [
        {
            "name": name,
            "runs": way.runs,
            "first_seconds": seconds[name].first,
            "seconds": seconds[name].warm,
            "hz": 1.0 / seconds[name].warm,
            "cost": seconds[name].warm / single,
            "tflop": way.flops / 1e12,
            "floor_seconds": way.flops / peak,
            "over_floor": seconds[name].warm * peak / way.flops,
        }
        for name, way in found.items()
    ]


def print_table(rows: list[dict[str, Any]], peak: float) -> None:
    """Prints the rows in columns."""
    print(f"\nmatrix-product peak, measured: {peak / 1e12:.3g} TFLOP/s; the paper: {PAPER_COST}")
    print(
        f"{'':34}{'runs':>5}{'first call':>12}{'warm':>12}{'Hz':>8}{'cost':>8}{'TFLOP':>9}"
        f"{'floor':>12}{'x floor':>9}{'of peak':>9}"
    )
    for row in rows:
        print(
            f"{row['name']:34}{row['runs']:5d}{row['first_seconds']:10.2f} s"
            f"{1000 * row['seconds']:9.1f} ms{row['hz']:8.2f}{row['cost']:8.1f}{row['tflop']:9.3g}"
            f"{1000 * row['floor_seconds']:9.1f} ms{row['over_floor']:9.2f}"
            f"{100 / row['over_floor']:7.0f} %"
        )


if __name__ == "__main__":
    app.run(main, "bench", many_processes=False)
