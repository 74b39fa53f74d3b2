import numpy as np
import pytest

from experiments.zoo.scene import Shift, ShiftedEnv, rotation, started, turned


def test_a_rotation_keeps_lengths_and_its_own_axis():
    vector = np.array([0.3, -0.4, 1.2])
    turn = rotation(vector)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(turn @ vector, vector)
    assert np.trace(turn) == pytest.approx(1 + 2 * np.cos(np.linalg.norm(vector)))
    np.testing.assert_array_equal(rotation(np.zeros(3)), np.eye(3))


def test_a_quaternion_is_turned_as_its_rotation_is():
    first, second = np.array([0.2, 0.1, -0.3]), np.array([-0.5, 0.4, 0.1])
    both = turned(turned(np.array([1.0, 0, 0, 0]), first), second)
    w, *xyz = both
    angle = 2 * np.arctan2(np.linalg.norm(xyz), w)
    found = rotation(angle * np.array(xyz) / np.linalg.norm(xyz))
    np.testing.assert_allclose(found, rotation(second) @ rotation(first), atol=1e-12)


@pytest.mark.libero
def test_a_scene_is_shifted_for_its_trial_alone():
    from iss_jax.envs.libero import make

    env = make("libero_object", 0, image_size=32)

    def seen(axis, strength, cue="none"):
        shift = Shift(axis, strength, 1)
        with started(env, 0, shift):
            return ShiftedEnv(env, cue, 4, shift).render()

    plain = seen("none", 0.0)
    cameras = env.model.cam_pos.copy()
    for axis, strength in {"camera": 0.03, "light": 0.2, "layout": 0.05, "texture": 0.5}.items():
        found = seen(axis, strength)
        assert all((found[c] != plain[c]).any() for c in ("front", "overhead")), axis
    np.testing.assert_array_equal(env.model.cam_pos, cameras)
    again, panel = seen("none", 0.0), seen("none", 0.0, "panel")
    for camera, image in plain.items():
        np.testing.assert_array_equal(again[camera], image)
        assert (panel[camera] != image).any() == (camera != "wrist")
