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

from pathlib import Path
from typing import Any

import ml_collections

from experiments.runs import app, versions
from experiments.runs.planned import PlannedItem, iss_runs
from iss_jax.against_success.items import chosen_frames
from iss_jax.against_success.job import write_results
from iss_jax.against_success.measured import measured
from iss_jax.against_success.options import Options
from iss_jax.against_success.report import report_text
from iss_jax.against_success.rows import join_success
from iss_jax.data.dataset import Episodes
from iss_jax.data.success import read_success
from iss_jax.jobs.directory import open_run
from iss_jax.jobs.options import from_config
from iss_jax.jobs.packaged import located


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    options = from_config(config, Options)
    run = open_run(workdir, config, version=versions.MAPS)
    content, figures = write_results(run, options, measured(options, run))
    if not options.quiet:
        print(report_text(run, content, options.percents, figures))
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
