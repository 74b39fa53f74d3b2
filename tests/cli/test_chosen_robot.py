"""Which robot is taken where none is given, and what is said where none can be."""

import pytest
import tiny_policy

from iss_jax import embedded
from iss_jax.cli.chosen_robot import choose_robot, skeleton
from iss_jax.data.dataset import open_dataset
from iss_jax.data.folders_write import write_folders
from iss_jax.policies.checkpoint_facts import checkpoint_facts
from iss_jax.policies.configs import EMBEDDED, PolicyConfig


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiny")
    tiny_policy.write_checkpoint(root / "checkpoint")
    write_folders(root / "episodes", [tiny_policy.episode(2)])
    return checkpoint_facts(root / "checkpoint"), open_dataset(root / "episodes")


def test_one_robot_of_ours_that_fits_is_taken_and_said():
    found = choose_robot(
        "", checkpoint_facts(embedded.checkpoint_path()), open_dataset(embedded.episodes_path())
    )
    assert found.robot is EMBEDDED and found.given == "embedded"
    assert "the one of ours" in found.note


def test_the_robot_file_of_the_error_is_a_robot(tiny):
    """What is printed is Python, and holds the dataset's cameras and numbers."""
    facts, dataset = tiny
    with pytest.raises(ValueError, match="does not say which robot") as raised:
        choose_robot("", facts, dataset)
    text = str(raised.value).partition("# my_robot.py")[2]
    content: dict = {}
    exec(text, content)
    robot = content["robot"]
    assert isinstance(robot, PolicyConfig)
    assert robot.cameras == {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"}
    assert (robot.state, robot.action_dims, robot.model) == ({"state": 8}, 7, "π0.5")


def test_a_server_needs_a_robot():
    with pytest.raises(ValueError, match="behind a server does not say"):
        choose_robot("", None, None)
    assert "camera_0" in skeleton(None, None)
