"""Run directories resume, survive interruptions, and never hide a damaged result."""

import csv
import json
import math
import threading

import ml_collections
import numpy as np
import pytest

from experiments.runs.app import run_path
from iss_jax.jobs import directory as run_directory
from iss_jax.jobs.directory import RunDirectory, gather, jsonable, open_run, run_items
from iss_jax.jobs.environment import environment
from iss_jax.jobs.processes import Processes


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


def test_a_run_of_another_layout_is_refused_by_name(tmp_path):
    config = ml_collections.ConfigDict({"name": "demo"})
    open_run(tmp_path, config)
    content = json.loads((tmp_path / "environment.json").read_text())
    # Runs of versions that had no layouts are of the first.
    del content["layout"]
    (tmp_path / "environment.json").write_text(json.dumps(content))
    open_run(tmp_path, config)
    with pytest.raises(ValueError, match=r"layout 1, 2 wanted\); give another --workdir"):
        open_run(tmp_path, config, layout=2)
    assert json.loads((tmp_path / "environment.json").read_text())["layout"] == 1
    open_run(tmp_path / "new", config, layout=2)
    open_run(tmp_path / "new", config, layout=2)
    (tmp_path / "environment.json").write_text("{half")
    with pytest.raises(ValueError, match=r"environment\.json: cannot be read"):
        open_run(tmp_path, config)


def test_open_run_notes_config_and_environment(tmp_path):
    config = ml_collections.ConfigDict({"name": "demo", "seeds": (0, 13), "iss": {"p": 0.3}})
    run = open_run(tmp_path / "new" / "run", config)
    stored = json.loads((run.path / "config.json").read_text())
    assert stored == {"name": "demo", "seeds": [0, 13], "iss": {"p": 0.3}}
    stored = json.loads((run.path / "environment.json").read_text())
    assert stored == jsonable(environment()) | {"layout": 1}
    assert stored["packages"]["numpy"] == np.__version__
    assert stored["backend"] == "cpu"


def configured(**options):
    return ml_collections.ConfigDict({"name": "demo", **options})


def held(path):
    """The options of `config.json`, and what lies beside it."""
    names = {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()}
    names -= {"config.json", "environment.json"}
    return json.loads((path / "config.json").read_text())["p"], sorted(names)


def write_all(run, p):
    run.write_csv("results.csv", [{"p": p}])
    run.write_json("results.json", {"p": p})
    run.write_json("about/more.json", {"p": p})


def test_a_run_that_fails_leaves_the_tables_of_another_beside_their_options(tmp_path):
    write_all(open_run(tmp_path, configured(p=1)), 1)
    (tmp_path / "notes.txt").write_text("a user's")
    before = held(tmp_path)
    other = open_run(tmp_path, configured(p=2))

    def fails(item):
        raise RuntimeError("no such checkpoint")

    with pytest.raises(RuntimeError):
        run_items(other, [{"seed": 1}], fails, description="", quiet=True)
    assert held(tmp_path) == before
    with pytest.raises(TypeError):
        other.write_json("results.json", {"p": object()})
    assert held(tmp_path) == before


def test_the_first_table_of_other_options_takes_the_old_ones_away(tmp_path):
    write_all(open_run(tmp_path, configured(p=1)), 1)
    (tmp_path / "notes.txt").write_text("a user's")
    for name in ("report.html", "answer.json", "explorer.html", "gallery.html"):
        (tmp_path / name).write_text("of p = 1")
    other = open_run(tmp_path, configured(p=2))
    other.write_csv("results.csv", [{"p": 2}])
    assert held(tmp_path) == (2, ["notes.txt", "results.csv"])
    assert json.loads((tmp_path / "environment.json").read_text())["outputs"] == ["results.csv"]
    # The same options once more keep what is there.
    open_run(tmp_path, configured(p=2)).write_json("results.json", {})
    assert held(tmp_path) == (2, ["notes.txt", "results.csv", "results.json"])


def test_of_two_runs_at_once_the_one_that_is_replaced_stops(tmp_path):
    first, second = (open_run(tmp_path, configured(p=p)) for p in (1, 2))
    first.write_csv("results.csv", [{"p": 1}])
    write_all(second, 2)
    with pytest.raises(ValueError, match=r"another run with other options.*own --workdir"):
        first.write_json("results.json", {"p": 1})
    assert held(tmp_path) == (2, ["about/more.json", "results.csv", "results.json"])
    assert json.loads((tmp_path / "results.json").read_text()) == {"p": 2}
    # Items say all that they depend on: those of the first are not lost.
    first.save({"seed": 1}, 2.0)
    assert second.load({"seed": 1}) == 2.0


def test_a_table_that_another_run_overtakes_while_it_is_written_goes(tmp_path):
    first, second = (open_run(tmp_path, configured(p=p)) for p in (1, 2))

    class Figure:
        def savefig(self, path):
            path.write_bytes(b"of p = 1")
            second.write_json("results.json", {"p": 2})

    with pytest.raises(ValueError, match="another run with other options"):
        first.write_figure("a.png", Figure())
    assert held(tmp_path) == (2, ["results.json"])


def test_directories_of_before_lose_the_tables_that_every_command_writes(tmp_path):
    run = open_run(tmp_path, configured(p=1))
    run.write_json("results.json", {"p": 1})
    content = json.loads((tmp_path / "environment.json").read_text())
    del content["outputs"]
    (tmp_path / "environment.json").write_text(json.dumps(content))
    open_run(tmp_path, configured(p=2)).claim()
    assert held(tmp_path) == (2, [])


