"""Tables of runs under one another, with what tells the runs apart."""

import json

import ml_collections
import pytest

from iss_jax.jobs.directory import open_run
from iss_jax.jobs.joined import join_runs, own_folder, runs_in, write_joined


def write_run(folder, config, rows):
    run = open_run(folder, ml_collections.ConfigDict(config))
    run.write_csv("results.csv", rows)
    return folder


def test_options_that_differ_are_columns_and_those_that_do_not_are_none(tmp_path):
    common = {"seed": 3, "cameras": {"base": "front"}}
    one = {**common, "name": "x", "iss": {"num_masks": 10, "grid": (7, 7), "horizon": None}}
    other = {**common, "name": "y", "iss": {"num_masks": 20, "grid": (7, 7), "horizon": 4}}
    runs = [
        write_run(tmp_path / "a", one, [{"task": "=milk", "r": 0.5}, {"task": "soup", "r": 0.25}]),
        write_run(tmp_path / "b", other, [{"task": "milk", "p": 0.1}]),
    ]
    assert join_runs(runs) == [
        {
            "run": "a",
            "config.iss.num_masks": 10,
            "config.iss.horizon": "",
            "task": "=milk",
            "r": "0.5",
            "p": "",
        },
        {
            "run": "a",
            "config.iss.num_masks": 10,
            "config.iss.horizon": "",
            "task": "soup",
            "r": "0.25",
            "p": "",
        },
        {
            "run": "b",
            "config.iss.num_masks": 20,
            "config.iss.horizon": 4,
            "task": "milk",
            "r": "",
            "p": "0.1",
        },
    ]
    assert runs_in([tmp_path]) == runs_in(runs) == runs


def test_runs_of_one_name_are_told_apart_by_the_folders_above(tmp_path):
    runs = [write_run(tmp_path / n / "nmr", {"seed": i}, [{"r": i}]) for i, n in enumerate("ab")]
    assert [row["run"] for row in join_runs(runs)] == ["a/nmr", "b/nmr"]
    with pytest.raises(ValueError, match="each once wanted"):
        join_runs([runs[0], runs[0]])


def test_a_run_that_is_added_twice_stands_there_once(tmp_path):
    for seed in (1, 2, 1):
        write_run(own_folder(tmp_path, {"seed": seed}), {"seed": seed}, [{"r": seed / 2}])
    lines = write_joined(tmp_path).read_text().splitlines()
    assert lines[0] == "run,config.seed,r"
    assert sorted(line.partition(",")[2] for line in lines[1:]) == ["1,0.5", "2,1.0"]


def test_folders_without_runs_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none: no folder here"):
        runs_in([tmp_path / "none"])
    with pytest.raises(ValueError, match=r"neither a run directory with results\.csv nor a folder"):
        runs_in([tmp_path])
    write_run(tmp_path / "a", {}, [{"r": 1}])
    with pytest.raises(ValueError, match=r"with frames\.csv"):
        runs_in([tmp_path], "frames.csv")
    (tmp_path / "a" / "config.json").write_text(json.dumps([1]))
    with pytest.raises(ValueError, match=r"config\.json"):
        join_runs([tmp_path / "a"])
