"""Plans: what would be computed, counted without computing it."""

import dataclasses
import importlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from experiments import (
    estimator_accuracy,
    explain_episode,
    fidelity,
    hyperparameters,
    nmr_correlation,
    plan,
    robustness,
)
from experiments.inputs.episodes import paper_episodes
from experiments.runs.planned import PlannedItem, iss_runs
from iss_jax import ISSConfig, embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.pi05.checkpoint import read_sizes, restore_params
from iss_jax.pi05.params import PI05, sizes_of

ROOT = Path(__file__).parents[2]


def config_of(variant):
    return importlib.import_module("configs.nmr_correlation").get_config(variant)


def test_the_papers_episodes():
    """App. C.1: 3,600 of 18 seen tasks, 575 of 13 and 10 unseen ones."""
    episodes = paper_episodes(200)
    lines = [episodes.metadata(index) for index in range(len(episodes))]
    assert Counter(line["split"] for line in lines) == {
        "seen": 3600,
        "unseen_level1": 13 * 25,
        "unseen_level2": 10 * 25,
    }
    assert len({line["task"] for line in lines}) == 41


def test_the_papers_study_without_its_data():
    """25 episodes of 41 tasks under 5 seeds, every tenth of 205 frames: 21, filled up to 24."""
    config = config_of("paper")
    items = nmr_correlation.plan(config, plan.episodes_of(config, 205))
    assert len(items) == 41 * 25 * 5
    assert {(item.frames, item.runs) for item in items} == {(21, 24 * 101)}
    config.episodes_per_task, config.seeds = 0, (0,)
    items = nmr_correlation.plan(config, plan.episodes_of(config, 200))
    assert len(items) == 4175
    assert plan.sizes_of_config(config) == ("the released pi0.5", PI05)


@pytest.mark.parametrize("variant", ["embedded", "smoke"])
def test_a_plan_of_data_that_is_there_counts_its_frames(variant):
    """41 tasks and 5 seeds of two frames ship; the smoke variant takes one of two tasks' each."""
    config = config_of(variant)
    items = nmr_correlation.plan(config, plan.episodes_of(config, 1))
    dataset = open_dataset(embedded.episodes_path())
    if variant == "embedded":
        assert len(items) == len(dataset) and {item.frames for item in items} == {2}
        assert {item.runs for item in items} == {2 * 101}
    else:
        assert len(items) == 2 * 5 and {item[1:3] for item in items} == {(1, 11)}


def test_the_accuracy_benchmark():
    """20 frames: 20,000 reference masks, 1,300 plain and 354 + 35 gradient candidate runs each,
    these at 2.2 forward ones; the Jacobian of 147 cells at 2 each.
    """
    config = importlib.import_module("configs.estimator_accuracy").get_config()
    items = estimator_accuracy.plan(config, plan.episodes_of(config, 1))
    assert len(items) == 20 * (10 + 7)
    wanted = 20 * (20_000 + 1_300 + 2.2 * 389 + 2 * 147)
    assert sum(item.runs for item in items) == pytest.approx(wanted)


def test_whole_episodes():
    """Algorithm 1 on the paper's episodes: frames 0, 10, ..., 190 and 199 of each."""
    config = importlib.import_module("configs.explain_episode").get_config("paper")
    items = explain_episode.plan(config, plan.episodes_of(config, 200))
    assert len(items) == 21 * 4175 and {item[:3] for item in items} == {("frames", 1, 101)}
    # Episodes come one after the other, so that more GPUs than an episode has frames do not help.
    assert plan.fullest_share(items, 64) == 4175 * 101
    config.frames, config.episodes = 8, (3, 4)
    items = explain_episode.plan(config, plan.episodes_of(config, 200))
    assert len(items) == 2 * 2


def test_table_1():
    """500 frames at 5 keep probabilities: 1,000 runs of reference, 20 of random cells kept, and
    2 presets x 5 seeds x (200 masks, cells kept at 4 numbers of masks).
    """
    config = importlib.import_module("configs.hyperparameters").get_config("paper")
    items = hyperparameters.plan(config, plan.episodes_of(config, 200))
    assert len(items) == 500 * 5 and {item.runs for item in items} == {1020 + 10 * 204}
    assert Counter(item.kind for item in items)["seen, p = 0.3"] == 250
    config.frames_per_group = 0
    assert len(hyperparameters.plan(config, plan.episodes_of(config, 200))) == 41 * 5


