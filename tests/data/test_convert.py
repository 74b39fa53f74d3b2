"""Every format to every other and back, to the bit."""

import dataclasses
import itertools
import os

import numpy as np
import pytest
from command_line import smoke
from episodes import an_episode, three_episodes

from configs.convert_dataset import get_config
from experiments import convert_dataset
from iss_jax import embedded
from iss_jax.data.convert import FORMATS, convert, differences, verify
from iss_jax.data.dataset import digest, open_dataset
from iss_jax.data.folders_write import write_folders
from iss_jax.data.lerobot import Keys, write_episode
from iss_jax.data.lerobot_v30_write import write_dataset


def _write(root, to, episodes):
    if to == "v2.1":
        for episode in episodes:
            write_episode(root, episode, robot_type="panda")
    else:
        writer = write_dataset if to == "v3.0" else write_folders
        writer(root, episodes, robot_type="panda")


@pytest.mark.parametrize("to", FORMATS)
def test_written_and_read_back(to, tmp_path):
    _write(tmp_path / "data", to, three_episodes())
    dataset = open_dataset(tmp_path / "data")
    assert len(dataset) == 3 and dataset.robot_type == "panda" and dataset.state_size == 8
    assert sorted(dataset.cameras) == ["front", "wrist"]
    for index, episode in enumerate(three_episodes()):
        assert differences(dataset.read(index), episode) == []
        line = dataset.metadata(index)
        assert line["length"] == len(episode) and line["tasks"] == [episode.prompt]
        assert all(path.is_file() for path in dataset.files(index))
    assert digest(dataset.files(0)) != digest(dataset.files(1)) or to == "v3.0"
    assert dataset.read(1, [2, 0]).state.tolist() == three_episodes()[1].state[[2, 0]].tolist()
    bare = dataset.read(0, regions=False)
    assert bare.regions == bare.instances == bare.instance_names == {}


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(FORMATS, 2)))
def test_there_and_back(one, other, tmp_path):
    _write(tmp_path / "a", one, three_episodes())
    convert(open_dataset(tmp_path / "a"), tmp_path / "b", other)
    convert(open_dataset(tmp_path / "b"), tmp_path / "c", one)
    back = open_dataset(tmp_path / "c")
    assert back.robot_type == "panda"
    for index, episode in enumerate(three_episodes()):
        assert differences(back.read(index), episode) == []


def test_differences_are_to_the_bit():
    episode = an_episode()
    state = episode.state.copy()
    state[0, 0] = np.nextafter(state[0, 0], np.float32(np.inf))
    other = dataclasses.replace(
        episode,
        state=state,
        regions={},
        features={},
        metadata={"seed": 1},
        prompt="x",
        instances={"wrist": episode.instances["wrist"] ^ 1},
        instance_names={},
    )
    assert differences(episode, other) == [
        *("prompt", "metadata", "instance_names", "state", "regions['front']"),
        "instances['wrist']",
        *(f"features[{n!r}]" for n in sorted(episode.features)),
    ]


def test_verify_finds_a_changed_copy(tmp_path):
    _write(tmp_path / "a", "v2.1", three_episodes())
    changed = [*three_episodes()[:2], an_episode(7, 1)]
    _write(tmp_path / "b", "v3.0", changed)
    with pytest.raises(ValueError, match=r"b \(episode 2\): differs in .*images\['front'\]"):
        verify(open_dataset(tmp_path / "a"), tmp_path / "b")


@pytest.mark.parametrize("to", FORMATS)
def test_nothing_is_half_written(to, tmp_path):
    _write(tmp_path / "a", "v2.1", three_episodes())
    dataset = open_dataset(tmp_path / "a")
    last = dataset.data_path(2)
    last.write_bytes(last.read_bytes()[:100])
    with pytest.raises(ValueError, match="episode 2"):
        convert(dataset, tmp_path / "b", to)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(FileExistsError, match="not empty"):
        convert(dataset, tmp_path / "full", to)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["file"]


def test_arrays_that_the_folder_layout_does_not_know_are_named(tmp_path):
    _write(tmp_path / "a", "folders", [an_episode()])
    (states,) = (tmp_path / "a").rglob("states.npz")
    with np.load(states) as file:
        np.savez(states, **file, force=np.zeros((5, 3)), labels=np.array(["a"]))
    dataset = open_dataset(tmp_path / "a")
    assert dataset.unread == ("force", "labels")
    with pytest.raises(ValueError, match=r"\['force', 'labels'\] are not read"):
        convert(dataset, tmp_path / "b", "v2.1")
    assert convert(dataset, tmp_path / "b", "v2.1", drop_unread=True) == 1


def test_a_killed_writers_folder_is_in_nobodys_way(tmp_path):
    left = tmp_path / f".a.{os.getpid()}.tmp"
    left.mkdir()
    (left / "half").touch()
    _write(tmp_path / "b", "v2.1", [an_episode()])
    convert(open_dataset(tmp_path / "b"), tmp_path / "a", "v2.1")
    assert not (tmp_path / "a" / "half").exists() and not left.exists()


def test_an_unknown_format_is_refused(tmp_path):
    _write(tmp_path / "a", "v2.1", [an_episode()])
    with pytest.raises(ValueError, match="'v4' given"):
        convert(open_dataset(tmp_path / "a"), tmp_path / "b", "v4")


def test_formats_that_have_no_use_for_an_option_say_so(tmp_path):
    _write(tmp_path / "a", "v2.1", [an_episode()])
    _write(tmp_path / "b", "folders", [an_episode()])
    with pytest.raises(ValueError, match="says itself what its fps is"):
        open_dataset(tmp_path / "a", fps=3.0)
    with pytest.raises(ValueError, match="have no features"):
        open_dataset(tmp_path / "b", keys=Keys())
    (tmp_path / "a/meta/info.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"info\.json: missing"):
        open_dataset(tmp_path / "a")
    with pytest.raises(FileNotFoundError, match=r"nowhere: neither meta/info\.json"):
        open_dataset(tmp_path / "nowhere")


def test_the_command(tmp_path, capsys):
    _write(tmp_path / "a", "v2.1", three_episodes())
    config = get_config("folders")
    config.dataset = str(tmp_path / "a")
    config.metadata = '{"suite": "mine"}'
    config.task_from_prompt = True
    config.quiet = True
    convert_dataset.main(config, tmp_path / "b")
    assert "3 episodes as folders" in capsys.readouterr().out
    lines = [open_dataset(tmp_path / "b").metadata(i) for i in range(3)]
    assert [line["task"] for line in lines] == ["pick the milk", "b", "pick the milk"]
    assert {line["suite"] for line in lines} == {"mine"}
    config.metadata = "[1]"
    with pytest.raises(ValueError, match=r"config\.metadata: .* a JSON object wanted"):
        convert_dataset.main(config, tmp_path / "c")


def test_the_packaged_episodes_as_v30(tmp_path):
    printed = smoke("convert_dataset", tmp_path / "out")
    assert "3 episodes as v3.0" in printed and "equals its source to the bit" in printed
    written, packaged = open_dataset(tmp_path / "out"), open_dataset(embedded.episodes_path())
    assert len(written) == 3
    np.testing.assert_array_equal(written.read(2).state, packaged.read(2).state)
