"""The comparison takes each figure from its own row."""

from experiments.monitored.report import comparison, interval, lines

LEVELS = {"level": 0.1, "looks": 10}


def rate(kind, outcome, value, lead=None):
    bounds = {"low": value - 0.1, "high": value + 0.1, "lead_s": lead}
    return {"detector": "d", "kind": kind, "outcome": outcome, "rate": value, **bounds, **LEVELS}


def test_each_column_has_its_kind_and_outcome():
    rows = [
        rate("as calibrated", "success", 0.1),
        rate("as calibrated", "failure", 0.6, lead=4.5),
        rate("shifted", "failure", 0.7),
        rate("shifted", "success", 0.3),
        rate("panel decides", "failure", 0.8),
        rate("panel agrees", "success", 0.2),
    ]
    areas = [
        {"detector": "d", "kind": "shifted", "against": "as calibrated", "looks": 10, "area": 0.9}
    ]
    (row,) = comparison(rows, areas, ["d"], 0.1, 10)
    assert row["false alarms, held out"] == "10 [0, 20] %"
    assert row["failures, as calibrated"] == "60 [50, 70] %"
    assert (row["failures, shifted"], row["false alarms, shifted"]) == (
        "70 [60, 80] %",
        "30 [20, 40] %",
    )
    assert row["failures, panel decides"] == "80 [70, 90] %"
    assert row["false alarms, panel agrees"] == "20 [10, 30] %"
    assert row["false alarms, panel ignored"] is None
    assert (row["lead, as calibrated (s)"], row["AUC, shifted"]) == (4.5, "90 %")
    assert interval({"rate": 0.5}) == "50 %"
    assert (
        lines([row], {"episodes": 3})[0] == "episodes: 3"
        and "panel ignored" not in lines([row], {})[0]
    )
