"""Does a monitor ring before a policy fails, and how often for nothing? See `configs/monitor.py`.

    python -m experiments.monitor --config=configs/monitor.py

Every inference of every trial has its signals: the nuisance share (sixteen runs), NMR of the
paper's map, the entropy of sampled chunks, image features and the policy's own. Detectors are
fitted, calibrated and judged on tasks of their own. The workdir receives `trials.csv` (a row a
trial), `signals.npz`, `rates.csv` (a row a detector, kind of episode and level),
`areas.csv`, `results.csv` (the comparison), `results.json` and `figures/monitor.png`. An
interrupted run is resumed by running it again.
"""

from pathlib import Path
from typing import Any

import ml_collections

from experiments.monitored.detectors import ALONE
from experiments.monitored.episodes import Watched, read_table, trial_rows, watched, write_table
from experiments.monitored.figure import monitor_figure
from experiments.monitored.judge import areas, judge, names_of, rates
from experiments.monitored.report import comparison, lines
from experiments.runs import app
from iss_jax.jobs.directory import RunDirectory, gather, open_run, run_items


def episodes_of(run: RunDirectory, config: ml_collections.ConfigDict) -> list[Watched]:
    """The trials, acted out, watched from recordings, or read from a table.

    Raises:
        ValueError: Another source.
    """
    if config.source == "table":
        return read_table(Path(config.table))
    if config.source == "recorded":
        return _from_recordings(run, config)
    if config.source != "rollouts":
        raise ValueError(
            f"config.source: {config.source!r} given, table, recorded or rollouts wanted"
        )
    from experiments.monitored.trials import run_trials, trial_items

    items = trial_items(config)
    if config.finished_only:
        known = [(item, run.load(item)) for item in items]
        return [watched(item, result) for item, result in known if result is not None]
    run_trials(run, config, items)
    return [watched(*pair) for pair in zip(items, gather(run, items), strict=True)]


def _from_recordings(run: RunDirectory, config: ml_collections.ConfigDict) -> list[Watched]:
    from experiments.monitored.recorded import recorded_items, watch_recorded
    from experiments.monitored.signals import SignalOptions, donor_bank, signals_of
    from iss_jax import embedded
    from iss_jax.data.dataset import open_dataset
    from iss_jax.policies.restored import load_policy

    options = SignalOptions(**config.signals.to_dict())
    policy = load_policy(embedded.checkpoint_path())
    signals = signals_of(policy, donor_bank(options), options)
    dataset = open_dataset(embedded.episodes_path())
    items = recorded_items(
        config.signals.to_dict(),
        policy.fingerprint,
        config.recorded_panels,
        suites=config.recorded_suites,
        tasks=config.tasks,
        seeds=config.recorded_seeds,
    )
    results = run_items(
        run,
        items,
        lambda item: watch_recorded(item, signals, dataset),
        description="episodes",
        quiet=config.quiet,
    )
    return [watched(*pair) for pair in zip(items, results, strict=True)]


def pace(run: RunDirectory, config: ml_collections.ConfigDict) -> dict[str, Any]:
    """How long the monitor takes beside the embedded policy, and on the released sizes by count."""
    from experiments.monitored.pace import counted_rows, pace_rows
    from experiments.monitored.signals import SignalOptions, donor_bank, signals_of
    from iss_jax import embedded
    from iss_jax.policies.restored import load_policy

    options = SignalOptions(**config.signals.to_dict())
    signals = signals_of(load_policy(embedded.checkpoint_path()), donor_bank(options), options)
    settings = {"calls": config.calls, "periods": config.periods, "period": config.period}
    rows = pace_rows(signals, **settings)
    counted = counted_rows(signals.program.runs + 1, 1 / config.period)
    run.write_csv("pace.csv", rows)
    run.write_csv("counted.csv", counted)
    run.write_csv("results.csv", rows)
    content = {"pace": rows, "counted": counted}
    run.write_json("results.json", content)
    print("\n".join(str(row) for row in (*rows, *counted)))
    return content


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    run = open_run(workdir, config)
    if config.source == "pace":
        return pace(run, config)
    episodes = episodes_of(run, config)
    judged = judge(
        episodes,
        home=tuple(config.home),
        levels=tuple(config.levels),
        horizon=config.horizon,
        equal_steps=config.equal_steps,
        window=config.window,
        partitions=config.partitions,
        seed=config.seed,
    )
    settings = {"resamples": config.resamples, "confidence": config.confidence}
    names = names_of(judged)
    rate_rows = rates(judged, episodes, execute=config.execute * config.every, **settings)
    area_rows = areas(judged, episodes, **settings)
    table = [
        row
        for looks in dict.fromkeys((config.horizon, config.equal_steps))
        for level in config.levels
        for row in comparison(rate_rows, area_rows, names, level, looks)
    ]
    counts = {
        "episodes": len(episodes),
        "inferences": sum(one.length for one in episodes),
        "partitions": len(judged.outcomes),
        "calibrated by": sorted(set(judged.calibrated)),
        "in the sum": {name: sum(name in own for own in judged.chosen) for name in ALONE},
    }
    if run.processes.first and config.source != "table":
        write_table(workdir / "signals.npz", episodes)
    run.write_csv("trials.csv", trial_rows(episodes))
    run.write_csv("rates.csv", rate_rows)
    run.write_csv("areas.csv", area_rows)
    run.write_csv("results.csv", table)
    content = {"counts": counts, "table": table}
    run.write_json("results.json", content)
    figure = monitor_figure(rate_rows, names, config.levels[0], config.horizon)
    path = run.write_figure("monitor.png", figure)
    main_rows = [
        row for row in table if row["level"] == config.levels[0] and row["looks"] == config.horizon
    ]
    print("\n".join(lines(main_rows, counts)))
    print(f"figure: {path}")
    return content


if __name__ == "__main__":
    app.run(main, "monitor")
