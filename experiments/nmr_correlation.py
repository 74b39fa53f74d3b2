r"""Does attention to nuisance predict failure? nmr@k against success, as Figures 3 and 10.

    python -m experiments.nmr_correlation --config=configs/nmr_correlation.py
    python -m experiments.nmr_correlation --config=configs/nmr_correlation.py:smoke
    python -m experiments.nmr_correlation --config=configs/nmr_correlation.py:paper \
        --config.checkpoint=<folder> --config.dataset=<folder>

For every task and seed, ISS runs over strided frames of the task's episodes; its nuisance mass
ratio, averaged over the frames, is set against the task's success rate under that seed. The
correlations are clustered by task. Beside them stand those of random explanations with the same
values and the same smoothness, and that of the nuisance area alone.

The workdir receives `results.csv` (a row per task and seed), `results.json` (the correlations) and
`figures/`. An interrupted run is resumed by running it again.
"""

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from experiments import app
from experiments.nmr_items import chosen_frames, work_items
from experiments.nmr_measure import Measures, measure
from experiments.nmr_options import Options, from_config
from experiments.nmr_report import print_report, write_figures
from experiments.nmr_rows import (
    Key,
    correlations,
    join_success,
    make_rows,
    success_variation,
    table,
)
from experiments.planned import Episodes, PlannedItem, iss_runs
from experiments.policy import Policy, load_policy
from experiments.run_directory import RunDirectory, open_run, run_items
from iss_jax import ISSConfig, embedded
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.data.regions import fit_regions
from iss_jax.data.success import Success, read_success
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.observation import VIEWS

PACKAGED: dict[str, dict[str, Callable[[], Path]]] = {
    "checkpoint": {"embedded": embedded.checkpoint_path},
    "dataset": {"embedded": embedded.episodes_path},
    "success": {"embedded": embedded.success_path, "paper_table3": embedded.paper_table3_path},
}


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    options = from_config(config)
    run = open_run(workdir, config)
    iss, dataset, _, success, items, results = measured(options, run)
    rows = make_rows(items, results, success, options.percents)
    run.write_csv("results.csv", table(rows, options.percents))
    found = correlations(
        rows,
        options.percents,
        confidence=options.confidence,
        resamples=options.resamples,
        permutations=options.permutations,
    )
    content = {
        "tasks": len({(row.success.suite, row.success.task) for row in rows}),
        "seeds": sorted({row.success.seed for row in rows}),
        "rows": len(rows),
        "frames": sum(row.frames for row in rows),
        "iss": dataclasses.asdict(iss),
        "success_variation": success_variation(rows),
        "correlations": found,
    }
    run.write_json("results.json", content)
    figures = write_figures(
        run, rows, found, options.percents, items, results, dataset, options.overlay_rows
    )
    if not options.quiet:
        print_report(run, content, options.percents, figures)
    return content


def plan(config: ml_collections.ConfigDict, episodes: Episodes) -> list[PlannedItem]:
    """Runs of ISS by split, batches filled up; attention and token norms come beside, unpriced."""
    options = from_config(config)
    success = join_success(
        read_success(located(options.success, "success")),
        options.policy_seed,
        by_split=bool(options.split_key),
    )
    frame = iss_runs(options.iss_config(1))
    return [
        PlannedItem(
            one.split,
            len(one.frames),
            -(-len(one.frames) // options.batch) * options.batch * frame,
        )
        for one in chosen_frames(options, episodes, success)
    ]


class Measured(NamedTuple):
    """What was measured on which frames of what.

    Attributes:
        iss: the options of ISS.
        dataset: the episodes.
        policy: the policy.
        success: its success.
        items: the work items, an episode under a seed each.
        results: what `compute` found, for each item.
    """

    iss: ISSConfig
    dataset: Dataset
    policy: Policy
    success: dict[Key, Success]
    items: list[dict[str, Any]]
    results: list[dict[str, Any]]


def measured(options: Options, run: RunDirectory) -> Measured:
    """Measures all work items; those that the run directory holds already are read."""
    paths = {name: located(getattr(options, name), name) for name in PACKAGED}
    success = join_success(
        read_success(paths["success"]), options.policy_seed, by_split=bool(options.split_key)
    )
    dataset = open_dataset(paths["dataset"])
    policy = load_policy(paths["checkpoint"], tokenizer=options.tokenizer, dtype=options.dtype)
    iss = options.iss_config(len(policy.norm_stats["actions"].mean))
    items = work_items(options, iss, dataset, policy, success)
    results = run_items(
        run,
        items,
        lambda item: compute(item, iss, dataset, policy),
        description="ISS, episode by episode",
        quiet=options.quiet,
    )
    return Measured(iss, dataset, policy, success, items, results)


def compute(
    item: Mapping[str, Any],
    iss: ISSConfig,
    dataset: Dataset,
    policy: Policy,
) -> dict[str, Any]:
    """Measures of an item's frames, in batches of one size."""
    episode = dataset.read(item["episode"], item["frames"])
    if item.get("mirror"):
        episode = dataclasses.replace(
            episode,
            images={camera: image[:, :, ::-1] for camera, image in episode.images.items()},
            regions={camera: labels[:, :, ::-1] for camera, labels in episode.regions.items()},
        )
    cameras = {view: camera for view, camera in item["cameras"].items() if camera}
    unlabelled = [camera for camera in cameras.values() if camera not in episode.regions]
    if unlabelled:
        raise ValueError(
            f"{dataset.root}, episode {item['episode']}: no region labels for {unlabelled}, only "
            f"for {sorted(episode.regions)}"
        )
    name = f"{item['suite']}/{item['task']}/{item['split']}/{item['episode']}"
    key = jax.random.fold_in(jax.random.key(item["seed"]), zlib.crc32(name.encode()))
    parts = []
    for start in range(0, len(item["frames"]), item["batch"]):
        # The last batch is filled up with its last frame, so that all have one shape.
        wanted = np.arange(start, start + item["batch"])
        rows = np.minimum(wanted, len(item["frames"]) - 1)
        obs = make_observation(
            {camera: episode.images[camera][rows] for camera in cameras.values()},
            episode.state[rows],
            [episode.prompt] * len(rows),
            tokenizer=policy.tokenizer,
            norm_stats=policy.norm_stats,
            max_token_len=item["max_token_len"],
            cameras={view: cameras.get(view, "") for view in VIEWS},
            discrete_state_input=item["discrete_state_input"],
        )
        regions, valid = {}, {}
        for view, camera in cameras.items():
            labels, inside = fit_regions(
                episode.regions[camera][rows], policy.image_size, policy.image_size
            )
            regions[view] = labels
            valid[view] = np.broadcast_to(inside, labels.shape)
        part = measure(
            policy.params,
            obs,
            regions,
            valid,
            jax.random.fold_in(key, start),
            views=tuple(view for view in VIEWS if view in cameras),
            config=iss,
            action_horizon=item["action_horizon"],
            num_steps=item["num_steps"],
            percents=tuple(item["percents"]),
            control_draws=item["control_draws"],
        )
        new = int((wanted < len(item["frames"])).sum())
        parts.append(jax.tree.map(lambda leaf, new=new: np.asarray(leaf)[:new], part))
    joined: Measures = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    return joined._asdict()


def located(value: str, name: str) -> Path:
    """The path that a config key gives: a name of packaged data, or a path of one's own."""
    if not value:
        raise ValueError(f"config.{name}: empty; give --config.{name}=<path>")
    return PACKAGED[name][value]() if value in PACKAGED[name] else Path(value)


if __name__ == "__main__":
    app.run(main, "nmr_correlation")
