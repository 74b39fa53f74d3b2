"""Episode checks its arrays against each other."""

import numpy as np
import pytest

from iss_jax.data import Episode


def _fields():
    return {
        "images": {"front": np.zeros((3, 4, 5, 3), np.uint8)},
        "regions": {"front": np.zeros((3, 4, 5), np.uint8)},
        "state": np.zeros((3, 8), np.float32),
        "action": np.zeros((3, 7), np.float32),
        "prompt": "open the drawer",
        "fps": 10.0,
    }


def test_length_is_the_number_of_frames():
    assert len(Episode(**_fields())) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state": np.zeros((3, 8))}, r"state: float64 \[3, 8\] given"),
        ({"action": np.zeros((2, 7), np.float32)}, r"action: float32 \[2, 7\] given, 3 frames"),
        ({"images": {"front": np.zeros((3, 4, 5), np.uint8)}}, r"images\['front'\]: uint8 \[3, 4"),
        ({"images": {"wrist": np.zeros((3, 4, 5, 3), np.uint8)}}, r"regions\['front'\] has no"),
        ({"regions": {"front": np.zeros((3, 4, 6), np.uint8)}}, r"regions\['front'\].*\[3, 4, 5\]"),
        ({"features": {"x": np.zeros((4, 1))}}, r"features\['x'\]: float64 \[4, 1\] given, 3"),
        ({"state": np.zeros((0, 8), np.float32)}, "no frames"),
    ],
)
def test_disagreement_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        Episode(**(_fields() | change))
