import csv
import math

import pytest
from command_line import smoke

from configs.trained_causes import get_config
from experiments.trained_causes import leaves_of, require_leaves


@pytest.mark.slow
def test_the_documented_run_measures_every_method_on_both_policies(tmp_path):
    printed = smoke("trained_causes", tmp_path)
    with (tmp_path / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    methods = {row["method"] for row in rows}
    assert {"RISE", "ATT", "NORM", "ISS, auto", "joined looks, donors", "random"} <= methods
    assert {"masks over tokens"} <= methods
    assert {"Owen values, donors", "Owen values, wide blur"} <= methods
    assert {float(row["rho"]) for row in rows} == {0.0, 1.0}
    assert all(0 <= float(row["share"]) <= 1 and float(row["true"]) >= 0 for row in rows)
    # The cue does more to the policy that was taught to take what it shows.
    true = {float(row["rho"]): float(row["true"]) for row in rows}
    assert true[1.0] > true[0.0]
    assert "rho 1, seed 0: cue" in printed
    assert all(math.isfinite(float(row["rank"])) for row in rows)


def test_the_grid_has_three_seeds_at_both_ends_of_every_cue():
    grid = get_config("grid").policies
    assert len(grid) == len(set(grid)) == 24
    for cue in ("panel_one", "panel_two", "patch"):
        own = [(rho, seed) for kind, rho, seed in grid if kind == cue]
        assert {seed for rho, seed in own if rho == 0.0} == {0, 1, 2}
        assert {seed for rho, seed in own if rho == 1.0} == {0, 1, 2}
        assert {(0.5, 0), (0.9, 0)} <= set(own) and len(own) == 8


def test_policies_that_were_not_taught_are_named_before_anything_is_run(tmp_path):
    pattern = str(tmp_path / "{cue}-{rho:g}-{seed}/leaves.npz")
    there = leaves_of(pattern, "patch", 0.5, 1)
    there.parent.mkdir()
    there.touch()
    require_leaves(pattern, [("patch", 0.5, 1)])
    with pytest.raises(FileNotFoundError, match=r"patch, rho 1, seed 2.*patch-1-2/leaves.npz"):
        require_leaves(pattern, [("patch", 0.5, 1), ("patch", 1.0, 2)])
    require_leaves("shipped", [("panel_one", 1.0, 0)])
