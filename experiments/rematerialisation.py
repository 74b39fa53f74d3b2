"""What it gives and costs to compute activations of gradient runs again instead of keeping them.

    python -m experiments.rematerialisation --config=configs/rematerialisation.py

On the released sizes, from shapes alone: bytes that each further row of a gradient step takes
(`iss_jax.memory.bytes_a_row`), the rows that then fit a device, and its FLOPs over a forward run's.
On the policy that is measured: FLOPs of a gradient run over a forward one, temporary bytes of the
compiled map, its time against the map without, in turn, and how far maps differ.

The workdir receives `results.csv` and `results.json`.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

import iss_jax
from experiments.runs import app
from experiments.timing.clock import timed
from experiments.timing.released import FORMS, released_shapes
from experiments.timing.subject import Subject, SubjectOptions, make_subject
from iss_jax import memory
from iss_jax.flops import count_flops
from iss_jax.jobs.directory import open_run
from iss_jax.pi05 import params as pi05
from iss_jax.pi05.observation import VIEWS
from iss_jax.pi05.prepare import trimmed_length
from iss_jax.pi05_saliency import Shared, actions_of_rows


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/rematerialisation.py`, which says what each means."""

    subject: SubjectOptions
    forms: tuple[str, ...]
    num_masks: int
    micro_batch: int
    device_gb: tuple[int, ...]
    repeats: int
    quiet: bool


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the measurements; returns the content of `results.json`."""
    content: dict[str, Any] = {k: v for k, v in config.to_dict().items() if k != "name"}
    content["subject"] = SubjectOptions(**content["subject"])
    options = Options(**content)
    run = open_run(workdir, config)
    rows = []
    for form in options.forms:
        forward = count_flops(*released_step(form, gradient=False))
        for again in (False, True):
            step, shapes = released_step(form, rematerialise=again)
            row = {"form": form, "rematerialise": again}
            row["bytes_a_row"] = released_row_bytes(form, again)
            row["flops_of_forwards"] = count_flops(step, shapes) / forward
            rows.append(row)
    for row in rows:
        for gigabytes in options.device_gb:
            fit = memory.rows_that_fit(
                row["bytes_a_row"], gigabytes * 1e9, memory.MOST_ROWS_WITH_GRADIENTS
            )
            row[f"rows_on_{gigabytes}_GB"] = fit
    found = {"released": rows, "measured": measure(make_subject(options.subject), options)}
    run.write_csv("results.csv", rows)
    run.write_json("results.json", found)
    if not options.quiet:
        print_found(found)
        print(f"\n{run.path / 'results.json'}")
    return found


def released_step(
    form: str, *, rows: int = 1, gradient: bool = True, rematerialise: bool = False
) -> tuple[Callable[[Any], Any], Any]:
    """Rows of the released sizes in bfloat16, with their gradients: a function and its shapes."""
    valid_tokens, num_views, horizon = FORMS[form]
    sizes, views, length = pi05.PI05, VIEWS[:num_views], trimmed_length(valid_tokens)
    shape: Any = jax.ShapeDtypeStruct
    example = Shared(
        shape((length, sizes.vlm.width), jnp.bfloat16),
        shape((length,), bool),
        {view: shape((), bool) for view in views},
        shape((1, horizon, sizes.action_dim), jnp.float32),
    )
    side = sizes.image.image_size
    frames = {view: shape((rows, side, side, 3), jnp.float32) for view in views}

    def step(arguments: Any) -> Any:
        params, example, frames = arguments
        sampling = iss_jax.Sampling(rematerialise=rematerialise)
        run = partial(actions_of_rows, params, example, views=views, sampling=sampling)
        if not gradient:
            return run(frames)
        actions, pull = jax.vjp(run, frames)
        return pull(actions)

    return step, (released_shapes(), example, frames)


def released_row_bytes(form: str, rematerialise: bool) -> int:
    """Bytes that a further row of a gradient step takes on the released sizes, in bfloat16."""
    step, _ = released_step(form, rematerialise=rematerialise)
    return memory.bytes_a_row(step, lambda rows: released_step(form, rows=rows)[1])


def measure(subject: Subject, options: Options) -> dict[str, Any]:
    """FLOPs, temporary bytes and time both ways, and the largest difference between maps."""

    def maps(params: Any, **changes: Any) -> iss_jax.Saliency:
        chosen = {"estimator": "gradient", "num_masks": options.num_masks} | changes
        sampling = iss_jax.Sampling(rematerialise=chosen.pop("rematerialise", False))
        config = iss_jax.ISSConfig(design="bernoulli", micro_batch=options.micro_batch, **chosen)
        return iss_jax.saliency(
            params, subject.obs, noise=subject.noise, config=config, sampling=sampling
        )

    def run_flops(**changes: Any) -> float:
        # The difference of two lengths, so that the baseline's run is not counted in.
        step = options.micro_batch
        few, many = (
            count_flops(partial(maps, num_masks=count, **changes), subject.params)
            for count in (2 * step - 1, 3 * step - 1)
        )
        return (many - few) / step

    forward = run_flops(estimator="centred")
    programs, temporary = {}, []
    for name in ("kept", "again"):
        call = jax.jit(partial(maps, rematerialise=name == "again"))
        program = call.lower(subject.params).compile()
        analysis = program.memory_analysis()
        assert analysis is not None
        temporary.append(int(analysis.temp_size_in_bytes))
        programs[name] = partial(program, subject.params)
    seconds = timed(programs, options.repeats)
    kept, again = (program() for program in programs.values())
    return {
        "flops_of_forwards": run_flops() / forward,
        "flops_of_forwards_rematerialised": run_flops(rematerialise=True) / forward,
        "time": seconds["again"].warm / seconds["kept"].warm,
        "temporary_bytes": temporary[0],
        "temporary_bytes_rematerialised": temporary[1],
        **{
            f"{name}_difference_over_spread": float(jnp.abs(a - b).max() / a.std())
            for name, a, b in (
                ("cells", kept.cells, again.cells),
                ("gradients", kept.gradients, again.gradients),
            )
        },
    }


def print_found(found: dict[str, Any]) -> None:
    """Prints the tables."""
    for row in found["released"]:
        fit = ", ".join(f"{v} {k.replace('_', ' ')}" for k, v in row.items() if "rows_on" in k)
        print(
            f"released π0.5, {row['form']}, rematerialise = {row['rematerialise']}: "
            f"{row['bytes_a_row'] / 1e9:.2f} GB a row, "
            f"{row['flops_of_forwards']:.2f} forwards by FLOPs; {fit}"
        )
    print()
    for name, value in found["measured"].items():
        print(f"{name}: {value:,.4g}")


if __name__ == "__main__":
    app.run(main, "rematerialisation", many_processes=False)
