"""openpi's own training configurations as robots: those that ours were written after say the same.

Run as `test_real_openpi.py` is.
"""

import numpy as np
import pytest
from real_openpi import PROMPT, imported

from iss_jax.pi05.tokenizer import FILE_NAME
from iss_jax.policies.configs import CONFIGS, PI0_ALOHA
from iss_jax.policies.robots import robot_of

pytestmark = pytest.mark.openpi

SAME = ("cameras", "state", "action_horizon", "action_dims", "discrete_state_input", "model")
SAME += ("normalisation", "max_token_len", "images", "channels_first")


@pytest.fixture
def robot_of_openpi(monkeypatch, tmp_path):
    """openpi reads its tokenizer where it caches it, and no statistics."""
    imported("openpi.training.config")
    (tmp_path / "big_vision").mkdir()
    (tmp_path / "big_vision" / FILE_NAME).write_bytes(PROMPT)
    monkeypatch.setenv("OPENPI_DATA_HOME", str(tmp_path))
    from iss_jax.policies.openpi_robot import robot_of_openpi

    return robot_of_openpi


@pytest.mark.parametrize("name", ["pi05_libero", "pi05_droid", "pi0_libero", "pi0_droid"])
def test_robots_of_ours_are_those_of_openpi(robot_of_openpi, name):
    theirs, ours = robot_of_openpi(name), CONFIGS[name]
    for field in SAME:
        assert getattr(theirs, field) == getattr(ours, field), field
    if name.endswith("droid"):
        assert theirs.asset_id == ours.asset_id
    rng = np.random.default_rng(0)
    actions, state = rng.normal(size=(4, ours.action_dims)), rng.normal(size=8)
    np.testing.assert_allclose(
        theirs.encode_actions(actions, state), ours.encode_actions(actions, state), atol=1e-6
    )


def test_a_configuration_that_is_none_of_ours(robot_of_openpi):
    """A simulated Aloha: one camera, whose name in the dataset is another than the robot's."""
    robot = robot_of("pi0_aloha_sim")
    assert robot.recorded == {"base_0_rgb": "observation.images.top"}
    assert (robot.model, robot.action_horizon, robot.normalisation) == ("π0", 50, "mean_std")
    state = np.linspace(-0.5, 0.5, 14)
    np.testing.assert_allclose(robot.decode_state(state), PI0_ALOHA.decode_state(state), atol=1e-6)
    # Its actions are positions; those of the real Aloha are deltas to the state, but for grippers.
    joints = np.arange(14) % 7 < 6
    wanted = PI0_ALOHA.encode_actions(np.where(joints, -state, 0.0)[None], state)
    found = robot.encode_actions(np.zeros((1, 14)), state)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    with pytest.raises(ValueError, match="openpi says: Config 'pi05_mars' not found"):
        robot_of("pi05_mars")
