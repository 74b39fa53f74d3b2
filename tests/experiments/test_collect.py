"""Collection: plans, resuming, and frames without physics."""

import dataclasses
import queue

import numpy as np
import pytest
from command_line import ROOT, smoke

from configs import collect as config
from experiments import collect
from iss_jax.data.dataset import open_dataset


def options(variant="demonstrations", **changes):
    return dataclasses.replace(
        collect.CollectOptions.from_config(config.get_config(variant)), **changes
    )


def test_every_variant_fills_the_options_and_unknown_ones_are_named():
    for variant in ("demonstrations", "static", "corrections", "heldout", "smoke"):
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


def test_a_damaged_list_of_attempts_is_named_and_an_interrupted_line_is_not_damage(tmp_path):
    path = tmp_path / "shard-0.attempts.jsonl"
    attempts = collect._Attempts(path, tmp_path / "shard-0")
    attempts.add(3, 0, True)
    with path.open("a") as file:
        file.write('{"task": 3, "att')
    attempts = collect._Attempts(path, tmp_path / "shard-0")
    attempts.add(3, 1, False)
    found = collect._Attempts(path, tmp_path / "shard-0")
    assert found.done(3, 0) and found.done(3, 1) and not found.done(3, 2)
    assert found.successes(3) == found.total == 1
    path.write_text("no attempt\n" + path.read_text())
    with pytest.raises(ValueError, match=r"shard-0\.attempts\.jsonl, line 1"):
        collect._Attempts(path, tmp_path / "shard-0")


def test_plans_do_not_depend_on_each_other():
    assert collect.plan(options(), 3, 17) == collect.plan(options(), 3, 17)
    assert collect.plan(options(), 3, 17) != collect.plan(options(), 3, 18)
    assert collect.plan(options(seed=1), 3, 17) != collect.plan(options(seed=2), 3, 17)


@pytest.mark.libero
def test_a_shard_is_written_resumed_and_used_as_a_source(tmp_path):
    assert "2 of 2 attempts succeeded" in smoke("collect", tmp_path)
    root = tmp_path / "shard-0"
    first = open_dataset(root)
    assert len(first) == 2
    # An interruption between writing an episode and noting it down.
    record = tmp_path / "shard-0.attempts.jsonl"
    lines = record.read_text().splitlines()
    record.write_text("\n".join(lines[:-1]) + "\n")
    reports = queue.Queue()
    collect.run_shard(options("smoke"), str(tmp_path), 0, reports)
    assert len(open_dataset(root)) == 2 and reports.empty()
    assert open_dataset(root).metadata(1)["attempt"] != open_dataset(root).metadata(0)["attempt"]

    episode = first.read(0)
    frames = len(episode)
    assert episode.features["action_chunk"].shape == (frames, 16, 7)
    assert episode.features["simulator_state"].shape == (frames, 110)
    assert set(episode.regions) == {"front", "overhead", "wrist"}
    assert episode.metadata["split"] == "train" and episode.metadata["init_state"] >= 25
    # What the checkout has of it: the same trials, on any machine.
    stored = open_dataset(ROOT / "docs/episodes/expert").read(0)
    assert {**stored.metadata} == {**episode.metadata} and stored.prompt == episode.prompt
    np.testing.assert_allclose(stored.state, episode.state, atol=1e-3)

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


@pytest.mark.libero
def test_corrections_hold_what_the_policy_did_and_what_the_expert_would_do(tmp_path, monkeypatch):
    """A policy that lets the hand sink: the expert's labels do not follow it."""
    sink = np.zeros((16, 7), np.float32)
    sink[:, 2], sink[:, 6] = -0.2, -1.0
    seen = []

    def make_policy(checkpoint, **_):
        assert checkpoint == "a/step"
        return lambda observation: seen.append(observation) or sink

    monkeypatch.setattr("experiments.inputs.acting.make_policy", make_policy)
    chosen = options(
        "corrections",
        tasks=(0,),
        processes=1,
        image_size=16,
        policy="a/step",
        episodes_per_task=1,
        max_steps=32,
        expert_share=0.0,
    )
    reports = queue.Queue()
    collect.run_shard(chosen, str(tmp_path), 0, reports)
    assert reports.get() == (0, 0, 0, True)
    episode = open_dataset(tmp_path / "shard-0").read(0)
    # Of 32 control steps, every fourth is recorded and every eighth decided.
    assert len(episode) == 8 and len(seen) == 4
    assert seen[0]["seed"] == seen[3]["seed"] and set(seen[0]["images"]) == set(episode.images)
    np.testing.assert_array_equal(episode.action, np.broadcast_to(sink[0], (8, 7)))
    assert episode.features["action_chunk_valid"].all()
    assert episode.metadata["kind"] == "correction" and not episode.metadata["success"]
    # The label is the expert's action in that state: towards the object, whatever was done.
    apart = episode.features["target_position"][:, :2] - episode.state[:, :2]
    labels = episode.features["action_chunk"][:, 0]
    far = np.abs(apart) > 0.02
    assert far.any() and (np.sign(labels[:, :2]) == np.sign(apart))[far].all()

    collect.run_shard(
        dataclasses.replace(chosen, expert_share=1.0), str(tmp_path / "expert"), 0, reports
    )
    assert len(seen) == 4
    episode = open_dataset(tmp_path / "expert" / "shard-0").read(0)
    np.testing.assert_array_equal(episode.action, episode.features["action_chunk"][:, 0])
