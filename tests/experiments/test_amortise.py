"""The command that teaches and judges a head."""

import csv
import json

import numpy as np
import pytest
from command_line import smoke

from configs.amortise import get_config
from iss_jax.amortised import load_head


@pytest.mark.slow
def test_the_documented_run_teaches_a_head_and_judges_it(tmp_path):
    printed = smoke("amortise", tmp_path)
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = {(row["method"], int(row["runs"])): row for row in csv.DictReader(file)}
    assert {("head", 0), ("mean map", 0), ("control: head", 10), ("trees", 10)} <= set(rows)
    assert {("bands", 4), ("clipped", 1)} <= set(rows)
    assert ("bands", 1) not in rows
    assert all(-1.5 <= float(row["r"]) <= 1.5 for row in rows.values())
    # What the head costs is counted wherever it is used.
    assert float(rows["control: head", 10]["cost"]) > float(rows["centred", 10]["cost"]) == 10
    content = json.loads((tmp_path / "results.json").read_text())
    assert 0 < content["cost"]["flops"] < 0.05
    assert -1 <= content["left_out"] <= 1
    assert {row["kind"] for row in content["frames"]} == {"new episode", "new task"}
    head = load_head(tmp_path / "head.npz")
    assert head.members == get_config("smoke").members
    assert all(np.isfinite(leaf).all() for leaf in head.leaves.values())
    assert "when to distrust it" in printed
