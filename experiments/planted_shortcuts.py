"""Which explanation finds a shortcut that was planted? See `configs/planted_shortcuts.py`.

    python -m experiments.planted_shortcuts --config=configs/planted_shortcuts.py

Policies were trained with a floor panel whose colour names the wanted object with probability rho
(`experiments.planted.cue`). Closed-loop trials with a panel that shows another object say whether a
policy follows it; the share of its explanations that lies on the panel should say the same.

The workdir receives `trials.csv` (a row a trial), `frames.csv` (a row a policy and frame),
`results.json` and `figures/planted_shortcuts.png`. An interrupted run is resumed by running it
again.
"""

import dataclasses
from pathlib import Path
from typing import Any

import ml_collections

from experiments.planted import report as planted_report
from experiments.planted.figure import planted_figure
from experiments.runs import app, versions
from iss_jax.data import table
from iss_jax.data.dataset import open_dataset
from iss_jax.jobs.directory import RunDirectory, gather, open_run, run_items
from iss_jax.policies.chunks import robot_dims, warn_of_chunks
from iss_jax.policies.restored import checkpoint_folder, fingerprint, load_policy


def trials_of(run: RunDirectory, config: ml_collections.ConfigDict) -> list[dict[str, Any]]:
    """Runs what is missing of the trials; a row a trial."""
    from experiments.planted.trials import run_trials, trial_items

    # Maps have changed since; what the policy did has not.
    run = dataclasses.replace(run, version=versions.TRIALS)
    rows = []
    for rho in config.cue_probabilities:
        for seed in config.seeds:
            checkpoint = config.checkpoint.format(rho=rho, seed=seed)
            items = trial_items(config, fingerprint(checkpoint_folder(checkpoint)))
            run_trials(run, config, checkpoint, items)
            for item, result in zip(items, gather(run, items), strict=True):
                names = ("task", "condition", "trial", "named", "shown")
                row = {"rho": rho, "seed": seed, **{name: item[name] for name in names}}
                rows.append(row | {"success": int(result["success"]), "steps": result["steps"]})
    return rows


def frames_of(run: RunDirectory, config: ml_collections.ConfigDict) -> list[dict[str, Any]]:
    """Measures what is missing of the frames; a row a policy and frame."""
    from experiments.planted.maps import load_scenes, measure

    scenes = {one.name: one for one in load_scenes(config)}
    names = (
        "episode_frames",
        "action_horizon",
        "num_masks",
        "wide_sigma",
        "gradient_probes",
        "gradient_points",
        "percent",
    )
    options = {name: config[name] for name in (*names, "max_token_len", "num_steps")}
    rows = []
    for rho in config.cue_probabilities:
        for seed in config.seeds:
            policy = load_policy(checkpoint_folder(config.checkpoint.format(rho=rho, seed=seed)))
            for root in config.datasets:
                dims = robot_dims(policy.norm_stats)
                warn_of_chunks(open_dataset(root), config.action_horizon, dims)
            items = [
                {"policy": policy.fingerprint, "episode": name, "data": one.digest, **options}
                for name, one in scenes.items()
            ]
            results = run_items(
                run,
                items,
                lambda item, policy=policy: measure(scenes[item["episode"]], policy, config),
                description=f"maps, rho {rho:g}, seed {seed}",
            )
            for item, result in zip(items, results, strict=True):
                for frame, found in zip(config.episode_frames, result, strict=True):
                    one = {"rho": rho, "seed": seed, "task": item["episode"].split("/")[0]}
                    values = {key: float(f"{value:.6g}") for key, value in found.items()}
                    rows.append(one | {"episode": item["episode"], "frame": frame, **values})
    return rows


def read_rows(path: Path) -> list[dict[str, Any]]:
    """A table that this experiment wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it lacks the columns that all its tables have.
    """
    rows = [{name: _number(value) for name, value in row.items()} for row in table.read_rows(path)]
    if not rows or not {"rho", "seed", "task"} <= set(rows[0]):
        raise ValueError(f"{path}: not a table of planted_shortcuts")
    return rows


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    run = open_run(workdir, config, version=versions.MAPS)
    if config.tables:
        tables = [read_rows(Path(config.tables) / name) for name in ("trials.csv", "frames.csv")]
    else:
        tables = [trials_of(run, config), frames_of(run, config)]
    trials, frames = tables
    run.write_csv("trials.csv", trials)
    run.write_csv("frames.csv", frames)
    settings = {"confidence": config.confidence, "resamples": config.resamples}
    successes = planted_report.success(trials, config.confidence)
    content = {
        "success": successes,
        "shares": planted_report.shares(frames, **settings),
        "auc": planted_report.areas(frames, **settings),
        "tracking": planted_report.tracking(frames, **settings),
        "nmr": planted_report.nmr_against_success(frames, successes, config.confidence),
    }
    run.write_json("results.json", content)
    path = run.write_figure("planted_shortcuts.png", planted_figure(content))
    print("\n".join(planted_report.report_lines(content)))
    print(f"figure: {path}")
    return content


if __name__ == "__main__":
    app.run(main, "planted_shortcuts")
