"""The whole zoo, one policy to its end before the next begins: `configs/zoo_run.py`.

    python -m experiments.zoo_run --config=configs/zoo_run.py --workdir=runs/zoo

Each policy is trained, measured and rolled out; then the tables of all that are done are written
anew to `config.into`, ready to be committed. Run again, it goes on where it was. Two processes
(`--num_processes=2 --process_id=0` and `1`) take every second policy each.
"""

import time
from pathlib import Path

import ml_collections

from experiments.runs import app, versions
from experiments.zoo.acting import actor, load
from experiments.zoo.design import Recipe, chosen, read_design
from experiments.zoo.measures import cost_rows, measure_rows, measured
from experiments.zoo.school import School
from experiments.zoo.shipped import gather, is_done, keep
from experiments.zoo.trials import run_trials, tasks_of, trial_items, trial_rows
from iss_jax.data.table import read_rows
from iss_jax.jobs.directory import RunDirectory, gather as results_of, open_run


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment."""
    run = open_run(workdir, config, version=versions.TRIALS)
    run.claim()
    recipes = read_design(config.design)
    wanted = chosen(recipes, config.rows)
    own = wanted[run.processes.index :: run.processes.count]
    school = School(config.train, workdir)
    policies, tables = workdir / "policies", Path(config.into or workdir / "tables")
    for recipe in own:
        if is_done(policies, recipe):
            continue
        start = time.monotonic()
        _one(run, config, school, recipe, policies)
        done = gather(policies, recipes, tables)
        minutes = (time.monotonic() - start) / 60
        print(f"{recipe.name}: {minutes:.1f} minutes; {len(done)} of {len(recipes)} are done")
    print(f"{len(gather(policies, recipes, tables))} policies: {tables}")


def _one(
    run: RunDirectory,
    config: ml_collections.ConfigDict,
    school: School,
    recipe: Recipe,
    policies: Path,
) -> None:
    folder = policies / recipe.name
    policy = load(school.train(recipe, folder, quiet=config.quiet))
    heldout, taught = school.taught_on("heldout")
    parts = measured(run, recipe, policy, heldout, taught, config.measure, quiet=config.quiet)
    items, results = [], []
    if config.rollout.trials:
        options = config.rollout
        act = actor(
            policy,
            max_token_len=options.max_token_len,
            action_horizon=options.action_horizon,
            num_steps=options.num_steps,
        )
        items = trial_items(recipe.cue, policy.fingerprint, tasks_of(options.tasks), options)
        run_trials(run, items, act, quiet=config.quiet)
        results = results_of(run, items)
    training = read_rows(folder / "training.csv")
    trials = trial_rows(recipe.row, items, results)
    costs = [{"row": recipe.row, "step": "training", "seconds": training[-1]["seconds"]}]
    costs[0]["inferences"] = ""
    costs += cost_rows(recipe.row, parts)
    for kind in ("unshifted", "shifted"):
        seconds = [t["seconds"] for t in trials if (t["axis"] == "none") == (kind == "unshifted")]
        costs.append(
            {
                "row": recipe.row,
                "step": f"{kind} trials",
                "seconds": round(sum(seconds), 1),
                "inferences": "",
            }
        )
    tables = {
        "trials": trials,
        "measures": measure_rows(recipe.row, parts),
        "costs": costs,
        "training": [{"row": recipe.row, **row} for row in training],
    }
    keep(policies, recipe, tables)


if __name__ == "__main__":
    app.run(main, "zoo_run")
