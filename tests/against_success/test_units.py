"""Suites or tasks: what success varies between is what intervals and tests go by."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from iss_jax.against_success.report import report_text
from iss_jax.against_success.rows import (
    Row,
    by_suite,
    correlations,
    success_variation,
    table,
    unit_of_success,
)
from iss_jax.against_success.units import unit_line
from iss_jax.data.success import Success
from iss_jax.jobs.directory import RunDirectory

STUDY = Path(__file__).parents[2] / "docs" / "study" / "nmr.csv"
SETTINGS = {"confidence": 0.95, "resamples": 99, "permutations": 99}


def study_rows(measures):
    """The study's own 205 rows; `measures` gives what the measures are, from suites and tasks."""
    with STUDY.open(newline="") as file:
        lines = list(csv.DictReader(file))
    values = measures([line["suite"] for line in lines], [line["task"] for line in lines])
    return [
        Row(
            Success(
                line["task"], line["suite"], line["split"], 0, int(line["seed"]), 100,
                round(100 * float(line["success_rate"])),
            ),
            1,
            1,
            {"chance": float(line["chance"])} | {name: x[i] for name, x in values.items()},
            np.zeros((1, 1)),
        )
        for i, line in enumerate(lines)
    ]  # fmt: skip


def shared_by_suites(count, seed=0, spread=0.3):
    """Measures that share their suites' means and say nothing of success."""
    rng = np.random.default_rng(seed)

    def measures(suites, tasks):
        suite = np.unique(suites, return_inverse=True)[1]
        names = [f"{a}/{b}" for a, b in zip(suites, tasks, strict=True)]
        task = np.unique(names, return_inverse=True)[1]
        return {
            f"null {i}": rng.normal(size=8)[suite]
            + spread * rng.normal(size=41)[task]
            + spread * rng.normal(size=205)
            for i in range(count)
        }

    return measures


def small(suites, tasks, successes, value, seeds=2):
    """Rows of a few suites with as many tasks each."""
    rng = np.random.default_rng(0)
    return [
        Row(
            Success(f"t{task}", f"s{suite}", "seen", 0, seed, 10, successes(suite, task)),
            1,
            1,
            {"nmr@10": value(suite, task, rng), "chance": 0.1 * suite + 0.01 * task},
            rng.random((2, 1)),
        )
        for suite in range(suites)
        for task in range(tasks)
        for seed in range(seeds)
    ]


def entries(found):
    return {(entry["measure"], entry["kind"]): entry for entry in found}


def test_in_the_study_the_suite_is_the_unit():
    rows = study_rows(shared_by_suites(1))
    found = unit_of_success(rows)
    assert found["unit"] == "suite" and (found["groups"], found["clusters"]) == (8, 41)
    assert found["between"] > 0.95 and found["by_chance"] == pytest.approx(7 / 40)
    entry = entries(correlations(rows, (10,), **SETTINGS))["null 0", "pearson"]
    assert (entry["unit"], entry["clusters"], entry["n"]) == ("suite", 8, 205)
    assert entry["bootstrap"][0] < entry["r"] < entry["bootstrap"][1] and not entry["reason"]
    # Area and split take four of eight suites: a coefficient is left, and nothing says how sure.
    partial = entry["partial"]
    assert math.isfinite(partial["r"]) and math.isnan(partial["p_value"])
    assert (
        np.isnan(partial["bootstrap"]).all() and "not identifiable: 8 suites" in partial["reason"]
    )
    # Inside suites tasks are the unit.
    inside = entry["within_suites"]
    assert inside["clusters"] == 41 and np.isfinite(inside["bootstrap"]).all()


@pytest.mark.slow
def test_measures_that_share_suites_means_are_rarely_told_from_success():
    """600 null measures on the study's rows, in every column that has a p or an interval.

    p below 0.05 in at most 7 %, 93 to 97 % of the intervals hold 0; two binomial errors of 0.9 %
    are added, since these are 600 runs and not the truth.
    """
    rows = study_rows(shared_by_suites(600))
    found = [e for e in correlations(rows, (10,), **SETTINGS) if e["measure"] != "chance"]
    columns = {
        "suites": [e for e in found if e["kind"] == "pearson"],
        "inside": [e["within_suites"] for e in found if e["kind"] == "pearson"],
        "ranks": [e for e in found if e["kind"] == "spearman"],
    }
    for name, column in columns.items():
        p = np.array([entry["p_value"] for entry in column])
        ends = np.array([entry["bootstrap"] for entry in column])
        assert len(p) == 600 and np.isfinite(ends).all()
        assert (p < 0.05).mean() <= 0.07 + 0.018, name
        inside = ((ends[:, 0] <= 0) & (ends[:, 1] >= 0)).mean()
        assert 0.93 - 0.018 <= inside <= 0.97 + 0.018, name
    ranked = [entry for entry in by_suite(rows) if entry["measure"] != "chance"]
    assert (np.array([e["p_value"] for e in ranked]) < 0.05).mean() <= 0.07 + 0.018
    held = np.array([e["low"] <= 0 <= e["high"] for e in ranked]).mean()
    assert 0.93 - 0.018 <= held <= 0.99


