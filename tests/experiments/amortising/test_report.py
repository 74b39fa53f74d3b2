"""Tables of `amortise`."""

import pytest

from experiments.amortising.report import summarised, trusted


def row(r, half, kind="new task", method="head"):
    return {"method": method, "runs": 0, "sort": "none", "cost": 0.1, "r": r} | {
        "half": half,
        "kind": kind,
    }


def test_means_are_of_all_frames_of_each_kind_and_of_the_frames_that_chose_nothing():
    rows = [row(0.2, "choice"), row(0.4, "test"), row(0.9, "test", "new episode")]
    rows += [row(1.0, "test", method="mean map")]
    (found, other) = summarised(rows)
    assert found["r"] == pytest.approx(0.5) and found["frames"] == 3
    assert found["low"] < 0.5 < found["high"]
    assert found["new task"] == pytest.approx(0.3) and found["new episode"] == 0.9
    assert found["choice"] == 0.2 and found["test"] == pytest.approx(0.65)
    assert other["r"] == 1.0 and other["choice"] != other["choice"]


def test_a_check_that_orders_frames_as_they_are_has_an_auc_of_one():
    rows = [
        {"check": name, "runs": 5, "says": said, "r": r}
        for name, values in {"good": (0.1, 0.5, 0.9), "bad": (0.9, 0.5, 0.1)}.items()
        for said, r in zip(values, (0.2, 0.4, 0.8), strict=True)
    ]
    good, bad = trusted(rows)
    assert (good["auc"], good["good"]) == (1.0, 1) and good["spearman"] == pytest.approx(1.0)
    assert bad["auc"] == 0.0 and bad["spearman"] == pytest.approx(-1.0)
