"""On made-up zoos with a known answer."""

import numpy as np
import pytest

from experiments.zoo import predict
from experiments.zoo.design import design
from experiments.zoo.made_up import made_up
from experiments.zoo.predict import ceiling, pair_table, smallest_shown
from experiments.zoo.table import PREDICTORS, read_zoo
from iss_jax.stats.correlation import coefficient

FEW = {"resamples": 199, "permutations": 199}


@pytest.fixture(scope="module")
def telling():
    return read_zoo(design(), *made_up(design(), trials=200))


@pytest.fixture(scope="module")
def silent():
    """The nuisance share is noise as all else is."""
    return read_zoo(design(), *made_up(design(), truth=0.0, seed=3))


def rows_of(rows, **wanted):
    return {row["predictor"]: row for row in rows if all(row[k] == v for k, v in wanted.items())}


def test_a_measure_that_knows_is_found_and_one_that_does_not_is_not(telling):
    found = predict.correlations(telling, **FEW)
    for target in predict.TARGETS:
        own = rows_of(found, target=target)
        assert own["nuisance_share"]["r"] < -0.85 and own["nuisance_share"]["high"] < -0.6
        assert own["validation_loss"]["low"] < 0 < own["validation_loss"]["high"]
        assert own["nuisance_share"]["p"] < 0.01 < own["validation_loss"]["p"]
    assert set(own) == set(PREDICTORS)


def test_its_lead_over_validation_loss_excludes_zero(telling, silent):
    lead = rows_of(predict.leads(telling, resamples=199))["nuisance_share"]
    assert 0 < lead["low"] < lead["lead"] < lead["high"]
    lead = rows_of(predict.leads(silent, resamples=199))["nuisance_share"]
    assert lead["low"] < 0 < lead["high"]


def test_a_lead_counts_in_the_direction_expected_beforehand(telling):
    """High nuisance with high success is the wrong sign, however strong."""
    turned = telling._replace(
        measures={**telling.measures, "nuisance_share": -telling.measures["nuisance_share"]}
    )
    lead = rows_of(predict.leads(turned, resamples=99))["nuisance_share"]
    assert lead["high"] < 0


def test_the_better_of_two_is_picked(telling, silent):
    own = rows_of(predict.picks(telling, resamples=199))
    assert own["nuisance_share"]["picked"] > 0.97
    assert own["nuisance_share"]["low"] > 0.85 > own["validation_loss"]["picked"]
    own = rows_of(predict.picks(silent, resamples=199))["nuisance_share"]
    assert own["low"] < 0.5 < own["high"]


def test_pairs_that_differ_by_less_do_not_count_and_equal_scores_toss_a_coin():
    right, counts = pair_table(np.array([3.0, 1.0, 3.0]), np.array([0.5, 0.6, 0.75]))
    assert counts.tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert right[0, 2] == 0.5
    right, counts = pair_table(np.array([3.0, 1.0]), np.array([0.1, 0.9]))
    assert (right.sum(), counts.sum()) == (0, 1)


def test_what_an_axis_touches_says_what_breaks(telling):
    rows = {row["axis"]: row for row in predict.breaks(telling, **FEW)}
    assert len(rows) == 9
    assert rows["cue"]["policies"] == 18 and rows["all axes"]["policies"] == 24
    assert all(row["r"] > 0.7 for row in rows.values())
    assert rows["all axes"]["r"] >= 0.8 * rows["all axes"]["ceiling"]


def test_the_ceiling_is_what_the_truth_reaches():
    """The correlation of a noisy measure with what it measures, from its two halves alone."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=4000)
    halves = truth + rng.normal(size=(2, 4000))
    reached = coefficient(truth, halves.mean(0), kind="spearman")
    assert ceiling(*halves) == pytest.approx(reached, abs=0.03)
    assert np.isnan(ceiling(truth, -truth))


def test_the_smallest_shown_is_shown_in_four_of_five():
    rng = np.random.default_rng(1)
    size = smallest_shown(24)
    shown = 0
    # Spearman's coefficient of normal pairs is 6/pi asin(r/2) of Pearson's.
    r = 2 * np.sin(np.pi * size / 6)
    for _ in range(800):
        x, noise = rng.normal(size=(2, 24))
        found = coefficient(x, r * x + np.sqrt(1 - r**2) * noise, kind="spearman")
        shown += abs(found) > 0.406  # the two-sided 5 % point of 24 ranks
    assert shown / 800 == pytest.approx(0.8, abs=0.05)
    assert np.isnan(smallest_shown(3))


def test_too_few_policies_say_nothing():
    zoo = read_zoo(design()[:5], *made_up(design()[:5]))
    with pytest.raises(ValueError, match="5 policies are measured and rolled out, 6 at least"):
        predict.require_enough(zoo)


def test_a_measure_that_a_policy_lacks_is_left_out(telling):
    lacking = np.where(np.arange(24) == 3, np.nan, telling.measures["entropy"])
    zoo = telling._replace(measures={**telling.measures, "entropy": lacking})
    assert "entropy" not in predict.predictors(zoo)
