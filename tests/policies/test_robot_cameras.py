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
