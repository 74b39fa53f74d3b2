"""Messages name a few things, and say how many there are."""

import pytest

from iss_jax.few import few


@pytest.mark.parametrize("names", [[], ["a"], list(range(8)), ["it's", 'a "b"']])
def test_short_lists_are_printed_as_ever(names):
    assert few(names) == repr(names)


def test_long_lists_end_with_their_number():
    assert few(range(9)) == "[0, 1, 2, 3, 4, 5, 6, 7, ... 9 in all]"
    assert few({"a": 0, "b": 1, "c": 2}, most=2) == "['a', 'b', ... 3 in all]"


def test_long_names_are_cut():
    found = few(["x" * 10_000, "y"])
    assert len(found) < 100 and found.endswith("x..., 'y']")
