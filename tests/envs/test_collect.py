"""Collection: plans, resuming, and frames without physics."""

import dataclasses
import queue

import numpy as np
import pytest

from configs import collect as config
from experiments import collect
from iss_jax.data.lerobot import open_dataset


def options(variant="demonstrations", **changes):
    return dataclasses.replace(
        collect.CollectOptions.from_config(config.get_config(variant)), **changes
    )


def test_every_variant_fills_the_options_and_unknown_ones_are_named():
    for variant in ("demonstrations", "static", "heldout", "smoke"):
        assert options(variant).suite == "libero_object"
    with pytest.raises(ValueError, match="'everything'"):
        config.get_config("everything")


def test_plans_keep_to_their_split_and_shares():
    for variant in ("demonstrations", "heldout"):
        chosen = options(variant)
        plans = [collect.plan(chosen, task, i) for task in range(10) for i in range(100)]
        states = {plan.init_state for plan in plans}
        train = variant == "demonstrations"
        assert states == set(range(25, 50) if train else range(25))
        layouts = [plan.layout for plan in plans]
        # 1,000 draws: within five standard errors (1.6 % at most).
        for kind, share in zip(chosen.layouts, chosen.layout_shares, strict=True):
            assert abs(layouts.count(kind) / 1000 - share) < 0.08
        assert abs(np.mean([plan.noise for plan in plans]) - chosen.noise_share) < 0.08
        assert all(plan.other_target is None for plan in plans if plan.layout == "native")
        seeds = [plan.layout_seed for plan in plans]
        assert len(set(seeds)) == 1000
        # The held-out seeds stay below 10,000 for as many attempts as are ever made.
        attempts = [plan.layout_seed for plan in plans[: 10 * chosen.max_attempts_per_task]]
        assert min(attempts) >= 10_000 if train else max(seeds) < 10_000


def test_plans_do_not_depend_on_each_other():
    assert collect.plan(options(), 3, 17) == collect.plan(options(), 3, 17)
    assert collect.plan(options(), 3, 17) != collect.plan(options(), 3, 18)
    assert collect.plan(options(seed=1), 3, 17) != collect.plan(options(seed=2), 3, 17)


@pytest.mark.libero
def test_a_shard_is_written_resumed_and_used_as_a_source(tmp_path):
    smoke = options("smoke", image_size=16, frame_every=4)
    reports = queue.Queue()
    collect.run_shard(smoke, str(tmp_path), 0, reports)
    root = tmp_path / "shard-0"
    first = open_dataset(root)
    assert len(first) == 2
    # An interruption between writing an episode and noting it down.
    record = tmp_path / "shard-0.attempts.jsonl"
    lines = record.read_text().splitlines()
    record.write_text("\n".join(lines[:-1]) + "\n")
    count = reports.qsize()
    collect.run_shard(smoke, str(tmp_path), 0, reports)
    assert len(open_dataset(root)) == 2 and reports.qsize() == count
    assert open_dataset(root).metadata(1)["attempt"] != open_dataset(root).metadata(0)["attempt"]

    episode = first.read(0)
    frames = len(episode)
    assert episode.features["action_chunk"].shape == (frames, 16, 7)
    assert episode.features["simulator_state"].shape == (frames, 110)
    assert set(episode.regions) == {"front", "overhead", "wrist"}
    assert episode.metadata["split"] == "train" and episode.metadata["init_state"] >= 25

    still = dataclasses.replace(
        options("static"),
        tasks=(0,),
        processes=1,
        image_size=16,
        sources=(str(root),),
        blocks_per_task=1,
        frames_per_block=6,
    )
    collect.run_shard(still, str(tmp_path / "static"), 0, reports)
    block = open_dataset(tmp_path / "static" / "shard-0").read(0)
    assert len(block) == 6 and not block.regions
    assert block.features["action_chunk_valid"].all()
    # Independent frames: the wanted object stands elsewhere in each.
    target = block.features["target_position"]
    gaps = np.linalg.norm(target[:, None] - target[None], axis=-1)
    assert gaps[np.triu_indices(6, 1)].min() > 1e-4
    np.testing.assert_array_equal(block.action, block.features["action_chunk"][:, 0])
