"""A robot's cameras are found in a dataset by name, and by nothing else."""

import pytest

from iss_jax.policies.robot_cameras import matched


@pytest.mark.parametrize(
    ("wanted", "there", "found"),
    [
        ("front", ["front", "observation.images.front"], "front"),
        ("observation/image", ["image", "wrist_image"], "image"),
        ("front", ["observation.images.front", "wrist"], "observation.images.front"),
        ("front", ["left.front", "right.front"], None),
        ("front", ["front_left"], None),
    ],
)
def test_exact_names_go_before_last_parts(wanted, there, found):
    wanted_answer = {} if found is None else {"base_0_rgb": found}
    assert matched({"base_0_rgb": wanted}, there) == wanted_answer


@pytest.mark.parametrize(
    ("cameras", "there", "named", "found"),
    [
        # Two views want one camera.
        ({"base": "base/image", "wrist": "wrist/image"}, ["images.image"], {}, {}),
        # Another view has it by its exact name, in either order.
        ({"base": "base/image", "wrist": "image"}, ["image"], {}, {"wrist": "image"}),
        ({"wrist": "image", "base": "base/image"}, ["image"], {}, {"wrist": "image"}),
        # Another view was given it.
        ({"base": "base/image", "wrist": "w"}, ["images.image"], {"wrist": "images.image"}, {}),
        # The other view has a camera of its own: one is left that wants this one.
        (
            {"base": "base/image", "wrist": "wrist/image"},
            ["images.image", "images.hand"],
            {"wrist": "images.hand"},
            {"base": "images.image"},
        ),
        ({"base": "a", "wrist": "a"}, ["a"], {}, {"base": "a", "wrist": "a"}),
    ],
)
def test_no_camera_becomes_two_views_by_its_last_part(cameras, there, named, found):
    assert matched(cameras, there, named) == found
