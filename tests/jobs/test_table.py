"""CSV that no spreadsheet runs."""

import csv
import io

import pytest

from iss_jax.jobs.table import cell, csv_text


@pytest.mark.parametrize(
    "text", ["=cmd()", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "\n=1", "＝1+1", "=", "-"]
)
def test_texts_that_would_run_get_an_apostrophe(text):
    assert cell(text) == f"'{text}"
    rows = list(csv.reader(io.StringIO(csv_text([{text: text}]), newline="")))
    assert rows == [[f"'{text}"], [f"'{text}"]]


@pytest.mark.parametrize(
    "value", ["-0.5", "+3", "-1e-5", "-inf", "nan", "pick up, =", "", -0.5, None]
)
def test_numbers_and_plain_texts_stay(value):
    assert cell(value) is value


def test_a_table_reads_back():
    rows = [{"task": 'a "b", c', "r": -0.25}, {"task": "d", "r": 1}]
    found = list(csv.DictReader(io.StringIO(csv_text(rows), newline="")))
    assert found == [{"task": 'a "b", c', "r": "-0.25"}, {"task": "d", "r": "1"}]
    assert csv_text([]) == "\n"
    with pytest.raises(ValueError, match="not in fieldnames"):
        csv_text([{"a": 1}, {"b": 2}])


@pytest.mark.parametrize("text", ["a\rb", "a\r\nb", "a\nb"])
def test_a_cell_never_ends_its_row(text):
    rows = list(csv.reader(io.StringIO(csv_text([{"task": text, "r": 1}]), newline="")))
    assert rows == [["task", "r"], ["a\nb", "1"]]
    assert cell("\r=1") == "'\n=1"
