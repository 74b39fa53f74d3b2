r"""One table of many runs, with the options in which they differ as columns.

    python -m experiments.join --config=configs/join.py --config.runs=runs/sweep,runs/other

The workdir receives `results.csv`: a row for each row of each run, after the run's name and
`config.<key>` of what differs. `results.json` says which runs and which options those are.
"""

from pathlib import Path
from typing import Any

import ml_collections

from experiments.runs import app
from iss_jax.jobs.directory import open_run
from iss_jax.jobs.joined import join_runs, runs_in


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Joins the tables; returns the rows of `results.csv`."""
    if config.examples:
        _write_examples(workdir / "examples")
    given = [Path(one.strip()) for one in config.runs.split(",") if one.strip()]
    if config.examples:
        given.append(workdir / "examples")
    if not given:
        raise ValueError("config.runs: empty; give --config.runs=<folder>,<folder>")
    runs = runs_in(given, config.table)
    rows = join_runs(runs, config.table)
    run = open_run(workdir, config)
    print(run.write_csv("results.csv", rows))
    differ = [column for column in (rows[0] if rows else {}) if column.startswith("config.")]
    run.write_json("results.json", {"runs": [str(one) for one in runs], "differ": differ})
    print(f"{len(rows)} rows of {len(runs)} runs, which differ in {', '.join(differ) or 'nothing'}")
    return rows


def _write_examples(folder: Path) -> None:
    """Two runs that differ in one option."""
    for num_masks in (10, 20):
        config = ml_collections.ConfigDict({"iss": {"num_masks": num_masks}})
        run = open_run(folder / str(num_masks), config)
        run.write_csv("results.csv", [{"task": "milk", "stderr": num_masks**-0.5}])


if __name__ == "__main__":
    app.run(main, "join", many_processes=False)
