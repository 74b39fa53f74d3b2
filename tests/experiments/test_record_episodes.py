"""Recorded episodes: which trials, and what is kept of them (no simulator)."""

import dataclasses
import importlib

import numpy as np
import pytest
import tiny_policy
from command_line import smoke

from configs.record_episodes import VARIANTS, get_config
from experiments import record_episodes
from experiments.record_episodes import finished, missing, trials
from experiments.rollout import Planned, work_items
from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import write_episode
from iss_jax.envs.benchmarks import STUDY


@pytest.mark.parametrize("variant", VARIANTS)
def test_trials_start_where_the_rollouts_of_the_same_name_do(variant):
    found = trials(get_config(variant))
    rollout = importlib.import_module("configs.rollout").get_config("study")
    tasks = [Planned(t.suite, t.name, t.split, 220, {"native": 2}) for t in STUDY]
    names = ("suite", "task", "seed", "trial", "init_state", "layout_seed")
    wanted = [{name: item[name] for name in names} for item in work_items(rollout, tasks)]
    assert found and all(trial in wanted for trial in found)


def test_a_second_run_records_what_is_missing(tmp_path, monkeypatch):
    config = get_config("paths")
    wanted = trials(config)
    assert missing(wanted, tmp_path) == wanted
    acted = []

    class Result:
        episode = tiny_policy.episode(2, success=True)

    def act_out(config, checkpoint, items):
        for item in items[:3]:
            acted.append(item)
            yield item, Result

    monkeypatch.setattr(record_episodes, "act_out", act_out)
    for count in (3, 6):
        record_episodes.main(config, tmp_path)
        dataset = open_dataset(tmp_path / "episodes")
        assert len(dataset) == len(set(acted)) == count
        assert missing(wanted, tmp_path / "episodes") == wanted[count:]
    assert acted[0].record_every == 4 and acted[0].max_steps is None


def test_what_is_kept(tmp_path):
    (trial, *_) = trials(get_config())
    episode = tiny_policy.episode(2, success=False)
    numbers = {"front": np.ones((2, 24, 32), np.int32)}
    episode = dataclasses.replace(episode, instances=numbers, instance_names={1: "milk"})
    whole = finished(episode, trial, images=True)
    assert whole.metadata["split"] == "seen" and whole.metadata["task"] == trial["task"]
    assert whole.metadata["success"] is False and set(whole.images) == set(tiny_policy.CAMERAS)
    bare = finished(episode, trial, images=False)
    assert not bare.images and not bare.regions
    assert whole.instance_names and not bare.instances and not bare.instance_names
    write_episode(tmp_path, bare)
    np.testing.assert_array_equal(open_dataset(tmp_path).read(0).state, episode.state)


def test_unknown_seeds_and_variants_are_refused():
    config = get_config()
    config.starts = ((7, 0),)
    with pytest.raises(ValueError, match=r"seeds \[7\] given"):
        trials(config)
    with pytest.raises(ValueError, match="variant 'large' given"):
        get_config("large")


@pytest.mark.libero
def test_a_short_trial_is_recorded_with_labels(tmp_path):
    smoke("record_episodes", tmp_path)
    dataset = open_dataset(tmp_path / "episodes")
    (trial,) = trials(get_config("smoke"))
    # Of eight control steps, every fourth is recorded.
    assert len(dataset) == 1 and dataset.metadata(0)["length"] == 2
    assert {name: dataset.metadata(0)[name] for name in trial} == trial
    episode = dataset.read(0)
    for camera, image in episode.images.items():
        assert image.shape == (2, 80, 80, 3) and np.ptp(image) > 100
        assert set(np.unique(episode.regions[camera])) == {0, 1, 2}
