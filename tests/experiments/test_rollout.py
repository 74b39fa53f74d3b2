"""Closed-loop success: the plan of the trials and the sums over them (no simulator)."""

import collections
import csv
import importlib
import shutil

import numpy as np
import pytest
import tiny_policy
from command_line import smoke
from scipy import stats

from experiments import rollout
from experiments.inputs import acting as live_policy
from experiments.making.known_trials import seed_run, trial_rows
from iss_jax import embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.data.success import Success, read_success
from iss_jax.envs.benchmarks import SPLITS, STUDY
from iss_jax.envs.rollout import Rollout
from iss_jax.jobs.directory import open_run


@pytest.fixture
def config():
    return importlib.import_module("configs.rollout").get_config()


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
    assert {config.trials[split].native for split in SPLITS} == {25}
    config.trials.seen.native, config.trials.near.native, config.trials.far.native = 2, 3, 4
    items = rollout.work_items(config, rollout.planned(config))
    count = collections.Counter(item["split"] for item in items)
    assert [count[split] for split in SPLITS] == [18 * 5 * 2, 13 * 5 * 3, 10 * 5 * 4]
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


def outcomes(items):
    """Successes and steps that tell trials apart."""
    return [{"success": i % 3 == 0, "steps": 10 + i} for i in range(len(items))]


def test_known_trials_are_not_run_again(config, tmp_path, monkeypatch):
    """Of a wider run only what the table lacks is left, and what is to be recorded."""
    config.seeds, config.trials, config.recorded = (0, 13), {"native": 2, "shuffled": 1}, 1
    items = rollout.work_items(config, tasks(config, "a", "b"))
    run = open_run(tmp_path / "first", config)
    run.write_csv("trials.csv", trial_rows(items, outcomes(items)))
    config.trials, config.recorded = {"native": 3, "shuffled": 1}, 1
    wider = rollout.work_items(config, tasks(config, "a", "b"))
    second = open_run(tmp_path / "second", config)
    stored = seed_run(second, wider, tmp_path / "first" / "trials.csv")
    left = second.unfinished(wider)
    assert stored == 2 * 2 * 2 and len(wider) == len(left) + stored
    assert {(i["condition"], i["trial"]) for i in left} == {("native", 0), ("native", 2)}
    expected = dict(zip(map(str, items), outcomes(items), strict=True))
    for item in wider:
        if item not in left:
            assert second.load(item) == expected[str(item)]
    assert seed_run(second, wider, tmp_path / "first" / "trials.csv") == 0
    ran = []
    monkeypatch.setattr(rollout, "_run_part", lambda run, config, items, *rest: ran.extend(items))
    rollout.run_trials(second, config, wider)
    assert ran == left


def test_a_recorded_episode_names_its_trial_and_the_landmarks_that_count(
    config, tmp_path, monkeypatch
):
    """Trials end at once here; all the rest is as it is run. Of both tasks one has landmarks."""
    config.suite, config.seeds, config.recorded, config.landmarks = "study", (13,), 1, True
    chosen = [
        next(task for task in STUDY if task.split == "seen" and bool(task.landmarks) == wanted)
        for wanted in (True, False)
    ]
    items = rollout.work_items(
        config,
        [rollout.Planned(t.suite, t.name, t.split, t.max_steps, {"native": 1}) for t in chosen],
    )

    asked = []

    def act_out(config, checkpoint, trials, transform):
        asked.extend(trials)
        for trial in trials:
            yield trial, Rollout(True, 8, tiny_policy.episode(1, suite=trial.suite))

    monkeypatch.setattr(rollout, "act_out", act_out)
    run = open_run(tmp_path, config)
    rollout.run_trials(run, config, items)
    assert not run.unfinished(items)
    assert [trial.support for trial in asked] == [task.landmarks for task in chosen]
    assert {trial.record_every for trial in asked} == {config.execute}
    dataset = open_dataset(tmp_path / "episodes")
    found = [dataset.metadata(i) for i in range(len(dataset))]
    assert found[0]["landmarks"].split() == list(chosen[0].landmarks)
    assert "landmarks" not in found[1]
    for one, item in zip(found, items, strict=True):
        assert {name: one[name] for name in rollout.NAME} == {n: item[n] for n in rollout.NAME}


