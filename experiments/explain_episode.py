"""ISS and NMR over whole episodes: `configs/explain_episode.py` says how to run it.

Writes, for every episode, into `episode_<index>/`:

- `iss_heatmaps.npz`: see `experiments.explain.files.write_heatmaps`;
- `overlays.png`: some frames with their saliency;
- where the dataset has region labels of all cameras: `nmr.json`, `nmr.csv`, `nmr.png` (NMR of every
  frame, its chance level and random explanations), `masks.png`, `regions.png` (some frames with
  their regions, Figure 8, and where the saliency lies over the episode);
- `players.csv`, `players.png`, `players_frames.png`: what the policy acts on, player by player;
- `episode.mp4`, and where the config asks for them `episode.gif` and `timeline.rrd`;

and over all of them `results.csv`, `results.json`, `figures/` and, from the command line,
`report.html`. An interrupted run is resumed by running it again, frame by frame.
"""

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from experiments.explain.files import (
    Explained,
    Told,
    paths_of,
    tell,
    write_episode_files,
)
from experiments.explain.nmr import measure_episode
from experiments.explain.options import Options
from experiments.explain.players import explain_players
from experiments.runs import app, versions
from experiments.runs.planned import PlannedItem, iss_runs
from iss_jax import ISSConfig, Sampling, saliency
from iss_jax.data.dataset import Dataset, Episodes, open_dataset
from iss_jax.jobs.directory import RunDirectory, open_run, run_items
from iss_jax.jobs.options import from_config
from iss_jax.pi05.observation import Observation
from iss_jax.policies.frames import Seen, present_views, read_frames, see, source_of
from iss_jax.policies.restored import Policy
from iss_jax.results import effect_unit
from iss_jax.strides import interpolate, stride_frames
from iss_jax.viz.nmr_curve import compare_figure
from iss_jax.viz.trajectories import trajectories_figure

# The second one names the episode: several may lie in one file. The third one holds its words.
LAYOUT = 3


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    options = from_config(config, Options)
    policy, dataset = options.load()
    run = open_run(workdir, config, layout=LAYOUT, version=versions.MAPS)
    iss = options.iss_config(len(policy.norm_stats["actions"].mean))
    donors = None
    if options.players:
        donors = options.load_donors(policy, dataset)
    told: list[Told] = []
    for index in options.episodes or range(len(dataset)):
        found = explain(run, options, iss, dataset, index, policy)
        if donors is not None:
            acted = explain_players(
                run, options, dataset, donors, index, found.seen, policy, found.computed
            )
            found = dataclasses.replace(found, acted=acted)
        if run.processes.first:
            write_episode_files(run.path / f"episode_{index:06d}", found, options)
        # Its frames need not stay in memory.
        told.append(tell(found))
    rows = [row for one in told for row in one.rows]
    run.write_csv("results.csv", rows)
    content = {"iss": dataclasses.asdict(iss), "stride": options.stride, "episodes": rows}
    if donors is not None:
        content["fill"] = donors.fill
        content["acts_on"] = [row for one in told for row in one.sentences]
    unlabelled = [row["episode"] for row in rows if row["k"] is None]
    if unlabelled:
        content["without_nmr"] = f"episodes {unlabelled}: no region labels of all cameras"
    run.write_json("results.json", content)
    _write_figures(run, options, told)
    if not options.quiet:
        _print(rows)
        if unlabelled:
            print(f"No NMR of {content['without_nmr']}.")
    return content


def plan(config: ml_collections.ConfigDict, episodes: Episodes) -> list[PlannedItem]:
    """An item a frame at which saliency is computed, a stage an episode."""
    values = config.to_dict()
    frame, found = PlannedItem("frames", 1, iss_runs(ISSConfig(**values["iss"]))), []
    for index in values["episodes"] or range(len(episodes)):
        length = episodes.metadata(index)["length"]
        computed = stride_frames(min(length, values["frames"] or length), values["stride"])
        found += [frame._replace(stage=index)] * len(computed)
    return found


