import types

import jax
import pytest
from command_line import smoke

from configs import zoo_run as zoo_run_config
from experiments import zoo_run
from experiments.zoo.shipped import keep
from iss_jax.data.table import csv_text, read_rows
from iss_jax.jobs.directory import RunDirectory

PARTS = [{"part": "maps", "values": {"nmr": [0.5, 0.7]}, "seconds": 3.0, "inferences": 200}]


@pytest.fixture
def config(monkeypatch, tmp_path):
    """A configuration whose policies are trained and rolled out in no time."""
    seen = {"trained": [], "acted": 0}

    class School:
        def __init__(self, options, folder):
            pass

        def taught_on(self, layouts):
            return None, None

        def train(self, recipe, folder, *, quiet):
            seen["trained"].append(recipe.row)
            folder.mkdir(parents=True)
            (folder / "leaves.npz").write_bytes(b"leaves")
            rows = [{"step": 2, "loss": 0.1, "seconds": 60.5}]
            (folder / "training.csv").write_text(csv_text(rows))
            return folder / "leaves.npz"

    def run_trials(run: RunDirectory, items, act, *, quiet):
        for item in items:
            seen["acted"] += run.load(item) is None
            run.save(item, {"success": item["axis"] == "none", "steps": 9, "seconds": 2.0})

    monkeypatch.setattr(zoo_run, "School", School)
    monkeypatch.setattr(
        zoo_run, "load", lambda leaves: types.SimpleNamespace(fingerprint=leaves.parent.name)
    )
    monkeypatch.setattr(zoo_run, "actor", lambda *given, **options: None)
    monkeypatch.setattr(zoo_run, "measured", lambda *given, **options: PARTS)
    monkeypatch.setattr(zoo_run, "run_trials", run_trials)
    task = ("pick up the milk and place it in the basket", ("milk_1", "ketchup_1"))
    monkeypatch.setattr(zoo_run, "tasks_of", lambda indices: {"milk": task})
    config = zoo_run_config.get_config("full")
    config.rows, config.into, config.quiet = (2, 3, 1), str(tmp_path / "docs"), True
    return config, seen


def test_one_policy_is_brought_to_its_end_before_the_next_begins(config, tmp_path, monkeypatch):
    config, seen = config
    finished = []

    def kept(folder, recipe, tables):
        finished.append((recipe.row, list(seen["trained"])))
        keep(folder, recipe, tables)

    monkeypatch.setattr(zoo_run, "keep", kept)
    zoo_run.main(config, tmp_path / "run")
    assert finished == [(2, [2]), (3, [2, 3]), (1, [2, 3, 1])]
    # Four trials of the one task on nine axes; a policy without a cue has eight.
    assert seen["acted"] == 36 + 32 + 32
    docs = tmp_path / "docs"
    assert {row["row"] for row in read_rows(docs / "measures.csv")} == {"1", "2", "3"}
    costs = {
        row["step"]: row["seconds"] for row in read_rows(docs / "costs.csv") if row["row"] == "2"
    }
    assert costs == {
        "training": "60.5",
        "maps": "3.0",
        "unshifted trials": "8.0",
        "shifted trials": "64.0",
    }
    assert len(list((docs / "leaves").iterdir())) == 3
    zoo_run.main(config, tmp_path / "run")
    assert len(finished) == 3


@pytest.mark.slow
def test_the_documented_run_brings_a_policy_to_its_end_without_trials(tmp_path):
    # optax itself mixes ints and floats; the strict promotion of the suite is for our code.
    with jax.numpy_dtype_promotion("standard"):
        printed = smoke("zoo_run", tmp_path)
    assert "1 of 24 are done" in printed
    tables = tmp_path / "tables"
    steps = {row["step"] for row in read_rows(tables / "costs.csv")}
    assert steps >= {"training", "effects", "things", "maps", "loss", "entropy"}
    values = {row["measure"]: float(row["value"]) for row in read_rows(tables / "measures.csv")}
    assert 0 <= values["nuisance_share"] <= 1 and values["validation_loss"] > 0
    (leaves,) = (tables / "leaves").iterdir()
    assert leaves.stat().st_size < 1_000_000
