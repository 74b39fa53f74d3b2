"""From effects in every draw to the rows of the study."""

import numpy as np
import pytest

from iss_jax import embedded
from iss_jax.against_success.effects import EffectOptions, effect_rows, nuisance_share
from iss_jax.data.dataset import open_dataset


def result(*shares, reason=0, spread=0.0):
    """An episode whose frames have these nuisance shares of effects that sum to 2."""
    rng = np.random.default_rng(0)
    by_draw = np.array([[[2 * s, 1.5 * (1 - s), 0.5 * (1 - s)]] * 4 for s in shares])
    by_draw = by_draw * (1 + spread * rng.normal(size=by_draw.shape))
    reasons = np.full(len(shares), reason)
    return {"effects": by_draw, "effects_chance": by_draw[..., ::-1], "effects_reason": reasons}


def test_the_share_and_its_error_by_the_delta_method():
    by_draw = result(0.2, 0.6, spread=0.1)["effects"]
    share, stderr = nuisance_share(by_draw)
    mean = by_draw.mean(1)
    np.testing.assert_allclose(share, mean[:, 0] / mean.sum(-1), rtol=1e-5)
    for frame in range(2):
        covariance = np.cov(by_draw[frame].T) / 4
        slope = (np.array([1.0, 0, 0]) - share[frame]) / mean[frame].sum()
        np.testing.assert_allclose(stderr[frame] ** 2, slope @ covariance @ slope, rtol=1e-3)


def test_a_row_is_the_mean_of_its_frames_of_all_episodes():
    measures, errors = effect_rows([result(0.2, 0.6), result(0.4)])
    assert measures["nmr_effect"] == pytest.approx(0.4)
    assert measures["effect"] == pytest.approx(2.0)
    assert measures["support_effect"] == pytest.approx(1.5 * 0.6)
    # The chance level here is the share of the third region.
    assert measures["nmr_effect_chance"] == pytest.approx(0.25 * 0.6)
    assert measures["excess_effect"] == pytest.approx(0.4 - 0.25 * 0.6)
    assert errors["nmr_effect"] == pytest.approx(0.0, abs=1e-6)


def test_frames_without_shares_are_left_out():
    measures, _ = effect_rows([result(0.2), result(0.9, reason=1)])
    assert measures["nmr_effect"] == pytest.approx(0.2)
    measures, _ = effect_rows([result(0.9, reason=1)])
    assert np.isnan(measures["nmr_effect"])


def test_the_error_of_a_mean_of_frames():
    episode = result(0.2, 0.6, spread=0.2)
    _, stderr = nuisance_share(episode["effects"])
    _, errors = effect_rows([episode])
    assert errors["nmr_effect"] == pytest.approx(np.sqrt(np.square(stderr).sum()) / 2)


def test_without_effects_there_are_no_measures():
    assert effect_rows([{"nmr": [1.0]}]) == ({}, {})


def test_a_work_item_says_the_bank_that_it_was_computed_with():
    dataset = open_dataset(embedded.episodes_path())
    found = EffectOptions(donors=4).key(dataset)["effects"]
    assert found["draws"] == 4 and len(found["bank"]) == 16
    assert EffectOptions(donors=5).key(dataset)["effects"]["bank"] != found["bank"]
    assert EffectOptions(draws=0).key(dataset) == {}
    with pytest.raises(ValueError, match="draws -1 and donors 128 given"):
        EffectOptions(draws=-1)
