"""Rows one by one: stored at once, gone on with, refused where what they depend on changed."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from configs.bench import get_config
from experiments.timing import machine, one_by_one
from experiments.timing.rows import PEAK, SINGLE, RowOptions, all_rows
from tests.experiments.timing import standins

NAMES = list(all_rows(RowOptions.of(get_config("rehearsal").to_dict())))


def content(**changes):
    return get_config("rehearsal").to_dict() | {"quiet": True, **changes}


def measure(workdir, **changes):
    rows = one_by_one.measure_rows(
        content(**changes), workdir, work=standins.measures_the_rows_of_a_bench
    )
    return {row["name"]: row for row in rows}


def test_a_row_that_dies_is_recorded_and_tried_again_the_next_time(tmp_path, monkeypatch):
    monkeypatch.setenv("STANDIN_DIES", SINGLE)
    rows = measure(tmp_path)
    assert list(rows) == NAMES
    assert {n for n, row in rows.items() if row["status"] != "measured"} == {SINGLE}
    assert rows[SINGLE]["status"] == "failed" and "signal 6" in rows[SINGLE]["reason"]
    with (tmp_path / "results.csv").open() as file:
        assert [row["status"] for row in csv.DictReader(file)].count("measured") == len(NAMES) - 1
    monkeypatch.delenv("STANDIN_DIES")
    again = measure(tmp_path)
    assert {row["status"] for row in again.values()} == {"measured"}
    # The stand-in notes how many rows were measured before its process began.
    assert again[SINGLE]["images_at_once"] == len(NAMES) - 1
    assert again[PEAK]["images_at_once"] == 0


def test_rows_are_on_disk_before_the_next_one_starts(tmp_path, monkeypatch):
    """What the hanging row's end finds there."""
    monkeypatch.setenv("STANDIN_HANGS", "prefix")
    rows = measure(tmp_path, budget_s=6.0)
    before = NAMES.index("prefix")
    statuses = [row["status"] for row in rows.values()]
    assert statuses == ["measured"] * before + ["not measured"] * (len(NAMES) - before)
    assert rows["prefix"]["reason"] == "time was up while it was measured"
    assert rows[NAMES[-1]]["reason"] == "no time was left"
    assert len(list((tmp_path / "items").iterdir())) == before


def test_rows_by_name_keep_those_that_are_there(tmp_path):
    measure(tmp_path, rows=(SINGLE,))
    rows = measure(tmp_path, rows=("prefix",))
    assert list(rows) == [SINGLE, "prefix"]
    # There is no peak to set it against.
    assert rows[SINGLE]["share_of_peak"] is None
    assert measure(tmp_path, rows=(PEAK,))[SINGLE]["share_of_peak"] == 1.0
    with pytest.raises(ValueError, match=r"config\.rows: \['peak'\]"):
        measure(tmp_path, rows=("peak",))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"num_masks": 50}, r"config\.num_masks: 100 before, 50 now"),
        ({"jax": "0.0"}, r"packages\.jax: .* before, '0\.0' now"),
        ({"code": "other"}, "code: .* before, 'other' now"),
        ({"device": "another"}, r"device\.kind: 'stand-in' before, 'another' now"),
    ],
)
def test_rows_measured_otherwise_are_refused_by_name(tmp_path, monkeypatch, change, named):
    measure(tmp_path, rows=(PEAK,))
    stored = (tmp_path / "measured_with.json").read_bytes()
    version = machine._version
    if "jax" in change:
        monkeypatch.setattr(machine, "_version", lambda p: "0.0" if p == "jax" else version(p))
    if "code" in change:
        monkeypatch.setattr(machine, "code_digest", lambda: "other")
    if "device" in change:
        monkeypatch.setenv("STANDIN_DEVICE", "another")
    with pytest.raises(ValueError, match=named):
        measure(tmp_path, rows=(SINGLE,), **{k: v for k, v in change.items() if k == "num_masks"})
    assert (tmp_path / "measured_with.json").read_bytes() == stored


def test_budget_and_names_of_rows_are_no_difference(tmp_path):
    measure(tmp_path, rows=(PEAK,), budget_s=50.0)
    assert len(measure(tmp_path, rows=(), budget_s=60.0)) == len(NAMES)


def test_without_any_row_the_command_fails(tmp_path):
    with pytest.raises(RuntimeError, match=r"no row was measured.*signal 6"):
        one_by_one.measure_rows(content(), tmp_path, work=standins.dies_at_its_start)
    assert json.loads((tmp_path / "results.json").read_text())["rows"][0]["status"] == (
        "not measured"
    )


_COMMAND = """
import pathlib, sys
from configs.bench import get_config
from experiments.timing.one_by_one import measure_rows
from tests.experiments.timing.standins import measures_the_rows_of_a_bench as work
measure_rows(get_config("rehearsal").to_dict(), pathlib.Path(sys.argv[1]), work=work)
"""


def test_the_command_leaves_the_device_to_the_measuring_process(tmp_path):
    """Told to use a device that is not there, it does not notice."""
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "JAX_PLATFORMS": "no such platform"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "stand-in (driver None), jax" in lines[0] and "matrix peak: 1000 ms" in lines[1]
    assert lines[-1] == str(tmp_path / "results.csv")


def test_the_cache_is_the_users_or_as_told(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert one_by_one.cache_folder("user") == "/cache/iss-jax"
    assert one_by_one.cache_folder("") == ""
    assert one_by_one.cache_folder("kept") == "kept"
