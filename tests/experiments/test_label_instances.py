"""Frames recorded before things had names: which get them, and that all else stays."""

import dataclasses
import json

import numpy as np
import pytest
import tiny_policy
from command_line import smoke

from configs.label_instances import get_config
from experiments import label_instances
from experiments.label_instances import labelled, work_items
from iss_jax import embedded
from iss_jax.data.convert import differences
from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import write_episode

NAMES = {1: "robot", 2: "milk"}


def recorded(frames: int):
    """A trial as it is recorded today, with names."""
    episode = tiny_policy.episode(frames)
    rng = np.random.default_rng(5)
    numbers = {
        camera: rng.integers(0, 3, image.shape[:3], np.int32)
        for camera, image in episode.images.items()
    }
    return dataclasses.replace(
        episode, fps=2.5, instances=numbers, instance_names=NAMES, metadata={"other": 1}
    )


def test_only_frames_that_are_the_same_get_names():
    again = recorded(4)
    stored = tiny_policy.episode(4).take([1, 2, 3])
    state = stored.state.copy()
    state[1, 0] = np.nextafter(state[1, 0], np.float32(9))
    found = labelled(dataclasses.replace(stored, state=state), again.take([0, 1, 2]), [1, 2, 3])
    assert found["differs"] == [[], ["state"], ["the trial ended before"]]
    assert found["names"] == NAMES
    for camera, numbers in found["instances"].items():
        np.testing.assert_array_equal(numbers[0], again.instances[camera][1])
        assert not numbers[1:].any() and again.instances[camera][2].any()
    nothing = labelled(stored, None, [1, 2, 3])
    assert nothing["names"] == {} and not any(n.any() for n in nothing["instances"].values())


def test_the_embedded_frames_are_where_their_trials_have_them():
    items = work_items(get_config(), open_dataset(embedded.episodes_path()))
    assert len(items) == 205
    # 520 control steps, one in eight recorded: 65 frames, of which two were kept.
    assert items[0]["frames"] == [16, 48]


def test_frames_that_cannot_be_the_trials_are_refused(tmp_path):
    root = a_dataset(tmp_path, steps=8)
    with pytest.raises(ValueError, match=r"episode 0: 2 frames; 1 wanted of 8 control steps"):
        work_items(get_config(), open_dataset(root))


def a_dataset(root, steps: int):
    """Frames 1 and 3 of a trial from each of two starts."""
    for start in (3, 4):
        own = {"init_state": start, "layout_seed": 1300, "steps": steps}
        episode = tiny_policy.episode(4, **own)
        write_episode(root / "data", episode.take([1, 3]), robot_type="panda")
    return root / "data"


def test_a_dataset_gets_names_and_nothing_else_changes(tmp_path, monkeypatch):
    root = a_dataset(tmp_path, steps=26)
    asked = []

    class Result:
        episode = recorded(4)

    def act_out(config, checkpoint, trials):
        asked.extend(trials)
        yield from ((trial, Result) for trial in trials)

    monkeypatch.setattr(label_instances, "act_out", act_out)
    config = get_config()
    config.dataset = str(root)
    for _ in range(2):
        label_instances.main(config, tmp_path / "run")
    # As far as frame 3, and each once.
    assert [(t.suite, t.init_state, t.seed, t.max_steps, t.record_every) for t in asked] == [
        ("tiny", start, 1300, 25, 8) for start in (3, 4)
    ]
    for index in (0, 1):
        before = open_dataset(root).read(index)
        after = open_dataset(tmp_path / "run" / "episodes").read(index)
        assert after.instance_names == NAMES
        wanted = recorded(4).instances["wrist"][[1, 3]]
        np.testing.assert_array_equal(after.instances["wrist"], wanted)
        bare = dataclasses.replace(after, instances={}, instance_names={})
        assert differences(bare, before) == []
    rows = (tmp_path / "run" / "results.csv").read_text().splitlines()
    assert len(rows) == 1 + 4 and rows[1] == "0,0,tiny,milk,8,"


@pytest.mark.libero
def test_the_first_embedded_episode(tmp_path):
    smoke("label_instances", tmp_path)
    (file,) = (tmp_path / "items").iterdir()
    differs = json.loads(file.read_text())["result"]["differs"]
    found = open_dataset(tmp_path / "episodes").read(0)
    assert len(open_dataset(tmp_path / "episodes")) == 1
    assert {"robot", "gripper", "alphabet soup"} <= set(found.instance_names.values())
    # On other processors the trial may come out otherwise, and then its frames have no names.
    for frame, own in enumerate(differs):
        assert all(bool(n[frame].any()) == (not own) for n in found.instances.values())
