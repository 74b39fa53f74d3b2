"""Frames that are sent as they are, and donors of their cameras' sizes."""

import jax.numpy as jnp
import numpy as np
import pytest
import tiny_policy
from other_policies import two_tasks

from iss_jax.background import Background, Groups
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
