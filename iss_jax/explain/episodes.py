"""Episodes of a policy explained into a run directory, frame by frame.

Writes, for every episode, into `episode_<index>/`:

- `iss_heatmaps.npz`: see `iss_jax.explain.files.write_heatmaps`;
- `overlays.png`: some frames with their saliency;
- where the dataset has region labels of all cameras: `nmr.json`, `nmr.csv`, `nmr.png` (NMR of every
  frame, its chance level and random explanations), `masks.png`, `regions.png` (some frames with
  their regions, Figure 8, and where the saliency lies over the episode);
- `players.csv`, `players.png`, `players_frames.png`: what the policy acts on, player by player;
- `episode.mp4`, and where the options ask for them `episode.gif` and `timeline.rrd`;

and over all of them `explorer.html` (a page to click through), `results.csv`, `results.json` and
`figures/`. An interrupted run is resumed by running it again.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from iss_jax.config import ISSConfig
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.data.outcome import check_outcomes
from iss_jax.explain.files import Explained, Told, paths_of, tell, write_episode_files
from iss_jax.explain.nmr import measure_episode
from iss_jax.explain.options import EpisodeOptions
from iss_jax.explain.pages import shown_episode
from iss_jax.explain.players import explain_players
from iss_jax.explain.positions import begins_with_position
from iss_jax.explain.subject import Subject
from iss_jax.jobs.directory import RunDirectory, run_items
from iss_jax.policies.frames import read_frames, source_of
from iss_jax.strides import interpolate, stride_frames
from iss_jax.viz.explorer import ShownEpisode
from iss_jax.viz.explorer_pages import write_pages
from iss_jax.viz.nmr_curve import compare_figure
from iss_jax.viz.trajectories import trajectories_figure


def explain_episodes(
    run: RunDirectory, options: EpisodeOptions, subject: Subject, dataset: Dataset
) -> dict[str, Any]:
    """Explains what the options ask for; returns what `results.json` holds.

    Args:
        run: Where all is written.
        options: Which episodes, frames and figures.
        subject: The policy.
        dataset: The episodes.

    Raises:
        IndexError: There is no such episode.
        ValueError: A camera has no images, players are asked for that there are no labels of, or
            metadata say success in a way that is not understood.
    """
    # Before anything is computed, which takes its time.
    check_outcomes(dataset, options.episodes or range(len(dataset)))
    for root in options.paths:
        drawn = open_dataset(root)
        check_outcomes(drawn, range(len(drawn)))
    iss = options.iss_config(subject.action_dims)
    donors = subject.donors(dataset, options) if options.players else None
    told: list[Told] = []
    shown: list[ShownEpisode] = []
    floors: list[float] = []
    indices = options.episodes or tuple(range(len(dataset)))
    for index in indices:
        found, results = explain_episode(run, options, iss, dataset, index, subject)
        floors += [result["floor"] for result in results if "floor" in result]
        if donors is not None:
            acted = explain_players(
                run, options, dataset, donors, index, found.seen, subject, found.computed
            )
            found = dataclasses.replace(found, acted=acted)
        if run.processes.first:
            write_episode_files(run.path / episode_folder(index), found, options)
            shown.append(shown_episode(found, options.players))
        # Its maps need not stay in memory.
        told.append(tell(found))
    rows = [row for one in told for row in one.rows]
    run.write_csv("results.csv", rows)
    content = {"iss": dataclasses.asdict(iss), "stride": options.stride, "episodes": rows}
    # The report shows no others, which an earlier run may have left here.
    content["folders"] = [episode_folder(index) for index in indices]
    if floors:
        content["floor"] = float(np.mean(floors))
    if donors is not None:
        content["fill"] = donors.fill
        if donors.reason:
            content["fill_reason"] = donors.reason
        content["acts_on"] = [row for one in told for row in one.sentences]
    unlabelled = [row["episode"] for row in rows if row["k"] is None]
    if unlabelled:
        content["without_nmr"] = f"episodes {unlabelled}: no region labels of all cameras"
    run.write_json("results.json", content)
    _write_figures(run, options, told)
    write_pages(run, shown, title="What the policy acts on")
    return content


def explain_episode(
    run: RunDirectory,
    options: EpisodeOptions,
    iss: ISSConfig,
    dataset: Dataset,
    index: int,
    subject: Subject,
) -> tuple[Explained, list[Mapping[str, Any]]]:
    """ISS at strided frames of an episode, in between by interpolation, and where it lies.

    Returns:
        The episode, and the results of its computed frames.

    Raises:
        IndexError: There is no such episode.
        ValueError: A camera has no images.
    """
    frames = slice(options.frames or None)
    episode = read_frames(dataset, index, frames, subject.frame_options, labels="optional")
    seen = subject.see(episode)
    computed = stride_frames(len(episode), options.stride)
    common = {
        "experiment": "explain_episode",
        **subject.run_keys(),
        "cameras": seen.cameras,
        "episode": index,
        **source_of(dataset, index),
        "iss": dataclasses.asdict(iss),
        "seed": options.seed,
    }

    def compute(item: Mapping[str, Any]) -> dict[str, Any]:
        key = jax.random.fold_in(jax.random.key(item["seed"]), item["frame"])
        return subject.map_of(seen, item["frame"], key, iss)

    results = run_items(
        run,
        [{**common, "frame": int(frame)} for frame in computed],
        compute,
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
    found = Explained(
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
        unit=subject.unit(iss),
        errors_of_contrasts=all("contrast_stderr" in result for result in results),
        placed=begins_with_position(dataset, index),
    )
    return found, results


def _write_figures(run: RunDirectory, options: EpisodeOptions, told: Sequence[Told]) -> None:
    curves = [(one.curve, one.title) for one in told if one.curve is not None]
    if curves:
        run.write_figure(
            "nmr_less_chance.png", compare_figure(*map(list, zip(*curves, strict=True)))
        )
    coloured: dict[str, list] = {}
    for one in told:
        if one.path is not None:
            coloured.setdefault(one.task, []).append(one.path)
    label = f"nmr@{options.percents[0]:g}"
    if coloured:
        run.write_figure("paths_by_nmr.png", trajectories_figure(coloured, label=label))
    for number, root in enumerate(options.paths):
        name = "paths_by_success.png" if number == 0 else f"paths_by_success_{number}.png"
        run.write_figure(name, trajectories_figure(paths_of(open_dataset(root))))


def episode_folder(index: int) -> str:
    """Where in a run directory the files of an episode lie.

    Args:
        index: Of the episode in its dataset.
    """
    return f"episode_{index:06d}"


def nmr_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """NMR of each episode as text; those without labels are left out.

    Args:
        rows: Of `results.csv`.
    """
    lines = ["episode  success frames     k    nmr  chance  random"]
    lines += [
        f"{row['episode']:>7}  {row['success']!s:<8}{row['frames']:>6}  {row['k']:>4g}  "
        f"{row['nmr']:>5.2f}  {row['chance']:>6.2f}  {row['random']:>6.2f}"
        for row in rows
        if row["k"] is not None
    ]
    return "\n".join(lines)
