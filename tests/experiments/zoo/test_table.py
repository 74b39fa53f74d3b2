import math

import numpy as np
import pytest

from experiments.zoo.design import design
from experiments.zoo.shifts import AXES
from experiments.zoo.success import axis_rows, mean_shifted, rates
from experiments.zoo.table import read_zoo

RECIPES = [one._replace(row=i) for i, one in enumerate(design()[:4], start=1)]


def trials(row, axis, outcomes, strength=1.0):
    return [
        {"row": row, "axis": axis, "strength": strength, "trial": i, "success": ok}
        for i, ok in enumerate(outcomes)
    ]


def test_success_is_counted_by_policy_axis_and_strength():
    rows = trials(1, "none", [1, 1, 0, 1], 0.0) + trials(1, "light", [0, 1], 0.4)
    rows += trials(1, "light", [0, 0], 0.8)
    found = axis_rows(rows)
    assert [(r["axis"], r["strength"], r["successes"], r["trials"]) for r in found] == [
        ("none", 0.0, 3, 4),
        ("light", 0.4, 1, 2),
        ("light", 0.8, 0, 2),
    ]
    assert found[0]["low"] == pytest.approx(0.3006, abs=1e-3)
    with pytest.raises(ValueError, match=r"strengths .*light.*0.4.*0.8.* given, one of each axis"):
        read_zoo(RECIPES, [], rows)


def test_halves_are_even_and_odd_trials():
    rows = trials(1, "light", [1, 0, 1, 0])
    assert [rates(rows, half)[1]["light"] for half in (None, 0, 1)] == [0.5, 1.0, 0.0]
    assert math.isnan(rates(rows)[1]["camera"])


def test_the_mean_takes_unshifted_success_for_an_axis_that_there_is_not():
    rate = {"none": 1.0, **dict.fromkeys(AXES, 0.5), "cue": math.nan}
    assert mean_shifted(rate) == pytest.approx((7 * 0.5 + 1) / 8)
    assert mean_shifted(rate, without=("cue",)) == pytest.approx(0.5)


def test_a_policy_is_in_the_zoo_once_it_is_measured_and_rolled_out():
    measures = [
        {"row": 2, "measure": name, "value": value}
        for name, value in (("panel_share", 0.3), ("floor_share", 0.2), ("others_share", 0.1))
    ]
    rows = (
        trials(2, "none", [1, 1], 0.0)
        + trials(2, "distractors", [1, 0])
        + trials(1, "none", [1], 0.0)
    )
    zoo = read_zoo(RECIPES, measures, rows)
    assert [one.row for one in zoo.recipes] == [2]
    assert RECIPES[1].cue == "panel" and RECIPES[0].cue == "none"
    assert zoo.touched("cue").tolist() == [0.3]
    np.testing.assert_allclose(zoo.touched("distractors"), [0.3])
    assert np.isnan(zoo.touched("light")).all()
    assert zoo.loss("distractors").tolist() == [0.5] and zoo.measures["unshifted"].tolist() == [1]


def test_a_policy_without_a_cue_has_nothing_that_its_shuffling_touches():
    measures = [{"row": 1, "measure": "panel_share", "value": 0.3}]
    zoo = read_zoo(RECIPES, measures, trials(1, "none", [1, 1]))
    assert np.isnan(zoo.touched("cue")).all()