def test_experiments_on_perturbations():
    """20 frames an episode. Fidelity: a frame and 3 copies, each with its actions, a map of 101
    runs and 4 gradients of 2.2. Robustness: actions of 5 rows; then 2 rows, 3 maps, 8 gradients.
    """
    config = importlib.import_module("configs.fidelity").get_config("paper")
    items = fidelity.plan(config, plan.episodes_of(config, 200))
    assert len(items) == 1000
    assert {item.frames for item in items} == {20} and len({item.runs for item in items}) == 1
    assert items[0].runs == pytest.approx(20 * (4 + 4 * 101 + 4 * 4 * 2.2))
    config = importlib.import_module("configs.robustness").get_config("paper")
    items = robustness.plan(config, plan.episodes_of(config, 200))
    selection, maps = items[:4175], items[4175:]
    assert set(selection) == {("selection", 20, 20 * 5, 0)} and len(maps) == 209
    assert {(item.kind, item.frames, item.stage) for item in maps} == {("maps", 20, 1)}
    runs = 20 * (2 + 3 * 101 + 2 * 4 * 2.2)
    assert maps[0].runs == maps[-1].runs == pytest.approx(runs)
    # 522 of 4,175 selections, then 27 of 209 maps.
    assert plan.fullest_share(items, 8) == pytest.approx(522 * 100 + 27 * runs)


def test_runs_of_a_map():
    assert iss_runs(ISSConfig(num_masks=100)) == 101
    assert iss_runs(ISSConfig(num_masks=10, noise_draws=3)) == 33
    assert iss_runs(ISSConfig(num_masks=9, estimator="gradient")) == pytest.approx(22)
    assert iss_runs(ISSConfig(estimator="auto")) == pytest.approx(41 * 2.2)


def test_hours_are_those_of_the_fullest_share():
    """130 items of 36 runs, a second each: 78 minutes; the fullest of 64 shares has 3 of them."""
    items = [PlannedItem("a", 2, 36.0)] * 100 + [PlannedItem("b", 1, 36.0)] * 30
    first, second, both = plan.table(items, 1e12, 1e12, (1, 64, 200))
    assert (first["kind"], second["kind"], both["kind"]) == ("a", "b", "all")
    assert (both["items"], both["frames"], both["runs"]) == (130, 230, 4680)
    assert both["pflop"] == pytest.approx(4.68)
    assert both["hours_1"] == pytest.approx(1.3)
    assert both["hours_64"] == pytest.approx(0.03) and both["hours_200"] == pytest.approx(0.01)
    uneven = [PlannedItem("a", 1, float(runs)) for runs in range(1, 9)]
    assert 36 / 2 <= plan.fullest_share(uneven, 2) < 36
    assert plan.fullest_share(uneven, 8) == 8
    staged = [item._replace(stage=int(item.runs)) for item in uneven]
    assert plan.fullest_share(staged, 8) == 36


def test_sizes_are_read_without_the_parameters():
    path = embedded.checkpoint_path()
    assert dataclasses.asdict(read_sizes(path)) == dataclasses.asdict(
        sizes_of(restore_params(path))
    )


def test_the_command_prints_a_table():
    command = [sys.executable, "-m", "experiments.plan"]
    command += ["--config=configs/nmr_correlation.py:paper", "--config.episodes_per_task=0"]
    command += ["--config.seeds=(0,)", "--plan.gpus=(1,8)"]
    command += ["--plan.peak_tflops=100", "--plan.utilisation=0.5"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    assert "assumed: 100 TFLOP/s (peak_tflops) x 0.5 (utilisation)" in lines
    (flops,) = (float(line.split()[2]) for line in lines if line.startswith("a run:"))
    kind, items, frames, runs, _, one, hours, eight, _ = lines[-1].split()
    assert (kind, items, frames, runs, hours) == ("all", "4,175", "83,500", "8,433,500", "h")
    np.testing.assert_allclose(float(one), 8_433_500 * flops / 50 / 3600, rtol=1e-3)
    # 522 of 4,175 items in the fullest share.
    np.testing.assert_allclose(float(eight), float(one) * 522 / 4175, rtol=5e-3)


def test_what_cannot_be_planned_is_said():
    with pytest.raises(SystemExit, match=r"no experiments/nothing\.py"):
        plan.planner("nothing")
    with pytest.raises(SystemExit, match=r"experiments\.success_table has no function plan"):
        plan.planner("success_table")
