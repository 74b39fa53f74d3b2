"""Run directories joined by a command, and runs that are added to one workdir."""

import csv

import pytest
from command_line import smoke

from configs.join import get_config
from experiments import join


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_two_runs_that_differ_in_one_option(tmp_path):
    said = smoke("join", tmp_path)
    assert "2 rows of 2 runs, which differ in config.iss.num_masks" in said
    rows = rows_of(tmp_path / "results.csv")
    assert [(row["run"], row["config.iss.num_masks"]) for row in rows] == [
        ("10", "10"),
        ("20", "20"),
    ]


def test_without_runs_there_is_nothing_to_join(tmp_path):
    with pytest.raises(ValueError, match=r"config\.runs: empty"):
        join.main(get_config(), tmp_path)
