"""What is written of episodes, of a policy whose maps are known."""

import dataclasses
import json
import types
from typing import Any

import ml_collections
import numpy as np
import other_policies
import pytest
import tiny_policy
from matplotlib.figure import Figure

from iss_jax.cli.explain import get_config
from iss_jax.data.add_metadata import add_metadata
from iss_jax.data.dataset import open_dataset
from iss_jax.data.folders_write import write_folders
from iss_jax.explain import episodes
from iss_jax.explain.episodes import explain_episodes, nmr_table
from iss_jax.explain.files import paths_of, write_episode_files
from iss_jax.explain.options import EpisodeOptions
from iss_jax.explain.own_size import CameraOptions, as_sent
from iss_jax.jobs.directory import open_run
from iss_jax.jobs.options import from_config

KEYS = (
    *("iss", "players", "draws", "fill", "donors", "donors_from", "quiet", "episodes", "frames"),
    *("stride", "seed", "percents", "control_draws", "shown_frames", "video", "video_speed"),
    *("gif", "rerun"),
)
CAMERAS = CameraOptions({"top": "front"})


def subject(asked: list[int]) -> Any:
    def map_of(seen, frame, key, config):
        asked.append(frame)
        cells = np.full((1, 7, 7), float(frame))
        error = np.zeros_like(cells)
        return {
            "cells": cells,
            "stderr": error,
            "contrast_stderr": error,
            "effect": 1.0,
            "floor": 0.5 + frame,
        }

    return types.SimpleNamespace(
        frame_options=CAMERAS,
        action_dims=None,
        run_keys=lambda: {"policy": "known"},
        unit=lambda config: "units",
        see=lambda episode: as_sent(episode, CAMERAS.used),
        map_of=map_of,
    )


def options(**changes) -> EpisodeOptions:
    given = get_config()
    config = ml_collections.ConfigDict({key: given[key] for key in KEYS} | {"paths": ()})
    config.update({"players": "", "quiet": True, "stride": 1} | changes)
    return from_config(config, EpisodeOptions)


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr(episodes, "write_episode_files", lambda *args: None)
    monkeypatch.setattr(episodes, "trajectories_figure", lambda *args, **kwargs: Figure())


def test_floors_are_averaged_and_a_second_run_asks_nothing(tmp_path, no_pictures):
    dataset = other_policies.two_tasks(tmp_path / "episodes")
    run = open_run(tmp_path / "run", ml_collections.ConfigDict())
    asked: list[int] = []
    content = explain_episodes(run, options(episodes=(1, 0)), subject(asked), dataset)
    assert asked == [0, 1, 0, 1] and content["floor"] == 1.0
    assert [row["episode"] for row in content["episodes"]] == [1, 0]
    assert content["episodes"][0]["effect"] == 1.0
    assert content["without_nmr"] == "episodes [1, 0]: no region labels of all cameras"
    assert json.loads((tmp_path / "run" / "results.json").read_text()) == content | {
        "iss": content["iss"] | {"grid": [7, 7]}
    }
    explain_episodes(run, options(episodes=(1, 0)), subject(asked), dataset)
    assert len(asked) == 4


def test_a_path_is_drawn_where_the_states_are_known_to_begin_with_it(tmp_path, monkeypatch):
    drawn: list[Any] = []

    def figure(tasks, **kwargs):
        drawn.append(tasks)
        return Figure()

    monkeypatch.setattr(episodes, "write_episode_files", lambda *args: None)
    monkeypatch.setattr(episodes, "trajectories_figure", figure)
    known = tiny_policy.episode(2)
    place = {"suite": "libero_goal", "task": "reach"}
    unknown = dataclasses.replace(known, metadata=place, regions={})
    for name, own in (
        ("joints", dataclasses.replace(unknown, metadata={})),
        ("hand", unknown),
    ):
        write_folders(tmp_path / name, [own])
        run = open_run(tmp_path / f"run-{name}", ml_collections.ConfigDict())
        explain_episodes(run, options(), subject([]), open_dataset(tmp_path / name))
        assert run.path.joinpath("figures", "paths_by_nmr.png").exists() == (name == "hand")
    ((path,),) = [tasks[known.prompt] for tasks in drawn]
    assert path.success is None
    np.testing.assert_array_equal(path.position, known.state[:, :3])


def test_a_run_lists_its_folders(tmp_path, no_pictures):
    dataset = other_policies.two_tasks(tmp_path / "episodes")
    run = open_run(tmp_path / "run", ml_collections.ConfigDict())
    content = explain_episodes(run, options(episodes=(1,)), subject([]), dataset)
    assert content["folders"] == ["episode_000001"]


def test_files_of_an_earlier_run_of_the_same_episode_go(tmp_path):
    folder = tmp_path / "episode_000000"
    folder.mkdir()
    (folder / "players.png").write_bytes(b"old")
    (folder / "my_notes.txt").write_text("kept")
    broken: Any = None
    with pytest.raises(AttributeError):
        write_episode_files(folder, broken, options())
    assert [path.name for path in folder.iterdir()] == ["my_notes.txt"]


def test_a_text_of_failure_is_no_success_and_another_ends_before_anything(tmp_path, no_pictures):
    dataset = other_policies.two_tasks(tmp_path / "episodes")
    add_metadata(dataset, {0: {"success": "False"}, 1: {"success": "half"}})
    dataset = open_dataset(dataset.root)
    asked: list[int] = []
    run = open_run(tmp_path / "run", ml_collections.ConfigDict())
    with pytest.raises(ValueError, match="episodes, episode 1: success is 'half', one of true"):
        explain_episodes(run, options(episodes=(0, 1)), subject(asked), dataset)
    assert not asked
    content = explain_episodes(run, options(episodes=(0,)), subject(asked), dataset)
    assert content["episodes"][0]["success"] is False
    add_metadata(dataset, {1: {"success": "no"}})
    paths = paths_of(open_dataset(dataset.root))
    assert [path.success for own in paths.values() for path in own] == [False, False]


def test_the_table_leaves_out_what_has_no_labels():
    row = {"episode": 3, "success": True, "frames": 9, "k": 10, "nmr": 0.25, "chance": 0.5}
    lines = nmr_table([row | {"random": 0.4}, row | {"k": None}]).splitlines()
    assert len(lines) == 2
    assert lines[1].split() == ["3", "True", "9", "10", "0.25", "0.50", "0.40"]


def test_numbers_that_must_be_positive_are():
    with pytest.raises(ValueError, match=r"config\.video_speed: -1"):
        options(video_speed=-1.0)
    with pytest.raises(ValueError, match=r"config\.percents: empty"):
        options(percents=())


@pytest.mark.parametrize(
    ("change", "said"),
    [({"frames": -1}, "config.frames: -1 given"), ({"episodes": ("abc",)}, r"\['abc'\] given")],
)
def test_numbers_that_name_nothing_are_refused(change, said):
    with pytest.raises(ValueError, match=said):
        options(**change)
