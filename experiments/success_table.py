"""A success table in print, as the paper's Table 3: a row a task, a column a seed.

    python -m experiments.success_table --config=configs/success_table.py

Rates are in percent. The last columns add the seeds up, with 95 % Wilson intervals.
"""

from collections.abc import Sequence
from pathlib import Path

import ml_collections

from experiments.runs import app
from iss_jax.data.success import Success, read_success, wilson_interval
from iss_jax.jobs.packaged import located


def wilson(rows: Sequence[Success]) -> tuple[int, int, float, float]:
    """Successes, trials and the 95 % interval of their rate, over all rows."""
    successes, trials = sum(row.successes for row in rows), sum(row.trials for row in rows)
    return successes, trials, *wilson_interval(successes, trials)


def lines(rows: Sequence[Success]) -> list[str]:
    """The table of one policy, grouped by split.

    Args:
        rows: of one `policy_seed`.
    """
    seeds = sorted({row.seed for row in rows})
    out = []
    for split in dict.fromkeys(row.split for row in rows):
        part = [row for row in rows if row.split == split]
        tasks = dict.fromkeys((row.suite, row.task) for row in part)
        out.append(f"\n{split} ({len(tasks)} tasks)")
        out.append(f"{'':<66}" + "".join(f"{seed:>6}" for seed in seeds) + "   all  [95 %]")
        for suite, task in tasks:
            own = [row for row in part if (row.suite, row.task) == (suite, task)]
            name = f"{suite.removeprefix('libero_')}: {task.replace('_', ' ')}"
            out.append(_line(name if len(name) < 65 else f"{name[:61]}...", own, seeds))
        out.append(_line("mean over trials", part, seeds))
    return out


def _line(name: str, rows: Sequence[Success], seeds: Sequence[int]) -> str:
    cells = ""
    for seed in seeds:
        own = [row for row in rows if row.seed == seed]
        cells += f"{100 * wilson(own)[0] / wilson(own)[1]:>6.0f}" if own else f"{'':>6}"
    successes, trials, low, high = wilson(rows)
    rate = 100 * successes / trials
    return f"{name:<66}{cells}{rate:>6.1f}  [{100 * low:.0f}, {100 * high:.0f}]"


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Prints the table; `workdir` is not used."""
    del workdir
    rows = read_success(located(config.success, "success"))
    for policy in dict.fromkeys(row.policy_seed for row in rows):
        print(f"\npolicy {policy}")
        print("\n".join(lines([row for row in rows if row.policy_seed == policy])))


if __name__ == "__main__":
    app.run(main, "success_table", many_processes=False)
