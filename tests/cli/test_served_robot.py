"""A robot of ours that a server names is taken, and said."""

import ml_collections
import pytest
from policy_servers import listening

from iss_jax.cli.options import describe, set_keys
from iss_jax.cli.served_robot import served_robot, told_plainly
from iss_jax.policies.client import PolicyClient
from iss_jax.policies.configs import EMBEDDED


def config_of(address):
    config = ml_collections.ConfigDict()
    set_keys(config)
    config.server = address
    return config


def test_the_robot_of_the_greeting_is_taken_with_a_note():
    with listening(lambda raw: {}, metadata={"robot": "embedded"}) as address:
        found = describe(config_of(address))
    assert found.robot is not None and found.robot.name == found.given == "embedded"
    assert found.note == "--robot embedded: the server names it"


@pytest.mark.parametrize("metadata", [{}, {"robot": "arm"}, {"robot": ["embedded"]}])
def test_a_name_that_is_none_of_ours_is_none(metadata):
    with listening(lambda raw: {}, metadata=metadata) as address:
        assert served_robot(address) == ""


def test_then_the_error_holds_a_robot_file_with_the_field_of_nested_cameras():
    told = pytest.raises(ValueError, match="--robot: none given")
    with listening(lambda raw: {}, metadata={"robot": "arm"}) as address, told as raised:
        describe(config_of(address))
    content: dict = {}
    exec(str(raised.value).partition("# my_robot.py")[2], content)
    assert content["robot"].images == "" and "images=" in str(raised.value)


def test_what_a_server_cannot_answer_is_said_with_the_key_of_its_cameras():
    """Of a robot that nests its cameras, when they are sent flat."""

    def infer(raw):
        EMBEDDED.split(raw)
        return {}

    with listening(infer) as address, PolicyClient(address) as client:
        told = pytest.raises(
            ValueError, match=r"under 'images' .*lacks; sent: \['front', 'prompt'\]$"
        )
        with told as raised, told_plainly(address):
            client.infer({"front": 1, "prompt": "reach"})
    assert "\n" not in str(raised.value)
    with told_plainly(""):
        pass
