"""What episodes do not say is the table's where it leaves one way; else it is asked for."""

import pytest

from iss_jax.against_success.told import completed, folded
from iss_jax.data.success import Success

ROWS = [
    Success("t", "a", "x", 0, 0, 9, 1),
    Success("t", "b", "y", 0, 0, 9, 1),
    Success("T", "c", "x", 0, 0, 9, 1),
    Success("U_v", "a", "x", 0, 3, 9, 1),
]
KEYS = ("suite", "split")


@pytest.mark.parametrize(
    ("line", "more"),
    [
        # What is said leaves one row, and with it the rest.
        ({"task": "t", "suite": "b"}, {"split": "y"}),
        ({"task": "t", "split": "X"}, {"suite": "a"}),
        # An exact name goes before one that is forgiven, an instruction counts as a name.
        ({"task": "T"}, {"suite": "c", "split": "x"}),
        ({"task": "mine", "tasks": ["u v."]}, {"suite": "a", "split": "x"}),
        # No row agrees with what it says, or none is of its task.
        ({"task": "t", "suite": "z"}, {}),
        ({"task": "w"}, {}),
        ({}, {}),
    ],
)
def test_the_only_way_is_taken(line, more):
    assert completed([line], ROWS, KEYS, "mine") == [line | more]


def test_several_ways_are_named():
    lines = [{"task": "t", "suite": "a"}, *[{"task": "t"}] * 5]
    said = (
        r"mine: other episodes name their suite, .* several: episode 1: \['t'\], one of "
        r"\['a', 'b'\]; episode 2: .*; ... 5 in all\. Metadata that say it are wanted"
    )
    with pytest.raises(ValueError, match=said):
        completed(lines, ROWS, KEYS, "mine")


@pytest.mark.parametrize(
    ("name", "same"),
    [("open_the_door", "Open the door."), ("A  b", "a b"), ("v1.0", "v1.0")],
)
def test_folded(name, same):
    assert folded(name) == folded(same)
    assert folded("v1.0") != folded("v10")
