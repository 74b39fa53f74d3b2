"""How many programs others can have compiled."""

import numpy as np
import pytest

from iss_jax.policies.shapes import KnownShapes


def seen(size=8, **more):
    return {"images": {"front": np.zeros((size, 8, 3), np.uint8)}, "prompt": "reach", **more}


def test_a_few_sizes_are_taken_and_no_more():
    known = KnownShapes(2)
    for size in (8, 9, 8, 9):
        known.check(seen(size))
    known.check({**seen(), "prompt": "other words"})
    wanted = r"images/front uint8 \[10, 8, 3\] given, .*\[8, 8, 3\]; or .*\[9, 8, 3\] wanted"
    for _ in range(2):
        with pytest.raises(ValueError, match=wanted):
            known.check(seen(10))
    with pytest.raises(ValueError, match="new shapes: images/front float32"):
        known.check({"images": {"front": np.zeros((8, 8, 3), np.float32)}})


def test_a_fixed_shape_is_the_only_one_and_costs_nothing():
    known = KnownShapes(1, {"noise": (16, 7)})
    known.check(seen())
    known.check(seen(noise=np.zeros((16, 7))))
    for wrong in (np.zeros((15, 7)), np.zeros((16, 8)), np.zeros((1, 16, 7)), 3.0):
        with pytest.raises(ValueError, match=r"noise: shape \[.*\] given, \[16, 7\] wanted"):
            known.check(seen(noise=wrong))
