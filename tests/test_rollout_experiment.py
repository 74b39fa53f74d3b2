"""Closed-loop success: the plan of the trials and the sums over them (no simulator)."""

import collections
import importlib

import numpy as np
import pytest
from scipy import stats

from experiments import live_policy, rollout
from experiments.run_directory import open_run
from iss_jax.data.success import Success


@pytest.fixture
def config(tmp_path):
    (tmp_path / "step").mkdir()
    (tmp_path / "step" / "a").write_text("x")
    config = importlib.import_module("configs.rollout").get_config()
    config.checkpoint = str(tmp_path / "step")
    return config


def tasks(config, *names):
    trials = config.trials.to_dict()
    return [rollout.Planned("libero_object", name, "", config.max_steps, trials) for name in names]


def test_trials_are_distinct_and_held_out(config):
    items = rollout.work_items(config, tasks(config, "a", "b"))
    assert len(items) == 2 * 5 * (5 + 5 + 1 + 1)
    native = [i for i in items if i["task"] == "a" and i["condition"] == "native"]
    assert len({i["init_state"] for i in native}) == 25
    assert max(i["init_state"] for i in items) < 25
    assert max(i["layout_seed"] for i in items) < 10_000
    starts = {(i["init_state"], i["layout_seed"]) for i in items}
    assert len(starts) == 25  # the same in every condition and task
    blurred = [i for i in items if i["task"] == "b" and i["condition"] == "shuffled_blurred"]
    assert len({i["init_state"] for i in blurred}) == 5
    config.seeds = (100,)
    with pytest.raises(ValueError, match="seeds below 100"):
        rollout.work_items(config, tasks(config, "a"))


def test_a_run_can_be_widened(config):
    """More trials add items; those that were there stay what they were."""
    few = rollout.work_items(config, tasks(config, "a"))
    config.trials = {"native": 25, "shuffled": 25, "native_blurred": 2, "shuffled_blurred": 1}
    many = rollout.work_items(config, tasks(config, "a"))
    assert all(item in many for item in few)
    starts = {(i["seed"], i["init_state"]) for i in many if i["condition"] == "native"}
    assert len(starts) == 5 * 25


def test_the_study_is_rolled_out_by_split():
    config = importlib.import_module("configs.rollout").get_config("study")
    config.trials.seen.native, config.trials.near.native, config.recorded = 2, 3, 1
    items = rollout.work_items(config, rollout.planned(config))
    count = collections.Counter(item["split"] for item in items)
    assert (
        count["seen"] == 18 * 5 * 2 and count["near"] == 13 * 5 * 3 and count["far"] == 10 * 5 * 5
    )
    assert count["seen_shuffled"] == 18 * 5 * 5 and count["seen_native_blurred"] == 18 * 5
    assert sum(item["record"] for item in items) == 41 * 5
    limits = {(item["suite"], item["max_steps"]) for item in items}
    assert {("libero_spatial", 220), ("libero_10", 520), ("libero_object_swap", 280)} <= limits
    names = {(i["suite"], i["task"], i["split"], i["seed"], i["trial"]) for i in items}
    assert len(names) == len(items)


def test_sums_and_intervals(config, tmp_path):
    config.seeds, config.trials = (0, 13), {"native": 3, "native_blurred": 3}
    items = rollout.work_items(config, tasks(config, "a", "b"))
    run = open_run(tmp_path / "run", config)
    for item in items:
        won = item["condition"] == "native" and (item["task"] == "a" or item["trial"] == 0)
        run.save(item, {"success": won, "steps": 10})
    rows = rollout.success_rows(run, items, policy_seed=4)
    assert rows[0] == Success("a", "libero_object", "native", 4, 0, 3, 3)
    assert len(rows) == 2 * 2 * 2 and sum(row.successes for row in rows) == 6 + 2
    table = {(row["condition"], row["task"]): row for row in rollout.summary(rows)}
    total = table["native", "all"]
    assert (total["trials"], total["successes"]) == (12, 8)
    interval = stats.binomtest(8, 12).proportion_ci(method="wilson")
    assert (total["low"], total["high"]) == pytest.approx(interval, abs=1e-4)
    assert table["native_blurred", "all"]["rate"] == 0.0


def test_blur_away_removes_a_ten_pixel_object():
    image = np.full((80, 80, 3), 128, np.uint8)
    image[35:45, 35:45] = 255
    blurred = live_policy.blur_away({"front": image})["front"]
    # 100 of 6,400 pixels, 127 brighter: spread evenly that is 2 levels, at the peak 5.
    assert blurred.dtype == np.uint8
    assert np.ptp(blurred) <= 5 and abs(float(blurred.mean()) - float(image.mean())) < 1.5
