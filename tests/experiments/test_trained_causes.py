import csv
import math

import pytest
from command_line import smoke


@pytest.mark.slow
def test_the_documented_run_measures_every_method_on_both_policies(tmp_path):
    printed = smoke("trained_causes", tmp_path)
    with (tmp_path / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    methods = {row["method"] for row in rows}
    assert {"RISE", "ATT", "NORM", "ISS, auto", "joined looks, donors", "random"} <= methods
    assert {"Owen values, donors", "Owen values, wide blur"} <= methods
    assert {float(row["rho"]) for row in rows} == {0.0, 1.0}
    assert all(0 <= float(row["share"]) <= 1 and float(row["true"]) >= 0 for row in rows)
    # The cue does more to the policy that was taught to take what it shows.
    true = {float(row["rho"]): float(row["true"]) for row in rows}
    assert true[1.0] > true[0.0]
    assert "rho 1, seed 0: cue" in printed
    assert all(math.isfinite(float(row["rank"])) for row in rows)
