"""Which of the places of episodes in a video cannot be."""

from pathlib import Path

import pytest

from iss_jax.data.clips import clip_faults
from iss_jax.data.lerobot_info import Clip

ONE, TWO = Path("one.mp4"), Path("two.mp4")


@pytest.mark.parametrize(
    ("places", "numbers", "wrong"),
    [
        ([(ONE, 0.0), (ONE, 1.0), (TWO, 0.0)], [0, 1, 2], []),
        ([(ONE, 0.03), (ONE, 1.02), (ONE, 2.0)], [0, 1, 2], []),  # rounding of encoders
        ([(ONE, 0.0), (ONE, 1.1), (ONE, 2.1)], [0, 1, 2], []),  # a picture more than frames
        ([(ONE, 0.0), (ONE, 1.1), (ONE, 2.0)], [0, 1, 2], [1]),
        ([(ONE, 0.1), (ONE, 1.1), (TWO, 0.1)], [0, 1, 2], [0, 1, 2]),
        ([(ONE, 0.0), (ONE, 0.9), (ONE, 2.0)], [0, 1, 2], [1]),
        ([(ONE, 0.0), (ONE, 2.0), (TWO, 3.0)], [0, 2, 5], []),  # deleted ones leave their pictures
        ([(ONE, 1.0)], [1], []),
        ([(ONE, 1.0)], [0], [0]),
        ([(TWO, 0.0), (ONE, 0.0), (TWO, 1.0)], [0, 1, 2], [2]),
    ],
)
def test_only_misplaced_episodes_have_a_fault(places, numbers, wrong):
    clips = [Clip(path, start) for path, start in places]
    faults = clip_faults(clips, [10] * len(clips), numbers, 10.0)
    assert [place for place, fault in enumerate(faults) if fault] == wrong
