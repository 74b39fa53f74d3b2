"""What is measured on which frames: work items computed, or read where they are stored."""

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.nmr.items import work_items
from experiments.nmr.measure import Measures, measure
from experiments.nmr.options import Options
from experiments.nmr.rows import Key, join_success
from iss_jax import ISSConfig
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.data.regions import fit_regions
from iss_jax.data.success import Success, read_success
from iss_jax.jobs.directory import RunDirectory, run_items
from iss_jax.jobs.packaged import PACKAGED, located
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.observation import VIEWS
from iss_jax.policies.restored import Policy, load_policy


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
