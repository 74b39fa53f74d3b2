"""Where a state begins with a position, and where nothing says so."""

import types
from typing import Any

import pytest

from iss_jax.explain.positions import begins_with_position, named_position


@pytest.mark.parametrize(
    "names",
    [
        ("x", "y", "z", "roll"),
        ("ee.x", "ee.y", "ee.z"),
        ("eef_pos_0", "eef_pos_1", "eef_pos_2"),
        ("tcp_pose.position.x", "tcp_pose.position.y", "tcp_pose.position.z", "gripper"),
        ("EEF_POS_X", "EEF_POS_Y", "EEF_POS_Z"),
    ],
)
def test_coordinates_are_known_by_their_names(names):
    assert named_position(names)


@pytest.mark.parametrize(
    "names",
    [
        ("x", "y"),
        ("y", "x", "z"),
        ("joint_pos_0", "joint_pos_1", "joint_pos_2"),
        ("position_0", "position_1", "position_2"),
        ("shoulder_pan.pos", "shoulder_lift.pos", "elbow_flex.pos"),
        ("gripper", "x", "y", "z"),
    ],
)
def test_other_numbers_are_no_position(names):
    assert not named_position(names)


def data(names=(), size=8, **metadata) -> Any:
    return types.SimpleNamespace(
        state_names=names, state_size=size, metadata=lambda index: metadata
    )


def test_without_names_the_suite_says_it():
    assert begins_with_position(data(suite="libero_goal"), 0)
    assert not begins_with_position(data(suite="libero_goal", size=7), 0)
    assert not begins_with_position(data(suite="kitchen"), 0)
    assert not begins_with_position(data(), 0)
    # Names go before the suite.
    assert not begins_with_position(data(("q0", "q1", "q2"), suite="libero_goal"), 0)
