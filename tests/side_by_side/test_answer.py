"""What two compared policies' page says first."""

import math

from iss_jax.side_by_side.answer import compare_answer


def content(**changes):
    row = {"player": "bowl", "share_a": 0.4, "share_b": 0.1, "difference": -0.3}
    row |= {"low": math.nan, "high": math.nan, "frames": 4}
    return {
        "a": "1000",
        "b": "2000",
        "says": "B acts less on the bowl.",
        "compared": [row],
    } | changes


def test_the_difference_stands_beside_both_shares():
    found = compare_answer(content())
    assert found.question == "What do 1000 and 2000 act on, and where do they differ?"
    assert found.verdict == "B acts less on the bowl."
    (row,) = found.controls
    assert (row["1000"], row["2000"], row["difference"]) == ("40 %", "10 %", "-30 %")
    assert row["interval"] == "none"


def test_a_policy_against_itself_has_two_columns():
    (row,) = compare_answer(content(b="1000")).controls
    assert {"1000", "1000 again"} <= set(row)