def test_of_two_suites_nothing_is_identified_and_that_is_said():
    rows = small(2, 6, lambda s, t: 9 * s + (t == 0), lambda s, t, rng: rng.random())
    entry = entries(correlations(rows, (10,), **SETTINGS))["nmr@10", "pearson"]
    assert entry["unit"] == "suite" and np.isnan(entry["bootstrap"]).all()
    assert entry["p_value"] >= 0.5
    assert entry["reason"] == "no interval: 2 suites given, at least 6 wanted"
    assert "Not identifiable: 2 suites, an interval takes 6" in unit_line(
        {"unit": unit_of_success(rows)}
    )


def test_where_suites_are_alike_tasks_are_the_unit():
    rows = small(2, 8, lambda s, t: t, lambda s, t, rng: rng.random())
    entry = entries(correlations(rows, (10,), **SETTINGS))["nmr@10", "pearson"]
    assert (entry["unit"], entry["clusters"]) == ("task", 16)
    assert np.isfinite(entry["bootstrap"]).all()
    assert unit_line({"unit": unit_of_success(rows)}) == "Intervals and p: by task."


def test_three_tasks_on_a_line_have_no_interval():
    rows = small(1, 3, lambda s, t: 3 * t, lambda s, t, rng: t + 0.1 * rng.random(), seeds=5)
    entry = entries(correlations(rows, (10,), **SETTINGS))["nmr@10", "pearson"]
    assert entry["r"] > 0.99 and np.isnan(entry["bootstrap"]).all()
    assert entry["reason"] == "no interval: 3 tasks given, at least 6 wanted"


@pytest.mark.parametrize(
    ("suites", "value", "successes", "reason"),
    [
        (1, lambda *_: 0.3, lambda s, t: t, "no correlation: the measure does not vary"),
        (3, lambda *_: 0.3, lambda s, t: t, "no correlation: the measure does not vary"),
        (
            1,
            lambda s, t, rng: rng.random(),
            lambda s, t: 5,
            "no correlation: success does not vary",
        ),
        (1, lambda *_: 0.3, lambda s, t: 5, "no correlation: the measure and success do not vary"),
        (1, lambda *_: np.nan, lambda s, t: t, "0 rows have a value, at least 3 wanted"),
    ],
)
def test_what_cannot_be_compared_is_nan_with_its_reason_everywhere(
    suites, value, successes, reason, tmp_path, capsys
):
    rows = small(suites, 7, successes, value)
    found = correlations(rows, (10,), **SETTINGS)
    entry = entries(found)["nmr@10", "pearson"]
    assert math.isnan(entry["r"]) and reason in entry["reason"]
    for label in ("partial", "within_suites"):
        if label in entry:
            assert math.isnan(entry[label]["r"]) and entry[label]["reason"]
    lines = table(rows, (10,))
    nan = math.isnan(rows[0].measures["nmr@10"])
    assert {bool(line["reason"]) for line in lines} == {nan}
    content = {
        "rows": len(rows),
        "tasks": 7,
        "seeds": [0, 1],
        "frames": len(rows),
        "correlations": found,
        "by_suite": by_suite(rows),
        "success_variation": success_variation(rows),
        "unit": unit_of_success(rows),
    }
    said = report_text(RunDirectory(tmp_path), content, (10,), [])
    assert reason in said and " nan" not in said


def test_a_suite_without_values_is_named():
    rows = small(7, 2, lambda s, t: s, lambda s, t, rng: np.nan if s == 2 else rng.random())
    ranked = {entry["measure"]: entry for entry in by_suite(rows)}
    assert ranked["nmr@10"]["reason"] == "no correlation: no row of s2 has a value"
    assert math.isfinite(ranked["chance"]["low"]) and not ranked["chance"]["reason"]
    few = {entry["measure"]: entry for entry in by_suite(rows[:12])}
    assert few["chance"]["reason"].startswith("no interval: 3 suites given")
    assert math.isnan(few["chance"]["low"])
