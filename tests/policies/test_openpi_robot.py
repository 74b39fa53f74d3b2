"""Robots from openpi's training configurations, which stand-ins have the attributes of."""

import sys
import types

import numpy as np
import pytest

from iss_jax.policies import aloha
from iss_jax.policies.openpi_robot import robot_of_train_config
from iss_jax.policies.robots import robot_of


def transform(name, **attributes):
    return type(name, (), attributes)()


class Absolute:
    """openpi's way from deltas to positions: the state is added, but for the gripper."""

    def __call__(self, data):
        data["actions"][..., :6] += data["state"][:6]
        return data


class Sliced:
    def __call__(self, data):
        return {"actions": data["actions"][..., :7]}


def train(inputs, structure, *, kind="pi05", outputs=None, **model):
    group = types.SimpleNamespace(inputs=[inputs], outputs=outputs or [Sliced()])
    repack = types.SimpleNamespace(inputs=[transform("RepackTransform", structure=structure)])
    data = types.SimpleNamespace(
        data_transforms=group,
        repack_transforms=repack,
        use_quantile_norm=kind != "pi0",
        asset_id="lab/arm",
    )
    given = {"action_horizon": 12, "max_token_len": 180, "discrete_state_input": kind == "pi05"}
    return types.SimpleNamespace(
        name="lab_arm",
        model=types.SimpleNamespace(model_type=types.SimpleNamespace(value=kind), **given | model),
        data=types.SimpleNamespace(create=lambda assets, model: data),
        assets_dirs="assets",
    )


LIBERO = {"observation/image": "top", "observation/wrist_image": "hand", "prompt": "prompt"}


def test_of_libero_everything_is_read():
    robot = robot_of_train_config(train(transform("LiberoInputs"), LIBERO))
    assert (robot.name, robot.model, robot.asset_id) == ("lab_arm", "π0.5", "lab/arm")
    assert (robot.action_horizon, robot.max_token_len) == (12, 180)
    assert robot.discrete_state_input and robot.normalisation == "quantiles"
    assert robot.cameras["base_0_rgb"] == "observation/image"
    assert robot.recorded == {"base_0_rgb": "top", "left_wrist_0_rgb": "hand"}
    assert robot.encode_actions(np.ones((12, 32)), np.zeros(8)).shape == (12, 7)


def test_deltas_of_a_pi0_become_positions():
    outputs = [Absolute(), Sliced()]
    found = robot_of_train_config(
        train(transform("LiberoInputs"), LIBERO, kind="pi0", outputs=outputs)
    )
    assert (found.model, found.normalisation) == ("π0", "mean_std")
    actions = np.zeros((2, 7))
    moved = found.encode_actions(actions, np.arange(8.0))
    np.testing.assert_array_equal(moved[0], [0, 1, 2, 3, 4, 5, 0])
    assert not actions.any()


def test_of_aloha_only_the_cameras_of_its_dataset_and_the_space_of_its_state():
    structure = {"images": {"cam_high": "observation.images.top"}, "state": "observation.state"}
    robot = robot_of_train_config(train(transform("AlohaInputs", adapt_to_pi=True), structure))
    assert robot.recorded == {"base_0_rgb": "observation.images.top"}
    assert robot.cameras == {"base_0_rgb": "cam_high"} and robot.optional == ()
    assert robot.decode_state is aloha.decode_state
    plain = robot_of_train_config(train(transform("AlohaInputs", adapt_to_pi=False), structure))
    np.testing.assert_array_equal(plain.decode_state(np.arange(14.0)), np.arange(14.0))


def test_views_of_a_droid_fast_are_openpis():
    robot = robot_of_train_config(train(transform("DroidInputs"), {}, kind="pi0_fast"))
    assert robot.model == "π0-FAST" and list(robot.cameras) == ["base_0_rgb", "wrist_0_rgb"]


def test_what_cannot_be_read_is_named():
    with pytest.raises(ValueError, match=r"cannot be read, its transforms are \['LabInputs'\]"):
        robot_of_train_config(train(transform("LabInputs"), {}))
    with pytest.raises(ValueError, match="its model is a 'pi9'"):
        robot_of_train_config(train(transform("LiberoInputs"), LIBERO, kind="pi9"))


def test_names_are_asked_of_openpi_where_it_is_there(monkeypatch):
    def get_config(name):
        if name != "lab_arm":
            raise ValueError(f"Config '{name}' not found.")
        return train(transform("LiberoInputs"), LIBERO)

    config = types.ModuleType("openpi.training.config")
    config.get_config = get_config  # pyright: ignore
    for name in ("openpi", "openpi.training"):
        package = types.ModuleType(name)
        package.__path__ = []
        package.__spec__ = types.SimpleNamespace()  # pyright: ignore
        monkeypatch.setitem(sys.modules, name, package)
    monkeypatch.setitem(sys.modules, "openpi.training.config", config)
    sys.modules["openpi.training"].config = config  # pyright: ignore
    assert robot_of("lab_arm").action_horizon == 12
    with pytest.raises(ValueError, match=r"no name of ours, and openpi says: Config 'mars'"):
        robot_of("mars")
