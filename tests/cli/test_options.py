"""One robot, one checkpoint, one dataset: what a command makes of its flags."""

import dataclasses

import ml_collections
import numpy as np
import pytest
import tiny_policy

from iss_jax.cli.options import describe, policy_options, set_keys
from iss_jax.data.folders_write import write_folders
from iss_jax.jobs.options import PolicyOptions

ROBOT = """
from iss_jax.policies.configs import PolicyConfig

robot = PolicyConfig(
    name="arm",
    cameras={cameras},
    state={{"joints": {state}}},
    action_horizon=4,
    action_dims=7,
    max_token_len=64,
)
"""
CAMERAS = {"base_0_rgb": "observation/front", "left_wrist_0_rgb": "wrist"}


def config_of(**given):
    config = ml_collections.ConfigDict()
    set_keys(config)
    config.update(given)
    return config


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("inputs")
    tiny_policy.write_checkpoint(root / "checkpoint")
    write_folders(root / "episodes", [tiny_policy.episode(2)])
    return {"checkpoint": str(root / "checkpoint"), "dataset": str(root / "episodes")}


def robot_file(folder, cameras=None, state=8):
    path = folder / "my_robot.py"
    path.write_text(ROBOT.format(cameras=cameras or CAMERAS, state=state))
    return str(path)


def test_the_embedded_policy_needs_no_robot():
    found = policy_options(config_of(checkpoint="embedded", dataset="embedded"))
    assert found["robot"] == "embedded" and found["dtype"] == "float32"
    assert found["cameras"]["right_wrist_0_rgb"] == "overhead"
    assert (found["max_token_len"], found["action_horizon"]) == (40, 16)
    assert set(found) == {field.name for field in dataclasses.fields(PolicyOptions)}


def test_a_robot_file_says_all_of_it_and_flags_go_before_it(inputs, tmp_path):
    given = robot_file(tmp_path)
    found = policy_options(config_of(**inputs, robot=given))
    assert found["cameras"] == {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"}
    assert (found["max_token_len"], found["action_horizon"]) == (64, 4)
    assert found["discrete_state_input"] and found["dtype"] == "bfloat16"
    changed = config_of(**inputs, robot=given, action_horizon=5, discrete_state_input=False)
    changed.cameras.left_wrist_0_rgb = "none"
    found = policy_options(changed)
    assert found["action_horizon"] == 5 and not found["discrete_state_input"]
    assert found["cameras"] == {"base_0_rgb": "front", "left_wrist_0_rgb": ""}


def test_what_does_not_fit_is_refused_with_the_whole_table(inputs, tmp_path):
    cameras = {"base_0_rgb": "overhead", "left_wrist_0_rgb": "wrist"}
    given = robot_file(tmp_path, cameras, state=14)
    with pytest.raises(ValueError, match="does not fit: camera base_0_rgb, state") as raised:
        policy_options(config_of(**inputs, robot=given))
    lines = str(raised.value).splitlines()
    assert lines[1].split() == ["what", "robot", "checkpoint", "dataset", "fits"]
    state = next(line for line in lines if line.startswith("state  "))
    assert state.split() == ["state", "14", "8", "8", "NO"]
    assert any("none of ['front', 'wrist']" in line and line.endswith("NO") for line in lines)


def test_a_camera_of_another_view_is_named(inputs, tmp_path):
    config = config_of(**inputs, robot=robot_file(tmp_path))
    config.cameras.right_wrist_0_rgb = "front"
    with pytest.raises(ValueError, match=r"--cameras: \['right_wrist_0_rgb'\] given"):
        policy_options(config)


def test_default_cameras_do_where_the_chunk_is_said(inputs):
    found = describe(config_of(**inputs, action_horizon=4))
    assert found.given == "" and "by their names, chunks of 4" in found.note
    assert found.cameras == {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"}
    assert found.robot.action_dims == 7
    with pytest.raises(ValueError, match="as in training: nothing here tells it"):
        describe(config_of(**inputs))


@pytest.mark.parametrize("name", ["checkpoint", "dataset"])
def test_a_missing_path_is_asked_for(inputs, name):
    with pytest.raises(ValueError, match=f"--{name}: none given"):
        policy_options(config_of(**{**inputs, name: ""}))


def test_a_robot_decodes_the_state_where_frames_become_observations(inputs, tmp_path):
    """The first joint turned round: its bin in the prompt is that of the opposite number."""
    given = robot_file(tmp_path)
    with open(given, "a") as file:
        file.write(
            "import dataclasses\n"
            "robot = dataclasses.replace(robot, decode_state=lambda state: -state)\n"
        )
    plain = PolicyOptions(**policy_options(config_of(**inputs, action_horizon=4)))
    turned = PolicyOptions(**policy_options(config_of(**inputs, robot=given)))
    policies = [options.load()[0] for options in (plain, turned)]
    state = tiny_policy.episode(2).state
    np.testing.assert_array_equal(policies[0].states(state), state)
    np.testing.assert_array_equal(policies[1].states(state), -state)
    assert policies[0].fingerprint != policies[1].fingerprint
