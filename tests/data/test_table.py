"""CSV that no spreadsheet runs."""

import csv
import io

import pytest

from iss_jax.data.table import cell, csv_text, read_rows, text


@pytest.mark.parametrize(
    "wanted", ["=cmd()", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "\n=1", "＝1+1", "=", "-"]
)
def test_texts_that_would_run_get_an_apostrophe(tmp_path, wanted):
    assert cell(wanted) == f"'{wanted}"
    rows = list(csv.reader(io.StringIO(csv_text([{wanted: wanted}]), newline="")))
    assert rows == [[f"'{wanted}"], [f"'{wanted}"]]
    (tmp_path / "table.csv").write_text(csv_text([{wanted: wanted}]), newline="")
    assert read_rows(tmp_path / "table.csv") == [{wanted: wanted}]


@pytest.mark.parametrize(
    "value", ["-0.5", "+3", "-1e-5", "-inf", "nan", "pick up, =", "", -0.5, None]
)
def test_numbers_and_plain_texts_stay(value):
    assert cell(value) is value
    if isinstance(value, str):
        assert text(value) == value


@pytest.mark.parametrize("value", ["'=1", "''=1", "'tis", "'", "'-1", "-1", "=1"])
def test_every_text_reads_back_as_it_was(value):
    assert text(cell(value)) == value


def test_a_row_of_other_cells_is_named(tmp_path):
    (tmp_path / "table.csv").write_text("a,b\n1,2\n3\n")
    with pytest.raises(ValueError, match=r"table\.csv: row 3 has 1 cells, 2 wanted"):
        read_rows(tmp_path / "table.csv")
    (tmp_path / "table.csv").write_text("")
    assert read_rows(tmp_path / "table.csv") == []


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
