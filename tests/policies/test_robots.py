"""Where a robot is read from."""

import pytest

from iss_jax.policies.configs import CONFIGS
from iss_jax.policies.robots import robot_of

ONE = """
from iss_jax.policies.configs import PolicyConfig
{name} = PolicyConfig(
    name="{name}", cameras={{"base_0_rgb": "front"}}, state={{"q": 2}}, action_horizon=3,
    action_dims=2,
)
"""


def written(folder, *names):
    path = folder / "mine.py"
    path.write_text("".join(ONE.format(name=name) for name in names))
    return str(path)


def test_a_name_of_ours_and_a_robot_itself():
    assert robot_of("pi05_droid") is CONFIGS["pi05_droid"]
    assert robot_of(CONFIGS["embedded"]) is CONFIGS["embedded"]


def test_a_file_holds_one_or_names_which(tmp_path):
    assert robot_of(written(tmp_path, "arm")).name == "arm"
    assert robot_of(written(tmp_path, "arm", "robot")).name == "robot"
    with pytest.raises(ValueError, match=r"holds 2 PolicyConfigs \['arm', 'leg'\]"):
        robot_of(written(tmp_path, "arm", "leg"))
    with pytest.raises(ValueError, match="holds 0 PolicyConfigs"):
        robot_of(written(tmp_path))


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere\.py"):
        robot_of(str(tmp_path / "nowhere.py"))
    with pytest.raises(ValueError, match="'pi05_mars' given, a Python file or one of"):
        robot_of("pi05_mars")
