"""Success of a policy of the zoo, unshifted and along every axis: `configs/zoo_rollout.py`.

    python -m experiments.zoo_rollout --config=configs/zoo_rollout.py --config.rows="(1,)"

The workdir receives `trials.csv` (a row a trial) and `axes.csv` (a row a policy, axis and strength,
with Wilson intervals). Run again, it goes on.
"""

from pathlib import Path

import ml_collections

from experiments.runs import app, versions
from experiments.zoo.acting import actor, load
from experiments.zoo.design import chosen, read_design
from experiments.zoo.success import axis_rows
from experiments.zoo.trials import run_trials, tasks_of, trial_items, trial_rows
from iss_jax.jobs.directory import gather, open_run


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment."""
    run = open_run(workdir, config, version=versions.TRIALS)
    options = config.rollout
    tasks, rows = tasks_of(options.tasks), []
    for recipe in chosen(read_design(config.design), config.rows):
        policy = load(config.leaves.format(name=recipe.name))
        act = actor(
            policy,
            max_token_len=options.max_token_len,
            action_horizon=options.action_horizon,
            num_steps=options.num_steps,
        )
        items = trial_items(recipe.cue, policy.fingerprint, tasks, options)
        run_trials(run, items, act, quiet=config.quiet)
        rows += trial_rows(recipe.row, items, gather(run, items))
    table = axis_rows(rows)
    run.write_csv("trials.csv", rows)
    run.write_csv("axes.csv", table)
    for row in table:
        print(
            f"{row['row']:>3} {row['axis']:<12}{row['strength']:<7g}{row['successes']:>3} of "
            f"{row['trials']:<4}[{row['low']:.2f}, {row['high']:.2f}]"
        )


if __name__ == "__main__":
    app.run(main, "zoo_rollout", many_processes=False)
