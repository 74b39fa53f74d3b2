"""On made-up rows whose answer is known."""

import math

import numpy as np
import pytest

from experiments.distilled import report
from experiments.distilled.seeds import by_seed

SETTINGS = {"resamples": 400, "confidence": 0.95}
GRID = [(rho, seed) for rho in (0.0, 1.0) for seed in range(3)] + [(0.5, 0), (0.9, 0)]


def rows(found: dict[int, float], cue: str = "patch", policies=GRID):
    """Seed -> how many of its 8 tasks have the cue's share above every share at rho 0."""
    rng = np.random.default_rng(0)
    out = []
    for rho, seed in policies:
        for task in range(8):
            high = rho == 1.0 and task < found[seed]
            row = {"kind": cue, "rho": rho, "seed": seed, "method": "players", "budget": 30}
            row |= {"task": f"t{task}", "episode": task, "frame": 0, "area": 0.1}
            row |= {"true": rho, "instruction": 1 - rho, "rank": 0.5, "first": high}
            out.append(row | {"share": 0.8 + 0.1 * rng.random() if high else 0.1 * rho * 0.5})
    return out


def test_the_spread_over_seeds_is_that_of_their_own_aucs():
    # A task that does not come first still has a larger share than any at rho 0.
    (found,) = by_seed(rows({0: 8, 1: 8, 2: 4}))
    assert found["seeds"] == 3 and (found["cue"], found["method"]) == ("patch", "players")
    assert found["auc"] == found["auc_most"] == 1.0 and found["auc_sd"] == 0.0
    assert (found["first"], found["first_least"], found["first_most"]) == (5 / 6, 0.5, 1.0)
    assert found["first_sd"] == pytest.approx(np.std([1, 1, 0.5], ddof=1))


def test_a_seed_that_fails_shows_in_the_spread_and_not_in_the_interval_of_tasks():
    # Of seed 2 the shares at rho 1 lie below those at rho 0.
    bad = rows({0: 8, 1: 8, 2: 8})
    for row in bad:
        if row["seed"] == 2:
            row["share"] = 0.5 - 0.4 * row["rho"]
    (pooled,), (spread,) = report.summary(bad, **SETTINGS), by_seed(bad)
    assert spread["auc_least"] == 0.0 and spread["auc_most"] == 1.0
    assert spread["auc"] == pytest.approx(2 / 3) and spread["auc_sd"] == pytest.approx(3**-0.5)
    # Only seed 2 against seed 2 is wrong, of 9 pairs. All tasks are alike: resampling them says
    # nothing of that.
    assert pooled["auc"] == pytest.approx(8 / 9)
    assert pooled["high"] - pooled["low"] < 0.05


def test_the_table_by_cue_pools_seeds_and_resamples_tasks():
    found = rows({0: 8, 1: 6, 2: 4}) + rows({0: 8, 1: 8, 2: 8}, "panel_one")
    table = report.summary(found, **SETTINGS)
    assert [row["cue"] for row in table] == ["patch", "panel_one"]
    assert [row["strong"] for row in table] == [24, 24]
    assert table[0]["first"] == pytest.approx(18 / 24)
    policies = report.policies(found, **SETTINGS)
    assert len(policies) == 2 * len(GRID)
    assert {(row["rho"], row["seed"]) for row in policies} == set(GRID)


def test_seeds_with_one_policy_alone_say_nothing():
    alone = [(1.0, 0), (0.0, 1), (0.5, 2)]
    (found,) = by_seed(rows({0: 8, 1: 8, 2: 8}, policies=alone))
    assert found["seeds"] == 0 and math.isnan(found["auc"]) and math.isnan(found["first_sd"])
    (single,) = by_seed(rows({0: 8}, policies=[(0.0, 0), (1.0, 0)]))
    assert single["seeds"] == 1 and single["auc"] == 1.0 and math.isnan(single["auc_sd"])


def test_what_is_printed_has_the_spread_of_several_seeds_alone():
    found = rows({0: 8, 1: 8, 2: 4})
    content = {"policies": [], "summary": [], "seeds": by_seed(found)}
    (line,) = [one for one in report.lines(content) if "players, 30" in one]
    assert "1.00 ± 0.00 [1.00, 1.00]   0.83 ± 0.29   3" in line
    one = {"policies": [], "summary": [], "seeds": by_seed([r for r in found if r["seed"] == 0])}
    assert not any("players, 30" in line for line in report.lines(one))