def test_items_are_of_the_numerical_version_that_computed_them(tmp_path):
    calls = []

    def compute(item):
        calls.append(item)
        return len(calls)

    def results(version):
        run = open_run(tmp_path, configured(p=1), version=version)
        return run_items(run, [{"seed": 1}], compute, description="", quiet=True)

    assert [results(version) for version in (1, 2, 1, 2, 3)] == [[1], [2], [1], [2], [3]]
    stored = [json.loads(path.read_text()) for path in (tmp_path / "items").iterdir()]
    assert sorted(one["version"] for one in stored) == [1, 2, 3]
    # Items of before there were versions are of the first.
    path = RunDirectory(tmp_path).item_path({"seed": 1})
    content = json.loads(path.read_text())
    del content["version"]
    path.write_text(json.dumps(content))
    assert results(1) == [1]


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


@pytest.mark.parametrize("count", [2, 3, 8])
def test_items_are_dealt_once_and_evenly(tmp_path, count):
    """Every fourth of these items is large: one process must not be dealt all of them."""
    items = [{"seed": seed, "masks": 200 if seed % 4 == 0 else 50} for seed in range(41)]
    shares = [
        RunDirectory(tmp_path, Processes(count, index)).unfinished(items) for index in range(count)
    ]
    dealt = [item["seed"] for share in shares for item in share]
    assert sorted(dealt) == list(range(41))
    assert {len(share) for share in shares} <= {41 // count, -(-41 // count)}
    large = [sum(item["masks"] == 200 for item in share) for share in shares]
    assert max(large) < 11


def test_processes_share_a_run(tmp_path, monkeypatch):
    """Threads stand for processes here; `test_many_processes` starts real ones."""
    monkeypatch.setattr(run_directory, "POLL_S", 0.01)
    items, calls, found = [{"seed": seed} for seed in range(11)], [], {}

    def work(index):
        run = RunDirectory(tmp_path, Processes(3, index))
        compute = lambda item: calls.append(item["seed"]) or item["seed"] ** 2  # noqa: E731
        found[index] = run_items(run, items, compute, description="", quiet=True)
        run.write_csv(f"{index}.csv", [{"a": 1}])
        run.write_json(f"{index}.json", {})

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(calls) == list(range(11))
    assert all(found[index] == [seed**2 for seed in range(11)] for index in range(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.csv", "0.json", "items"]


def test_what_is_waited_for_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(run_directory, "POLL_S", 0.0)
    monkeypatch.setattr(run_directory, "PATIENCE_S", -1.0)
    items = [{"seed": seed} for seed in range(10)]
    first, second = (RunDirectory(tmp_path, Processes(2, index)) for index in range(2))
    lines = []

    def warn(text, *values):
        lines.append(text % values)
        for item in second.unfinished(items):
            second.save(item, 1)

    monkeypatch.setattr(run_directory.logging, "warning", warn)
    run_items(first, items, lambda item: 0, description="", quiet=True)
    assert lines == [f"{tmp_path}: waiting for 5 results of process 1"]


def test_the_share_of_a_process_that_is_not_there_is_taken_over(tmp_path, monkeypatch):
    monkeypatch.setattr(run_directory, "POLL_S", 0.0)
    monkeypatch.setattr(run_directory, "PATIENCE_S", 0.01)
    monkeypatch.setattr(run_directory.logging, "warning", lambda *_: None)
    monkeypatch.setattr(run_directory, "current", lambda: Processes(2, 1))
    config = ml_collections.ConfigDict({"name": "demo"})
    items, calls = [{"seed": seed} for seed in range(10)], []
    first, second = RunDirectory(tmp_path, Processes(2, 0)), open_run(tmp_path, config)
    own = {item["seed"] for item in first.unfinished(items)}

    def compute(item):
        calls.append(item["seed"])
        return item["seed"]

    # One that is there is waited for.
    for item in first.unfinished(items):
        first.save(item, compute(item))
    timer = threading.Timer(0.2, lambda: [second.save(i, -1) for i in second.unfinished(items)])
    timer.start()
    found = run_items(first, items, compute, description="", quiet=True)
    assert found == [seed if seed in own else -1 for seed in range(10)]
    timer.join()
    # One that has gone is not: its share is computed from its end.
    for item in items:
        if item["seed"] not in own:
            first.item_path(item).unlink()
    calls.clear()
    del second, timer
    with pytest.raises(RuntimeError, match="process 1 of 2 has ended, and 5 of its results"):
        gather(first, items)
    assert run_items(first, items, compute, description="", quiet=True) == list(range(10))
    assert calls == sorted(set(range(10)) - own, reverse=True)


def test_a_result_of_ones_own_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"no result of \{'seed': 1\}"):
        gather(RunDirectory(tmp_path), [{"seed": 1}])


def test_a_bucket_holds_a_run(monkeypatch):
    """epath reaches buckets through fsspec; its file system in memory stands for one."""
    import fsspec
    from etils.epath import backend
    from fsspec.implementations.memory import MemoryFileSystem

    memory = MemoryFileSystem()
    monkeypatch.setattr(fsspec, "filesystem", lambda name, **options: memory)
    monkeypatch.setattr(backend, "fsspec_backend", backend._FileSystemSpecBackend(), raising=False)
    run = open_run(run_path("gs://bucket/run"), ml_collections.ConfigDict({"name": "demo"}))
    assert run_items(run, [{"seed": 2}], lambda item: 4.0, description="", quiet=True) == [4.0]
    assert RunDirectory(run_path("gs://bucket/run")).load({"seed": 2}) == 4.0
    run.write_csv("results.csv", [{"a": 1}])
    assert {path.name for path in run.path.iterdir()} == {
        "config.json",
        "environment.json",
        "items",
        "results.csv",
    }
    assert (run.path / "results.csv").read_bytes() == b"a\n1\n"
