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
        ({"instances": {"wrist": np.zeros((3, 4, 5), np.int32)}}, r"instances\['wrist'\] has no"),
        ({"instances": {"front": np.zeros((3, 4, 5), np.uint8)}}, r"uint8 .*int32 \[3, 4, 5\] wan"),
        (
            {"instances": {"front": np.zeros((3, 4, 6), np.int32)}},
            r"instances\['front'\]: int32 \[3",
        ),
        ({"instances": {"front": np.full((3, 4, 5), -1, np.int32)}}, "-1 given, numbers from 0 on"),
        ({"instance_names": {"1": "robot"}}, "instance_names: '1': 'robot' given, int: str wanted"),
        ({"features": {"x": np.zeros((4, 1))}}, r"features\['x'\]: float64 \[4, 1\] given, 3"),
        ({"state": np.zeros((0, 8), np.float32)}, "no frames"),
    ],
)
def test_disagreement_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        Episode(**(_fields() | change))


def test_frames_are_taken_with_all_their_labels():
    numbers = np.arange(60, dtype=np.int32).reshape(3, 4, 5)
    names = {1: "robot"}
    episode = Episode(**_fields(), instances={"front": numbers}, instance_names=names)
    taken = episode.take([2, 0, 2])
    np.testing.assert_array_equal(taken.instances["front"], numbers[[2, 0, 2]])
    assert taken.instance_names == names and Episode(**_fields()).instances == {}
