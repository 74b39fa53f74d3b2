"""An answer is read back as it was written, and rows that make no table are refused."""

import json

import pytest

from iss_jax.jobs.answer import Answer, answer_from, write_answer


def test_an_answer_is_read_back(tmp_path):
    given = Answer("Is it?", "Yes.", [{"what": "r", "value": 0.5}], "a.png", {"a.png": "b"})
    path = write_answer(tmp_path, given)
    assert answer_from(json.loads(path.read_text()), "here") == given
    assert answer_from(None, "here") is None


def test_numbers_that_are_not_known_are_none(tmp_path):
    path = write_answer(tmp_path, Answer("Is it?", controls=[{"r": float("nan")}]))
    assert json.loads(path.read_text())["controls"] == [{"r": None}]


@pytest.mark.parametrize(
    ("controls", "said"),
    [
        ([{"a": 1}, {"b": 2}], r"columns \['b'\] given, those of the first row \['a'\]"),
        ([dict.fromkeys("abcdefg")], "6 at most"),
    ],
)
def test_rows_of_other_or_too_many_columns_are_refused(controls, said):
    with pytest.raises(ValueError, match=said):
        Answer("Is it?", controls=controls)


def test_a_question_is_wanted():
    with pytest.raises(ValueError, match="question: empty"):
        Answer("  ")
