"""The expert as a law: what it does in scenes whose right answer is plain."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from iss_jax.envs import experts, hand_response

SCENE = experts.PickAndPlaceScene(
    eef_position=np.array([-0.2, 0.0, 0.25]),
    eef_axes=experts.DOWN,
    opening=0.08,
    target_position=np.array([0.1, -0.1, 0.04]),
    grasp_point=np.array([0.1, -0.1, 0.04]),
    width=0.05,
    underside=0.0,
    receptacle_position=np.array([0.0, 0.26, 0.0]),
    receptacle_rim=0.14,
    over=0.035,
    lowered=np.inf,
)


def act(**changes):
    return experts.pick_and_place(dataclasses.replace(SCENE, **changes))


def test_far_from_the_object_it_flies_towards_it_with_open_fingers():
    action = act()
    assert action[0] == 1.0 and action[1] < -0.9
    assert action[6] == -1.0
    np.testing.assert_array_equal(action[3:6], 0.0)


def test_above_the_object_it_descends_straight():
    action = act(eef_position=np.array([0.1, -0.1, 0.14]))
    np.testing.assert_allclose(action, [0, 0, -1, 0, 0, 0, -1], atol=1e-6)


def test_low_and_beside_the_object_it_rises_first():
    action = act(eef_position=np.array([0.0, -0.1, 0.03]))
    assert action[2] == 1.0
    assert 0.0 < action[0] < 0.5


def test_at_the_grasp_point_it_closes_and_once_closed_it_lifts():
    closing = act(eef_position=SCENE.grasp_point)
    np.testing.assert_allclose(closing, [0, 0, 0, 0, 0, 0, 1], atol=1e-6)
    lifting = act(eef_position=SCENE.grasp_point, opening=0.05)
    assert lifting[2] == 1.0 and lifting[6] == 1.0
    # A tenth of the way to the receptacle, (-0.1, 0.36) m, until the rim is cleared.
    np.testing.assert_allclose(lifting[:2], [-0.2, 0.72], atol=1e-6)


def test_it_does_not_descend_around_an_object_with_closed_fingers():
    action = act(eef_position=np.array([0.1, -0.1, 0.13]), opening=0.0)
    np.testing.assert_allclose(action[[2, 6]], [0.0, -1.0], atol=1e-6)


def test_over_the_receptacle_it_opens_and_does_not_grasp_again():
    high = np.array([0.0, 0.26, 0.25])
    held = {"target_position": high, "grasp_point": high, "underside": 0.21}
    assert act(eef_position=high, opening=0.05, **held)[6] == -1.0
    assert act(eef_position=high, opening=0.08, **held)[6] == -1.0


def test_onto_a_plate_it_lowers_before_it_opens():
    def over_plate(height, **changes):
        hand = np.array([0.0, 0.26, 0.1 + height])
        held = {"target_position": hand, "grasp_point": hand, "underside": 0.02 + height}
        plate = {"receptacle_rim": 0.02, "over": 0.02, "lowered": 0.014}
        return act(eef_position=hand, opening=0.05, **(held | plate | changes))

    high, low = over_plate(0.06), over_plate(0.01)
    assert high[2] == -1.0 and high[6] == 1.0
    assert low[6] == -1.0
    # Beside the plate it neither lowers nor opens.
    beside = over_plate(0.06, receptacle_position=np.array([0.0, 0.32, 0.0]))
    assert beside[2] > -0.5 and beside[6] == 1.0


def test_orientation_is_turned_back_about_the_axis_it_is_off():
    tilted = Rotation.from_rotvec([0.1, 0.0, 0.0]).as_matrix() @ experts.DOWN
    np.testing.assert_allclose(act(eef_axes=tilted)[3:6], [-0.2, 0.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("angle", [1e-12, 0.01, 1.0, 3.0])
def test_rotation_error_is_the_inverse_of_a_rotation(angle):
    axis = np.array([0.6, 0.0, 0.8])
    axes = Rotation.from_rotvec(-angle * axis).as_matrix() @ experts.DOWN
    np.testing.assert_allclose(experts.rotation_error(axes), angle * axis, atol=1e-9)


def test_acted_out_in_the_hand_model_it_reaches_grasps_and_lifts():
    actions, positions = hand_response.expert_chunk(SCENE, np.zeros(6), horizon=80)
    assert np.abs(actions).max() <= 1.0
    closing = int(np.argmax(actions[:, 6] > 0))
    assert 15 < closing < 50
    np.testing.assert_allclose(positions[closing], SCENE.grasp_point, atol=0.02)
    assert positions[-1, 2] > 0.15 and positions[-1, 1] > 0.0


def test_hand_model_moves_with_a_constant_push_at_the_measured_speed():
    # At full action the hand travels at 0.2 to 0.3 m/s along each axis, whatever the axis.
    for axis in range(3):
        twist = np.zeros(6)
        for _ in range(100):
            drive = np.concatenate([twist, np.eye(6)[axis]])
            twist = drive @ hand_response.RESPONSE.twist
        assert 0.2 < twist[axis] < 0.32
