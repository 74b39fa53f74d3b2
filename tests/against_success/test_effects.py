"""From effects in every draw to the rows of the study."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import EffectsConfig, Sampling, embedded, player_effects
from iss_jax.against_success.effects import (
    EffectOptions,
    effect_rows,
    load_bank,
    measure_effects,
    nuisance_share,
)
from iss_jax.data.dataset import open_dataset
from iss_jax.players import from_regions
from iss_jax.policies.frames import FrameOptions, read_frames, see
from iss_jax.policies.restored import load_policy


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


def test_nuisance_replaced_by_anything_stands_beside_like_for_like():
    both = result(0.2, 0.6) | {
        "effects_anything": result(0.5, 0.1)["effects"],
        "effects_anything_reason": np.array([0, 1]),
    }
    measures, errors = effect_rows([both])
    assert measures["nmr_effect"] == pytest.approx(0.4)
    # Its own second frame has no share.
    assert measures["nmr_effect_anything"] == pytest.approx(0.5)
    assert errors["nmr_effect_anything"] == pytest.approx(0.0, abs=1e-6)
    assert "nmr_effect_anything" not in effect_rows([result(0.2, 0.6)])[0]


def test_the_second_form_is_asked_for_and_changes_no_item_that_does_not():
    dataset = open_dataset(embedded.episodes_path())
    plain = EffectOptions(donors=4).key(dataset)["effects"]
    assert set(plain) == {"draws", "like_for_like", "donors", "chance", "bank"}
    both = EffectOptions(donors=4, anything=True).key(dataset)["effects"]
    assert both == plain | {"anything": True}
    with pytest.raises(ValueError, match="anything asks for a second form beside like_for_like"):
        EffectOptions(like_for_like=False, anything=True)


def test_both_forms_are_those_of_the_library():
    policy = load_policy(embedded.checkpoint_path())
    dataset, frames = open_dataset(embedded.episodes_path()), FrameOptions(max_token_len=40)
    options = EffectOptions(draws=1, donors=4, chance=False, anything=True)
    bank = load_bank(options, dataset, policy, frames)
    assert bank is not None
    seen = see(read_frames(dataset, 60, [0], frames), policy, frames)
    keys = jax.random.split(jax.random.key(0), 1)
    call = {"action_horizon": 16, "sampling": Sampling(num_steps=1)}
    found = measure_effects(
        policy,
        seen,
        bank,
        60,
        keys,
        options.config(7),
        chance=options.chance,
        anything=options.anything,
        **call,
    )
    assert set(found) == {
        "effects",
        "effects_reason",
        "effects_moved",
        "effects_anything",
        "effects_anything_reason",
    }
    for name, like in (("effects", True), ("effects_anything", False)):
        wanted = player_effects(
            policy.params,
            seen.obs,
            from_regions({v: jnp.asarray(own) for v, own in seen.regions.items()}),
            bank.donors,
            key=keys,
            config=EffectsConfig(draws=1, like_for_like=like, action_dims=7),
            groups=bank.groups(60, 1),
            regions={v: jnp.asarray(own) for v, own in seen.regions.items()},
            **call,
        )
        np.testing.assert_allclose(found[name], wanted.by_draw, rtol=1e-5)
    assert np.abs(found["effects"] - found["effects_anything"]).max() > 1e-4
