"""The command on what its smoke run does not show: looks that are compared, kinds of input."""

import csv
import json

import pytest

from configs.acts_on import get_config
from experiments.acts_on import Options, main
from iss_jax.jobs.options import from_config


def config(**changes):
    found = get_config("smoke")
    for name, value in changes.items():
        found[name] = value
    return found


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"players": "looks_apart"}, "config.players: 'looks_apart' given, one of .*modalities"),
        ({"players": "modalities", "fill": "blur"}, "config.fill: 'blur' given, but whole inputs"),
    ],
)
def test_what_cannot_be_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        from_config(config(**changes), Options)


@pytest.mark.slow
def test_looks_are_compared_with_joined_ones(tmp_path, capsys):
    found = main(config(players="looks", num_steps=1), tmp_path)
    (row,) = rows(tmp_path / "compared.csv")
    (said,) = found["compared"]
    assert row["with"] == "looks_joined" and row["says"] == said["says"]
    assert -1 <= float(row["correlation"]) <= 1
    assert f"joined and single looks: {said['says']}" in capsys.readouterr().out
    assert "compared" not in main(config(players="looks", num_steps=1, compare=False), tmp_path)


@pytest.mark.slow
def test_kinds_of_input_have_rows_and_a_sentence(tmp_path, capsys):
    found = main(config(players="modalities", num_steps=1), tmp_path)
    kinds = rows(tmp_path / "kinds.csv")
    assert {row["kind"] for row in kinds} == {
        "front",
        "wrist",
        "overhead",
        "prompt",
        "state",
        "all views",
    }
    parts = [float(row["share"]) for row in kinds if row["kind"] != "all views"]
    assert sum(parts) == pytest.approx(1.0, abs=1e-4)
    assert found["kinds"] in capsys.readouterr().out
    players = {row["player"] for row in rows(tmp_path / "players.csv")}
    assert {"prompt", "state"} <= players and len(players) == 5
    assert json.loads((tmp_path / "results.json").read_text())["kinds"] == found["kinds"]
