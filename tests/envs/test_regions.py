"""The geometry of the floor's work surface needs no simulator."""

import numpy as np

from iss_jax.envs import regions


def test_camera_that_looks_straight_down_sees_a_square_of_known_size():
    # At 2 m height and 90 degrees, the image spans 4 m; camera x is world x, camera y world y.
    points = regions.floor_points(np.array([0.5, -0.25, 2.0]), np.eye(3), 90.0, 4)
    centres = np.array([-1.5, -0.5, 0.5, 1.5])
    np.testing.assert_allclose(points[..., 0], np.tile(0.5 + centres, (4, 1)), atol=1e-12)
    np.testing.assert_allclose(points[..., 1], np.tile(-0.25 - centres, (4, 1)).T, atol=1e-12)


def test_rays_above_the_horizon_meet_no_floor():
    # Looking along world y: right is x, up is z, backward is -y.
    axes = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    points = regions.floor_points(np.array([0.0, 0.0, 1.0]), axes, 60.0, 10)
    assert np.isnan(points[:5]).all()
    assert np.isfinite(points[5:]).all() and (points[5:, :, 1] > 0).all()
    assert not regions.inside(points, (-9.0, -9.0, 9.0, 9.0))[:5].any()


def test_inside_includes_the_border():
    points = np.array([[0.0, 0.0], [1.0, 2.0], [1.0, 2.1], [-0.1, 1.0]])
    assert regions.inside(points, (0.0, 0.0, 1.0, 2.0)).tolist() == [True, True, False, False]
