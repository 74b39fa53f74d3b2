"""What each exact saving gives, what is not the policy costs, and what memory a map takes.

    python -m experiments.savings --config=configs/savings.py

One policy, one observation, one run; every ratio is of calls timed in turn.

- Savings: `iss_jax.saliency` without any, with each alone, without each alone, and with all. Beside
  the time's ratio to the plain loop stand the counted one, of the traced program, and that of the
  real π0.5 in two forms: 60 of 200 prompt tokens, three views, H = 50; and 20 of 200, two views,
  H = 10 (pi05_libero).
- Overhead: the map against the bare policy on copies that were blended before, micro-batch by
  micro-batch alike. What is left is masks, blur, blend, effects, estimator, upsampling.
- bfloat16: the map computed in it against float32's, with the same masks and noise.
- Memory: temporary bytes of the compiled map, for few and for many masks at one micro-batch; and
  the peak that a process of its own reaches.
- Lowering: seconds to trace and lower the map of the released sizes from shapes alone.

The workdir receives `savings.csv` and `results.json`.
"""

import dataclasses
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

import iss_jax
from experiments.runs import app
from experiments.timing.calls import saliency_call
from experiments.timing.clock import timed
from experiments.timing.released import real_shares, released_shapes
from experiments.timing.subject import Subject, SubjectOptions, make_subject, random_observation
from iss_jax.flops import count_flops
from iss_jax.jobs.directory import open_run
from iss_jax.masked_runs import micro_batch_rows
from iss_jax.pi05 import params as pi05
from iss_jax.pi05.model import embed_prompt
from iss_jax.pi05.observation import VIEWS, preprocess
from iss_jax.pi05.prepare import policy_observation, possible_views
from iss_jax.pi05_saliency import Shared, actions_of_rows
from iss_jax.stats.correlation import coefficient

