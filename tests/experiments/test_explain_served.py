"""What a server says of its noise (`tests/policies/test_served.py` runs the command)."""

import pytest

from experiments.explain_served import noise_shape


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"action_horizon": 16},
        {"action_horizon": 16, "action_dim": "7"},
        {"action_horizon": 16.0, "action_dim": 7},
        {"action_horizon": True, "action_dim": 7},
        {"action_horizon": 0, "action_dim": 7},
        {"action_horizon": 10**9, "action_dim": 10**6},
    ],
)
def test_a_server_that_does_not_say_which_noise_it_takes_is_named(metadata):
    with pytest.raises(ValueError, match="ws://here: its metadata say action_horizon"):
        noise_shape(metadata, "ws://here")


def test_the_shape_is_what_the_server_says():
    assert noise_shape({"action_horizon": 16, "action_dim": 7, "robot": "x"}, "ws://here") == (
        16,
        7,
    )