def test_trials_of_another_policy_or_protocol_are_not_known(config, tmp_path):
    config.trials = {"native": 1}
    items = rollout.work_items(config, tasks(config, "a"))
    run = open_run(tmp_path / "run", config)
    path = run.write_csv("trials.csv", trial_rows(items, outcomes(items)))
    config.execute = 4
    assert seed_run(run, rollout.work_items(config, tasks(config, "a")), path) == 0
    others = [{**item, "policy": "another"} for item in items]
    with pytest.raises(ValueError, match=r"trials\.csv: trials of policies .* of \['another'\]"):
        seed_run(run, others, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("max_steps", "steps_at_most"), r"columns \['max_steps'\]"),
        (lambda text: text.replace(",1,10\n", ",yes,10\n"), "line 2: success 'yes'"),
        (lambda text: text + text.splitlines()[1][:-5] + ",0,99\n", "line 4: another outcome"),
    ],
)
def test_damaged_tables_of_trials_are_named(config, tmp_path, change, message):
    config.seeds, config.trials = (0,), {"native": 2}
    items = rollout.work_items(config, tasks(config, "a"))
    run = open_run(tmp_path / "run", config)
    path = run.write_csv("trials.csv", trial_rows(items, outcomes(items)))
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=rf"trials\.csv.*{message}"):
        seed_run(run, items, path)


def test_a_checkpoint_that_cannot_act_is_named_before_anything_starts(tmp_path):
    config = importlib.import_module("configs.rollout").get_config("study")
    config.checkpoint = str(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"nowhere: no checkpoint here"):
        rollout.main(config, tmp_path / "run")
    shutil.copytree(embedded.checkpoint_path() / "params", tmp_path / "step" / "params")
    config.checkpoint = str(tmp_path / "step")
    with pytest.raises(FileNotFoundError, match=r"norm_stats\.json"):
        rollout.main(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_blur_away_removes_a_ten_pixel_object():
    image = np.full((80, 80, 3), 128, np.uint8)
    image[35:45, 35:45] = 255
    blurred = live_policy.blur_away({"front": image})["front"]
    # 100 of 6,400 pixels, 127 brighter: spread evenly that is 2 levels, at the peak 5.
    assert blurred.dtype == np.uint8
    assert np.ptp(blurred) <= 5 and abs(float(blurred.mean()) - float(image.mean())) < 1.5


def test_steps_that_nobody_noted_stay_unknown(config, tmp_path):
    config.seeds, config.trials = (0,), {"native": 1}
    items = rollout.work_items(config, tasks(config, "a"))
    run = open_run(tmp_path / "run", config)
    path = run.write_csv("trials.csv", trial_rows(items, [{"success": True, "steps": None}]))
    assert seed_run(run, items, path) == 1
    assert run.load(items[0]) == {"success": True, "steps": None}


@pytest.mark.libero
def test_a_short_trial_of_the_embedded_policy(tmp_path):
    printed = smoke("rollout", tmp_path)
    (row,) = read_success(tmp_path / "success.csv")
    # Sixteen control steps are too few to take anything.
    assert (row.suite, row.split, row.trials, row.successes) == ("libero_object", "native", 1, 0)
    (trial,) = csv.DictReader((tmp_path / "trials.csv").read_text().splitlines())
    assert (trial["success"], trial["steps"]) == ("0", "16")
    interval = stats.binomtest(0, 1).proportion_ci(method="wilson")
    assert f"0 of 1    0.000 [0.000, {interval.high:.3f}]" in printed
