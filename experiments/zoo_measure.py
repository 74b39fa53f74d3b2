"""What is known of the zoo's policies before any shifted trial: `configs/zoo_measure.py`.

    python -m experiments.zoo_measure --config=configs/zoo_measure.py --config.rows="(1,)"

The workdir receives `measures.csv` (a row a policy and measure) and `costs.csv` (a row a policy and
part: seconds and inferences). Run again, it goes on.
"""

from pathlib import Path

import ml_collections

from experiments.runs import app, versions
from experiments.zoo.acting import load
from experiments.zoo.design import chosen, read_design
from experiments.zoo.measures import cost_rows, measure_rows, measured
from experiments.zoo.school import School
from iss_jax.jobs.directory import open_run


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment."""
    run = open_run(workdir, config, version=versions.MAPS)
    school = School(config.train, workdir)
    heldout, taught = school.taught_on("heldout")
    rows, costs = [], []
    for recipe in chosen(read_design(config.design), config.rows):
        policy = load(config.leaves.format(name=recipe.name))
        found = measured(run, recipe, policy, heldout, taught, config.measure, quiet=config.quiet)
        rows += measure_rows(recipe.row, found)
        costs += cost_rows(recipe.row, found)
    run.write_csv("measures.csv", rows)
    run.write_csv("costs.csv", costs)
    for row in rows:
        print(f"{row['row']:>3} {row['measure']:<18}{row['value']:.4g} ± {row['stderr']:.2g}")


if __name__ == "__main__":
    app.run(main, "zoo_measure", many_processes=False)
