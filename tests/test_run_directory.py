"""Run directories resume, survive interruptions, and never hide a damaged result."""

import csv
import json
import math

import ml_collections
import numpy as np
import pytest

from experiments.environment import environment
from experiments.run_directory import RunDirectory, jsonable, open_run, run_items


def test_a_second_run_computes_only_what_is_missing(tmp_path):
    run, calls = RunDirectory(tmp_path), []

    def compute(item):
        calls.append(item["seed"])
        if item["seed"] == 2 and len(calls) == 3:
            raise KeyboardInterrupt
        return {"square": np.float32(item["seed"]) ** 2}

    items = [{"seed": seed, "task": "open"} for seed in range(4)]
    with pytest.raises(KeyboardInterrupt):
        run_items(run, items, compute, description="squares", quiet=True)
    results = run_items(run, items, compute, description="squares", quiet=True)
    assert calls == [0, 1, 2, 2, 3]
    assert results == [{"square": float(seed**2)} for seed in range(4)]
    assert run_items(run, reversed(items), compute, description="", quiet=True) == results[::-1]
    assert calls == [0, 1, 2, 2, 3]


def test_the_file_depends_on_all_of_the_item_and_not_on_its_order(tmp_path):
    run = RunDirectory(tmp_path)
    item = {"task": "open", "options": {"masks": 100, "k": [1, 5]}}
    same = {"options": {"k": [1, 5], "masks": 100}, "task": "open"}
    other = {"task": "open", "options": {"masks": 100, "k": [1, 6]}}
    assert run.item_path(item) == run.item_path(same)
    assert run.item_path(item) != run.item_path(other)
    run.save(item, [1.0, math.nan])
    assert run.load(same) == [1.0, None]
    assert run.load(other) is None


@pytest.mark.parametrize(
    "damage",
    [b"", b'{"item": {"seed"', b"\xff\xfe", b"[1]", b'{"item": {}}', b'{"item": {"seed": 1}}'],
)
def test_a_damaged_result_is_an_error_that_names_the_file(tmp_path, damage):
    run, item = RunDirectory(tmp_path), {"seed": 1}
    run.save(item, 2.0)
    run.item_path(item).write_bytes(damage)
    with pytest.raises(ValueError, match=run.item_path(item).name):
        run_items(run, [item], lambda item: 2.0, description="", quiet=True)


def test_open_run_notes_config_and_environment(tmp_path):
    config = ml_collections.ConfigDict({"name": "demo", "seeds": (0, 13), "iss": {"p": 0.3}})
    run = open_run(tmp_path / "new" / "run", config)
    stored = json.loads((run.path / "config.json").read_text())
    assert stored == {"name": "demo", "seeds": [0, 13], "iss": {"p": 0.3}}
    stored = json.loads((run.path / "environment.json").read_text())
    assert stored == jsonable(environment())
    assert stored["packages"]["numpy"] == np.__version__
    assert stored["backend"] == "cpu"


def test_csv_has_the_keys_of_the_first_row(tmp_path):
    path = RunDirectory(tmp_path).write_csv(
        "results.csv", [{"a": 1, "b": "x,y"}, {"a": 2, "b": ""}]
    )
    with path.open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"a": "1", "b": "x,y"}, {"a": "2", "b": ""}]


def test_a_failed_write_keeps_the_old_file(tmp_path):
    run = RunDirectory(tmp_path)
    run.write_json("results.json", {"r": 1})
    with pytest.raises(TypeError):
        run.write_json("results.json", {"r": object()})
    with pytest.raises(ValueError):
        run.write_csv("results.json", [{"a": 1}, {"b": 2}])
    assert json.loads((tmp_path / "results.json").read_text()) == {"r": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
