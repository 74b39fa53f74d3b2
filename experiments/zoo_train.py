"""Train policies of the zoo by their recipes: `configs/zoo_train.py`.

    python -m experiments.zoo_train --config=configs/zoo_train.py --config.rows="(1,)"

The workdir receives, in a folder of each policy's name, `leaves.npz` (low-rank leaves in half
precision) and `training.csv`. Run again, it goes on.
"""

from pathlib import Path

import ml_collections

from experiments.runs import app
from experiments.zoo.design import chosen, read_design
from experiments.zoo.school import School
from iss_jax.jobs.directory import open_run


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[Path]:
    """Runs the experiment; returns the files of the low-rank leaves."""
    run = open_run(workdir, config)
    school = School(config.train, workdir)
    recipes = chosen(read_design(config.design), config.rows)
    run.claim()
    found = []
    for recipe in recipes:
        found.append(school.train(recipe, workdir / recipe.name, quiet=config.quiet))
        print(f"{recipe.name}: {found[-1]}")
    return found


if __name__ == "__main__":
    app.run(main, "zoo_train", many_processes=False)
