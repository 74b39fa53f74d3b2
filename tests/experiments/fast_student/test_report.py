import numpy as np
import pytest

from experiments.fast_student import report

FACTS = {"task": "a", "episode": 0, "frame": 1}


def found(effects, cells, players, shares):
    return {"effects": effects, "cells": cells, "players": players, "shares": shares}


def test_a_frame_by_two_divergences():
    cells = np.arange(8.0).reshape(2, 2, 2)
    kl = found([[1.0, 2.0], [3.0, 4.0]], cells, [3.0, 1.0, 2.0], [0.5, 0.1, 0.4])
    error = found([[0.0, 1.0], [4.0, 9.0]], cells * 2, [9.0, 0.0, 1.0], [0.9, 0.0, 0.1])
    row = report.frame_row(FACTS, {"kl": kl, "error": error})
    assert row["masks"] == pytest.approx(1.0)
    assert row["still"] == 0.25
    assert row["maps"] == row["maps_kl"] == row["maps_error"] == pytest.approx(1.0)
    assert row["players"] == pytest.approx(1.0)
    assert (row["same_first"], row["nuisance_kl"], row["nuisance_error"]) == (1.0, 0.5, 0.9)


def test_what_does_not_vary_has_no_correlation():
    still = found([[0.0, 0.0]] * 2, np.zeros((2, 1, 1, 1)), [0.0, 0.0], [float("nan")] * 2)
    row = report.frame_row(FACTS, {"kl": still, "error": still})
    assert np.isnan([row["masks"], row["maps"], row["players"]]).all()
    assert np.isnan(report.disattenuated([row]))


def rows(**columns):
    length = len(next(iter(columns.values())))
    return [
        FACTS | {"task": f"t{i % 6}"} | {name: own[i] for name, own in columns.items()}
        for i in range(length)
    ]


def test_noise_of_both_is_taken_out():
    """0.4 between, 0.64 and 0.25 within: 0.4 / sqrt(0.16)."""
    given = rows(maps=[0.3, 0.5], maps_kl=[0.6, 0.68], maps_error=[0.25, 0.25])
    assert report.disattenuated(given) == pytest.approx(1.0)


def test_means_leave_out_what_is_not_known():
    values = [0.0, 1.0, None, float("nan"), 1.0, 2.0, 1.0, 1.0]
    (found,) = report.summary(rows(masks=values), resamples=99, confidence=0.9)
    assert (found["quantity"], found["frames"]) == ("masks", 6)
    assert found["mean"] == pytest.approx(1.0)
    content = {"frames": 8, "tasks": 6, "summary": [found], "disattenuated": 0.5}
    assert any("masks" in line and "1.000" in line for line in report.lines(content))
