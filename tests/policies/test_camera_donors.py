"""Donors at the cameras' sizes are the dataset's own pixels."""

import numpy as np
import pytest

from iss_jax.data.dataset import open_dataset
from iss_jax.policies.camera_donors import camera_background
from iss_jax.policies.donors import donor_frames, groups

SAMPLE = "tests/samples/lerobot/v30_image"


def test_donors_are_frames_of_the_dataset_with_their_state_and_instruction():
    dataset = open_dataset(SAMPLE)
    bank = camera_background(dataset, most=5, seed=1)
    assert sorted(bank.images) == ["front", "wrist"] and len(bank) == 2
    for place, (episode, frame) in enumerate(donor_frames(dataset, 5, 1)):
        whole = dataset.read(episode)
        for camera in ("front", "wrist"):
            np.testing.assert_array_equal(bank.images[camera][place], whole.images[camera][frame])
        np.testing.assert_array_equal(bank.state[place], whole.state[frame])
        assert bank.prompts[place] == whole.prompt
        assert int(bank.episode[place]) == episode


def test_a_frame_draws_no_donor_of_its_own_task():
    dataset = open_dataset(SAMPLE)
    bank = camera_background(dataset, ["wrist"], most=5)
    assert list(bank.images) == ["wrist"]
    allowed = np.asarray(bank.allowed(groups(dataset, bank, [0])))[0]
    np.testing.assert_array_equal(allowed, np.asarray(bank.episode) != 0)


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match=r"\['rear'\] given, the dataset has"):
        camera_background(open_dataset(SAMPLE), ["rear"])
