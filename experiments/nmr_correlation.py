r"""Does attention to nuisance predict failure? nmr@k against success, as Figures 3 and 10.

    python -m experiments.nmr_correlation --config=configs/nmr_correlation.py
    python -m experiments.nmr_correlation --config=configs/nmr_correlation.py:smoke
    python -m experiments.nmr_correlation --config=configs/nmr_correlation.py:paper \
        --config.checkpoint=<folder> --config.dataset=<folder>

For every task and seed, ISS runs over strided frames of the task's episodes; its nuisance mass
ratio, averaged over the frames, is set against the task's success rate under that seed. Intervals
and tests go by suite where success varies between suites, and else by task. Beside them stand those
of random explanations with the same values and the same smoothness, and that of the nuisance area
alone.

The workdir receives `results.csv` (a row per task and seed), `results.json` (the correlations) and
`figures/`. An interrupted run is resumed by running it again.
"""

import dataclasses
from pathlib import Path
from typing import Any

import ml_collections

from experiments.inputs.episodes import Episodes
from experiments.nmr.items import chosen_frames
from experiments.nmr.measured import measured
from experiments.nmr.options import Options
from experiments.nmr.report import print_report, write_figures
from experiments.nmr.rows import (
    by_suite,
    correlations,
    join_success,
    make_rows,
    success_variation,
    table,
    unit_of_success,
)
from experiments.runs import app, versions
from experiments.runs.planned import PlannedItem, iss_runs
from iss_jax.data.success import read_success
from iss_jax.jobs.directory import open_run
from iss_jax.jobs.options import from_config
from iss_jax.jobs.packaged import located


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    options = from_config(config, Options)
    run = open_run(workdir, config, version=versions.MAPS)
    iss, dataset, _, success, items, results = measured(options, run)
    rows = make_rows(items, results, success, options.percents)
    run.write_csv("results.csv", table(rows, options.percents))
    found = correlations(
        rows,
        options.percents,
        confidence=options.confidence,
        resamples=options.resamples,
        permutations=options.permutations,
    )
    content = {
        "tasks": len({(row.success.suite, row.success.task) for row in rows}),
        "seeds": sorted({row.success.seed for row in rows}),
        "rows": len(rows),
        "frames": sum(row.frames for row in rows),
        "iss": dataclasses.asdict(iss),
        "success_variation": success_variation(rows),
        "unit": unit_of_success(rows),
        "correlations": found,
        "by_suite": by_suite(rows),
    }
    run.write_json("results.json", content)
    figures = write_figures(
        run,
        rows,
        found,
        options.percents,
        items,
        results,
        dataset,
        options.overlay_rows,
        content["by_suite"],
    )
    if not options.quiet:
        print_report(run, content, options.percents, figures)
    return content


def plan(config: ml_collections.ConfigDict, episodes: Episodes) -> list[PlannedItem]:
    """Runs of ISS by split, batches filled up; attention and token norms come beside, unpriced."""
    options = from_config(config, Options)
    success = join_success(
        read_success(located(options.success, "success")),
        options.policy_seed,
        by_split=bool(options.split_key),
    )
    frame = iss_runs(options.iss_config(1))
    return [
        PlannedItem(
            one.split,
            len(one.frames),
            -(-len(one.frames) // options.batch) * options.batch * frame,
        )
        for one in chosen_frames(options, episodes, success)
    ]


if __name__ == "__main__":
    app.run(main, "nmr_correlation")
