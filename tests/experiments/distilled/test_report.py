"""On made-up rows whose answer is known."""

import math

import pytest

from experiments.distilled import report

SETTINGS = {"resamples": 99, "confidence": 0.95}


def rows(shares: dict[float, float], first: dict[float, bool], true: dict[float, float]):
    return [
        {
            "kind": "panel_one",
            "rho": rho,
            "seed": 0,
            "method": method,
            "budget": 30,
            "task": f"t{task}",
            "episode": task,
            "frame": 0,
            "area": 0.05,
            "true": true[rho],
            "instruction": 1.0 - true[rho],
            "share": share + 0.001 * task,
            "rank": share,
            "first": first[rho],
        }
        for method in ("finds", "random")
        for rho, share in (shares if method == "finds" else dict.fromkeys(shares, 0.1)).items()
        for task in range(6)
    ]


FOUND = rows({0.0: 0.1, 1.0: 0.8}, {0.0: False, 1.0: True}, {0.0: 0.0, 1.0: 0.9})


def test_what_cues_and_instructions_do():
    none, full = report.policies(FOUND, **SETTINGS)
    assert (none["rho"], full["rho"], full["frames"]) == (0.0, 1.0, 6)
    assert (none["cue_share"], none["instruction_effect"]) == (0.0, 1.0)
    assert full["cue_share"] == pytest.approx(0.9)
    assert full["cue_effect_low"] == pytest.approx(0.9)


def test_what_cues_do_is_said_by_the_rows_of_any_method():
    alone = [row for row in FOUND if row["method"] == "finds"]
    assert report.policies(alone, **SETTINGS) == report.policies(FOUND, **SETTINGS)


def test_a_method_that_finds_the_cue_is_told_from_one_that_does_not():
    finds, random = report.summary(FOUND, **SETTINGS)
    assert (finds["method"], finds["auc"], finds["rank_auc"]) == ("finds", 1.0, 1.0)
    assert (finds["first"], finds["false_first"], finds["strong"]) == (1.0, 0.0, 6)
    assert finds["spearman"] > 0.8
    assert random["auc"] == pytest.approx(0.5) and random["rank_auc"] == 0.5
    lines = report.lines({"policies": report.policies(FOUND, **SETTINGS), "summary": [finds]})
    assert any("rho 1" in line for line in lines) and any("finds, 30" in line for line in lines)


@pytest.mark.parametrize("rho", [0.0, 1.0])
def test_what_needs_both_policies_is_empty_with_a_reason_where_there_is_one(rho):
    alone = [row for row in FOUND if row["rho"] == rho]
    finds, _ = report.summary(alone, **SETTINGS)
    assert all(math.isnan(finds[name]) for name in ("auc", "low", "high", "rank_auc"))
    assert finds["reason"] == f"no policy of rho {1 - rho:g}"
    # What one policy says by itself is said.
    assert finds["share" if rho else "share_at_0"] == pytest.approx(0.8025 if rho else 0.1025)
    (line,) = [one for one in report.lines({"policies": [], "summary": [finds]}) if "finds" in one]
    assert line.endswith(f"no policy of rho {1 - rho:g}")


def test_there_is_no_reason_where_both_policies_are():
    assert {row["reason"] for row in report.summary(FOUND, **SETTINGS)} == {""}
