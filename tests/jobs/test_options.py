"""Options that a robot's description stands in for."""

import dataclasses

import pytest
import tiny_policy

from iss_jax.data.folders_write import write_folders
from iss_jax.jobs.options import PolicyOptions

ROBOT = """
from iss_jax.policies.configs import PolicyConfig

robot = PolicyConfig(
    name="arm",
    cameras={"base_0_rgb": "cam/front", "left_wrist_0_rgb": "cam/hand"},
    state={"joints": 8},
    action_horizon=4,
    action_dims=7,
    max_token_len=64,
    discrete_state_input=False,
    dataset_cameras={"left_wrist_0_rgb": "HAND"},
)
"""


@pytest.fixture
def options(tmp_path):
    write_folders(tmp_path / "episodes", [tiny_policy.episode(1)])
    return PolicyOptions(
        checkpoint="",
        dataset=str(tmp_path / "episodes"),
        tokenizer="",
        dtype="float32",
        cameras={"base_0_rgb": "wrist"},
        discrete_state_input=True,
        mirror=False,
        max_token_len=200,
        action_horizon=16,
        num_steps=1,
        robot=str(tmp_path / "my_robot.py"),
    )


def test_a_robot_says_cameras_prompt_and_chunk(options, tmp_path):
    (tmp_path / "my_robot.py").write_text(ROBOT.replace("HAND", "wrist"))
    found = options.described()
    assert found.cameras == {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"}
    assert (found.max_token_len, found.action_horizon) == (64, 4)
    assert not found.discrete_state_input
    alone = dataclasses.replace(options, robot="")
    assert alone.described() is alone


def test_a_camera_that_the_dataset_lacks_is_named(options, tmp_path):
    (tmp_path / "my_robot.py").write_text(ROBOT.replace("HAND", "elbow"))
    with pytest.raises(ValueError, match=r"'left_wrist_0_rgb': 'elbow'.* has \['front', 'wrist'\]"):
        options.described()
