"""Players and donors of a frame at its cameras' own sizes."""

import dataclasses

import numpy as np
import pytest
import tiny_policy

from experiments.acting_on.served import sent_donors, sent_players
from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import write_episode
from iss_jax.policies.frames import FrameOptions

SHOWN = FrameOptions({"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    first = tiny_policy.episode(3, success=True)
    write_episode(root, first)
    write_episode(root, dataclasses.replace(first, prompt="another", metadata={}))
    return open_dataset(root)


def test_donors_are_of_other_tasks_and_of_the_cameras_sizes(dataset):
    frame = dataset.read(0, [1])
    fill, bank = sent_donors(dataset, 0, frame, SHOWN, fill="auto", most=8)
    assert fill == "background" and bank is not None
    assert bank.images["base_0_rgb"].shape == (1, *frame.images["front"].shape[1:])
    assert sent_donors(dataset, 0, frame, SHOWN, fill="mean", most=8) == ("mean", None)
    small = {camera: image[:, ::2] for camera, image in frame.images.items()}
    other = dataclasses.replace(frame, images=small, regions={})
    assert sent_donors(dataset, 0, other, SHOWN, fill="auto", most=8) == ("blur", None)
    with pytest.raises(ValueError, match="no frames of other tasks at the same size"):
        sent_donors(dataset, 0, other, SHOWN, fill="background", most=8)


def test_players_are_those_that_the_config_names(dataset):
    frame = dataset.read(0, [1])
    regions = sent_players("regions", frame, SHOWN.used)
    assert regions.names == ("nuisance", "support", "action-critical")
    assert regions.labels["base_0_rgb"].shape == frame.images["front"].shape[1:3]
    looks = sent_players("looks", frame, SHOWN.used)
    assert np.asarray(looks.labels["left_wrist_0_rgb"]).max() < len(looks)
    # Without instance labels things have no names.
    assert sent_players("names", frame, SHOWN.used).names == looks.names
    with pytest.raises(ValueError, match="'things' given"):
        sent_players("things", frame, SHOWN.used)
    with pytest.raises(ValueError, match="no region labels of"):
        sent_players("regions", dataclasses.replace(frame, regions={}), SHOWN.used)
