"""What is measured on which frames: work items computed, or read where they are stored."""

import functools
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from iss_jax import ISSConfig, Sampling
from iss_jax.against_success.effects import Bank, EffectOptions, load_bank, measure_effects
from iss_jax.against_success.items import Chosen, chosen_frames, work_items
from iss_jax.against_success.labelled import check_labelled
from iss_jax.against_success.measure import Measures, measure
from iss_jax.against_success.options import Options
from iss_jax.against_success.rows import Key, join_success
from iss_jax.data.dataset import Dataset
from iss_jax.data.success import Success, read_success
from iss_jax.jobs.directory import RunDirectory, run_items
from iss_jax.jobs.packaged import located
from iss_jax.policies.frames import FrameOptions, read_frames, see
from iss_jax.policies.restored import Policy


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
    """Measures all work items; those that the run directory holds already are read.

    Episodes and success are joined by the keys that the options name.
    """
    success = join_success(
        read_success(located(options.success, "success")),
        options.policy_seed,
        by_split=bool(options.split_key),
    )
    policy, dataset = options.load()
    chosen = chosen_frames(options, dataset, success)
    return measure_chosen(options, run, policy, dataset, success, chosen)


def measure_chosen(
    options: Options,
    run: RunDirectory,
    policy: Policy,
    dataset: Dataset,
    success: dict[Key, Success],
    chosen: Sequence[Chosen],
) -> Measured:
    """Measures the frames that were chosen.

    Args:
        options: of the job.
        run: where results are kept.
        policy: the policy.
        dataset: the episodes.
        success: the rows of the success table.
        chosen: frames of episodes, under the seeds of those rows.

    Raises:
        ValueError: the first of the episodes has no region labels, or NMR by effect has no donors;
            the message says what helps.
    """
    for one in chosen[:1]:
        check_labelled(dataset, one.episode, options.frame_options)
    options.effect_options.check(dataset)
    iss = options.iss_config(len(policy.norm_stats["actions"].mean))
    items = work_items(options, iss, dataset, policy, success, chosen)
    bank = functools.cache(
        lambda: load_bank(options.effect_options, dataset, policy, options.frame_options)
    )
    results = run_items(
        run,
        items,
        lambda item: compute(item, iss, dataset, policy, bank()),
        description="ISS, episode by episode",
        quiet=options.quiet,
    )
    return Measured(iss, dataset, policy, success, items, results)


def compute(
    item: Mapping[str, Any],
    iss: ISSConfig,
    dataset: Dataset,
    policy: Policy,
    bank: Bank | None = None,
) -> dict[str, Any]:
    """Measures of an item's frames, in batches of one size; NMR by effect with donors alone."""
    options = FrameOptions.of_item(item)
    episode = read_frames(dataset, item["episode"], item["frames"], options)
    name = f"{item['suite']}/{item['task']}/{item['split']}/{item['episode']}"
    key = jax.random.fold_in(jax.random.key(item["seed"]), zlib.crc32(name.encode()))
    effect_key = jax.random.fold_in(key, zlib.crc32(b"effects"))
    parts: list[tuple[Measures, dict[str, np.ndarray]]] = []
    for start in range(0, len(item["frames"]), item["batch"]):
        # The last batch is filled up with its last frame, so that all have one shape.
        wanted = np.arange(start, start + item["batch"])
        rows = np.minimum(wanted, len(item["frames"]) - 1)
        seen = see(episode.take(rows), policy, options)
        part = measure(
            policy.params,
            seen.obs,
            seen.regions,
            seen.valid,
            jax.random.fold_in(key, start),
            views=seen.views,
            config=iss,
            action_horizon=item["action_horizon"],
            sampling=Sampling(num_steps=item["num_steps"]),
            percents=tuple(item["percents"]),
            control_draws=item["control_draws"],
        )
        effects = {}
        if bank is not None:
            given = {k: v for k, v in item["effects"].items() if k != "bank"}
            chosen = EffectOptions(**given)
            # Of the frame itself, wherever it stands in a batch.
            numbers = np.asarray(item["frames"], np.uint32)[rows]
            effects = measure_effects(
                policy,
                seen,
                bank,
                item["episode"],
                jax.vmap(jax.random.fold_in, (None, 0))(effect_key, numbers),
                chosen.config(iss.action_dims),
                chance=chosen.chance,
                anything=chosen.anything,
                action_horizon=item["action_horizon"],
                sampling=Sampling(num_steps=item["num_steps"]),
            )
        new = int((wanted < len(item["frames"])).sum())
        both = (part, effects)
        parts.append(jax.tree.map(lambda leaf, new=new: np.asarray(leaf)[:new], both))
    joined, effects = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    return {**joined._asdict(), **effects}