NAMES = tuple(field.name for field in dataclasses.fields(iss_jax.Savings))


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/savings.py`, which says what each means."""

    subject: SubjectOptions
    num_masks: int
    micro_batch: int
    single_savings: bool
    memory_masks: tuple[int, ...]
    memory_micro_batch: int
    process_masks: int
    lowering: bool
    repeats: int
    quiet: bool


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the measurements; returns the content of `results.json`."""
    content: dict[str, Any] = {k: v for k, v in config.to_dict().items() if k != "name"}
    content["subject"] = SubjectOptions(**content["subject"])
    options = Options(**content)
    subject = make_subject(options.subject)
    if options.process_masks:
        # What a child of `process_bytes` does: one map, and how much memory it took.
        _call(subject, options, num_masks=options.process_masks)(subject.params)
        print(peak_resident_bytes(Path("/proc/self/status").read_text()))
        return {}
    run = open_run(workdir, config)
    rows = measure_savings(subject, options)
    found = {
        "savings": rows,
        "overhead": overhead(subject, options),
        "bfloat16": bfloat16_agreement(subject, options),
        "memory": [
            {"masks": n, "temporary_bytes": temporary_bytes(subject, options, n)}
            | ({"process_bytes": process_bytes(config, workdir, n)} if options.lowering else {})
            for n in options.memory_masks
        ],
        "lowering_seconds": lowering_seconds() if options.lowering else None,
    }
    run.write_csv("savings.csv", rows)
    run.write_json("results.json", found)
    if not options.quiet:
        print_found(found)
        print(f"\n{run.path / 'results.json'}")
    return found


def _call(
    subject: Subject,
    options: Options,
    savings: iss_jax.Savings = iss_jax.Savings(),
    **config: Any,
) -> Any:
    chosen = {"num_masks": options.num_masks} | config
    return saliency_call(subject, savings, chosen, options.micro_batch)


def choices(single: bool) -> dict[str, iss_jax.Savings]:
    """Name -> savings that are on: none, each alone if wanted, all but each, all."""
    found = {"none": iss_jax.Savings.none()}
    if single:
        found |= {f"{name} alone": iss_jax.Savings.none(**{name: True}) for name in NAMES}
        found |= {f"all but {name}": iss_jax.Savings(**{name: False}) for name in NAMES}
    return found | {"all": iss_jax.Savings()}


def measure_savings(subject: Subject, options: Options) -> list[dict[str, Any]]:
    """A row for each choice of savings: time and FLOPs, in the plain loop's."""
    wanted = choices(options.single_savings)
    calls = {name: _call(subject, options, savings) for name, savings in wanted.items()}
    seconds = timed(
        {name: partial(call, subject.params) for name, call in calls.items()}, options.repeats
    )
    counted = {name: count_flops(call, subject.params) for name, call in calls.items()}
    rows = []
    for name, savings in wanted.items():
        row = {
            "savings": name,
            "seconds": seconds[name].warm,
            "time": seconds[name].warm / seconds["none"].warm,
            "flops": counted[name] / counted["none"],
        }
        for form, share in real_shares(savings).items():
            row[f"pi05_{form}"] = share
        rows.append(row)
    return rows


def overhead(subject: Subject, options: Options) -> dict[str, float]:
    """Seconds of a map, of the bare policy on as many copies, and what is left as a share."""
    total = options.num_masks + 1
    rows = micro_batch_rows(total, options.micro_batch or None)
    steps = -(-total // rows)
    obs = policy_observation(subject.obs, subject.sizes.vocab)
    views = possible_views(obs)
    prepared = preprocess(obs, subject.sizes.image.image_size)
    assert obs.tokenized_prompt is not None and obs.tokenized_prompt_mask is not None
    prompt = embed_prompt(subject.params, obs.tokenized_prompt)
    present = {view: prepared.image_masks[view][0] for view in views}
    example = Shared(prompt[0], obs.tokenized_prompt_mask[0], present, subject.noise)
    rng = jax.random.key(0)
    copies = {
        view: jax.random.uniform(
            rng, (steps, rows, *prepared.images[view].shape[1:]), minval=-1.0, maxval=1.0
        )
        for view in views
    }

    @jax.jit
    def bare(params: Any, copies: Any) -> jax.Array:
        return jax.lax.map(lambda rows: actions_of_rows(params, example, rows, views=views), copies)

    call = _call(subject, options, micro_batch=rows)
    seconds = timed(
        {
            "saliency": partial(call, subject.params),
            "bare": partial(bare, subject.params, copies),
        },
        max(options.repeats, 2 * options.repeats - 1),
    )
    saliency, policy = seconds["saliency"].warm, seconds["bare"].warm
    return {"saliency": saliency, "bare": policy, "share": 1.0 - policy / saliency}


def bfloat16_agreement(subject: Subject, options: Options) -> dict[str, float]:
    """Correlation of effects and cells, and the largest action difference, bfloat16 to float32."""

    def computed_in(dtype: Any) -> iss_jax.Saliency:
        params = jax.tree.map(lambda leaf: leaf.astype(dtype), subject.params)
        return _call(subject, options)(params)

    wide, narrow = computed_in(jnp.float32), computed_in(jnp.bfloat16)

    def pearson(name: str) -> float:
        a, b = (np.asarray(getattr(found, name), np.float64).ravel() for found in (wide, narrow))
        return float(coefficient(a, b))

    return {
        "effects_pearson": pearson("effects"),
        "cells_pearson": pearson("cells"),
        "actions_difference": float(jnp.abs(wide.actions - narrow.actions).max()),
    }


def temporary_bytes(subject: Subject, options: Options, num_masks: int) -> int:
    """What the compiled map allocates beside its arguments and results."""
    call = _call(subject, options, num_masks=num_masks, micro_batch=options.memory_micro_batch)
    analysis = jax.jit(call).lower(subject.params).compile().memory_analysis()
    assert analysis is not None
    return int(analysis.temp_size_in_bytes)


def process_bytes(config: ml_collections.ConfigDict, workdir: Path, num_masks: int) -> int:
    """Peak resident memory of a process of its own that computes one map."""
    variant = str(config.name).removeprefix("savings-")
    command = [
        *(sys.executable, "-m", "experiments.savings"),
        f"--config=configs/savings.py:{variant}",
        f"--workdir={workdir}",
        f"--config.process_masks={num_masks}",
        f"--config.micro_batch={config.memory_micro_batch}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def peak_resident_bytes(status: str) -> int:
    """Peak resident memory from the text of Linux's `/proc/self/status`.

    `getrusage` would give the larger of it and the peak of the process that started this one.
    """
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def lowering_seconds() -> float:
    """Seconds to trace and lower a map of the released π0.5, from shapes alone."""
    options = SubjectOptions("", 0, "", "", "", 0, 0, 200, 60, len(VIEWS), 50)
    obs = jax.eval_shape(partial(random_observation, pi05.PI05, options))
    start = time.perf_counter()
    jax.jit(iss_jax.saliency).lower(released_shapes(), obs)
    return time.perf_counter() - start


def print_found(found: dict[str, Any]) -> None:
    """Prints the tables."""
    print(f"\n{'savings':34}{'seconds':>9}{'time':>7}{'FLOPs':>7}{'π0.5':>7}{'LIBERO':>8}")
    for row in found["savings"]:
        print(
            f"{row['savings']:34}{row['seconds']:9.3f}{row['time']:7.3f}{row['flops']:7.3f}"
            f"{row['pi05_full']:7.3f}{row['pi05_libero']:8.3f}"
        )
    share = found["overhead"]
    print(
        f"\nnot the policy: {100 * share['share']:.1f} % of {share['saliency']:.3f} s "
        f"(bare policy {share['bare']:.3f} s)"
    )
    print("bfloat16 against float32:", found["bfloat16"])
    for row in found["memory"]:
        resident = row.get("process_bytes")
        print(
            f"N = {row['masks']}: temporary {row['temporary_bytes'] / 2**20:.1f} MiB"
            + (f", peak of the process {resident / 2**20:.0f} MiB" if resident else "")
        )
    if found["lowering_seconds"] is not None:
        print(f"lowering of the released sizes: {found['lowering_seconds']:.1f} s")


if __name__ == "__main__":
    app.run(main, "savings", many_processes=False)