def explain(
    run: RunDirectory,
    options: Options,
    iss: ISSConfig,
    dataset: Dataset,
    index: int,
    policy: Policy,
) -> Explained:
    """ISS at strided frames of an episode, in between by interpolation, and where it lies.

    Raises:
        IndexError: there is no such episode.
        ValueError: a camera has no images.
    """
    shown = options.frame_options
    frames = slice(options.frames or None)
    episode = read_frames(dataset, index, frames, shown, labels="optional")
    seen = see(episode, policy, shown, trim_prompt=True)
    computed = stride_frames(len(episode), options.stride)
    common = {
        "experiment": "explain_episode",
        **options.run_keys(policy),
        "cameras": seen.cameras,
        "episode": index,
        **source_of(dataset, index),
        "iss": dataclasses.asdict(iss),
        "seed": options.seed,
    }
    results = run_items(
        run,
        [{**common, "frame": int(frame)} for frame in computed],
        partial(_compute, seen=seen, iss=iss, policy=policy),
        description=f"ISS, episode {index}",
        quiet=options.quiet,
    )
    cells, stderr, contrast_stderr = (
        np.array([result.get(name, result["stderr"]) for result in results], np.float32)
        for name in ("cells", "stderr", "contrast_stderr")
    )
    # Upsampling is linear, so that maps of interpolated cells are the interpolated maps.
    cells = np.asarray(interpolate(jnp.asarray(cells), jnp.asarray(computed), len(episode)))
    measures = None
    if set(seen.regions) == set(seen.views):
        measures = measure_episode(
            cells,
            seen.regions,
            seen.valid,
            jax.random.key(options.seed),
            percents=options.percents,
            control_draws=options.control_draws,
        )
    return Explained(
        index=index,
        episode=episode,
        seen=seen,
        cameras=seen.cameras,
        computed=computed,
        cells=cells,
        stderr=stderr,
        # JSON holds an infinite error, of a cell that too few masks drop, as null.
        contrast_stderr=np.nan_to_num(contrast_stderr, nan=np.inf, posinf=np.inf),
        effect=np.array([result["effect"] for result in results]),
        measures=measures,
        percents=options.percents,
        unit=effect_unit(iss, "normalised actions"),
        errors_of_contrasts=all("contrast_stderr" in result for result in results),
    )


def _compute(item: Mapping[str, Any], seen: Seen, iss: ISSConfig, policy: Policy) -> dict[str, Any]:
    frame = item["frame"]
    obs: Observation = jax.tree.map(lambda leaf: leaf[frame : frame + 1], seen.obs)
    result = _saliency(
        policy.params,
        obs,
        jax.random.fold_in(jax.random.key(item["seed"]), frame),
        views=seen.views,
        iss=iss,
        action_horizon=item["action_horizon"],
        sampling=Sampling(num_steps=item["num_steps"]),
    )
    rows = [list(result.maps).index(view) for view in seen.views]
    return {
        "cells": np.asarray(result.cells)[0, rows],
        "stderr": np.asarray(result.stderr)[0, rows],
        "contrast_stderr": np.asarray(result.contrast_stderr)[0, rows],
        "effect": float(result.effects.mean()),
    }


@partial(jax.jit, static_argnames=("views", "iss", "action_horizon", "sampling"))
def _saliency(params, obs, key, *, views, iss, action_horizon, sampling):
    # Under jit prompts are not trimmed, each to its own length: one program serves all frames.
    return saliency(
        params,
        present_views(obs, views),
        key=key,
        config=iss,
        action_horizon=action_horizon,
        sampling=sampling,
    )


def _write_figures(run: RunDirectory, options: Options, told: list[Told]) -> None:
    curves = [(one.curve, one.title) for one in told if one.curve is not None]
    if curves:
        run.write_figure(
            "nmr_less_chance.png", compare_figure(*map(list, zip(*curves, strict=True)))
        )
    coloured: dict[str, list] = {}
    for one in told:
        coloured.setdefault(one.task, []).append(one.path)
    label = f"nmr@{options.percents[0]:g}"
    run.write_figure("paths_by_nmr.png", trajectories_figure(coloured, label=label))
    for number, root in enumerate(options.paths):
        name = "paths_by_success.png" if number == 0 else f"paths_by_success_{number}.png"
        run.write_figure(name, trajectories_figure(paths_of(open_dataset(root))))


def _print(rows: list[dict[str, Any]]) -> None:
    print("\nepisode  success frames     k    nmr  chance  random")
    for row in rows:
        if row["k"] is not None:
            print(
                f"{row['episode']:>7}  {row['success']!s:<8}{row['frames']:>6}  {row['k']:>4g}  "
                f"{row['nmr']:>5.2f}  {row['chance']:>6.2f}  {row['random']:>6.2f}"
            )


if __name__ == "__main__":
    app.run(main, "explain_episode")
