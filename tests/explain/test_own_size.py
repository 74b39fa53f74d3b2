"""Frames that are sent as they are, and donors of their cameras' sizes."""

import jax.numpy as jnp
import numpy as np
import pytest
import tiny_policy
from other_policies import two_tasks

from iss_jax.background import Background, Groups
from iss_jax.data.dataset import open_dataset
from iss_jax.data.folders_write import write_folders
from iss_jax.explain.donors import PlayersAsked
from iss_jax.explain.own_size import CameraOptions, allowed_donors, as_sent, own_size_donors

CAMERAS = CameraOptions({"hand": "wrist", "top": "front"})


def test_views_have_names_of_their_own_and_keep_their_order():
    assert list(CAMERAS.used) == ["hand", "top"]
    with pytest.raises(ValueError, match="one camera at least"):
        CameraOptions({"hand": ""})


def test_nothing_is_resized_and_labels_come_along():
    episode = tiny_policy.episode(2)
    seen = as_sent(episode, CAMERAS.used)
    np.testing.assert_array_equal(seen.images["top"], episode.images["front"])
    np.testing.assert_array_equal(seen.regions["hand"], episode.regions["wrist"])
    assert seen.valid["top"].shape == (2, 24, 32) and seen.valid["top"].all()


def test_donors_are_of_other_tasks_at_their_own_size(tmp_path):
    dataset = two_tasks(tmp_path)
    asked = PlayersAsked("looks", 1, "auto", 8, "")
    donors = own_size_donors(dataset, asked, CAMERAS)
    assert donors.fill == "background" and donors.bank is not None
    assert donors.bank.images["top"].shape == (2, 24, 32, 3)
    free = allowed_donors(donors.bank, donors.groups(dataset, 0))
    assert free is not None and len(free) == 1
    own = Groups(jnp.array([0]), jnp.array([0]))
    with pytest.raises(ValueError, match="donors: none of 1 is of another task"):
        allowed_donors(Background({"top": jnp.zeros((1, 2, 2, 3))}, task=jnp.array([0])), own)
    assert allowed_donors(None, None) is None


def test_why_no_donors_are_drawn_is_said(tmp_path):
    """Of one task there are none of others; cameras of other names are an error where asked for."""
    dataset = two_tasks(tmp_path / "two")
    write_folders(tmp_path / "one", [tiny_policy.episode(2)])
    alone = open_dataset(tmp_path / "one")
    found = own_size_donors(alone, PlayersAsked("looks", 1, "auto", 8, ""), CAMERAS)
    assert found.fill == "blur" and found.reason.startswith("one task: no donors of other tasks in")
    assert own_size_donors(dataset, PlayersAsked("looks", 1, "auto", 8, ""), CAMERAS).reason == ""
    blur = own_size_donors(alone, PlayersAsked("looks", 1, "blur", 8, ""), CAMERAS)
    assert (blur.fill, blur.reason) == ("blur", "")
    odd = CameraOptions({"top": "ceiling"})
    found = own_size_donors(alone, PlayersAsked("looks", 1, "auto", 8, str(dataset.root)), odd)
    assert found.fill == "blur" and "two lacks the cameras ['ceiling']" in found.reason
    with pytest.raises(ValueError, match=r"two lacks the cameras \['ceiling'\].*--donors_from"):
        own_size_donors(alone, PlayersAsked("looks", 1, "background", 8, str(dataset.root)), odd)
