"""Estimators of players' effects against enumeration, and their errors against redrawn runs."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import EffectsConfig
from iss_jax.effect_estimators import (
    effects_by_draw,
    mean_and_covariance,
    replaced_sets,
    shapley_weights,
    shares,
    weighted_share,
)

RNG = np.random.default_rng(0)
PLAYERS = 4
SETS = np.array(list(itertools.product([False, True], repeat=PLAYERS)))


def game(sets):
    """Main effects, one pair that acts only together, and one that acts when either is gone."""
    gone = np.asarray(sets, np.float64)
    alone = gone @ np.array([1.0, 0.2, 0.0, 0.3])
    return alone + 2.0 * gone[..., 1] * gone[..., 2] + np.maximum(gone[..., 2], gone[..., 3])


def values(sets):
    return jnp.asarray(game(sets), jnp.float32)


def test_one_at_a_time_is_what_each_does_alone():
    config = EffectsConfig(draws=2)
    sets = replaced_sets(jax.random.key(0), PLAYERS, config)
    found = effects_by_draw(values(sets), sets, "one_at_a_time")
    np.testing.assert_allclose(found, np.tile([1.0, 0.2, 1.0, 1.3], (2, 1)), rtol=1e-6)


def test_shapley_is_the_mean_over_all_orders_and_adds_up():
    wanted = np.zeros(PLAYERS)
    for order in itertools.permutations(range(PLAYERS)):
        gone = np.zeros(PLAYERS, bool)
        for player in order:
            before = game(gone)
            gone[player] = True
            wanted[player] += (game(gone) - before) / math.factorial(PLAYERS)
    config = EffectsConfig(draws=1, estimator="shapley")
    sets = replaced_sets(jax.random.key(0), PLAYERS, config)
    assert sets.shape == (1, 15, PLAYERS)
    (found,) = effects_by_draw(values(sets), sets, "shapley")
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    np.testing.assert_allclose(found.sum(), game(np.ones(PLAYERS, bool)), rtol=1e-6)
    np.testing.assert_allclose(shapley_weights(PLAYERS).T @ game(SETS), wanted, rtol=1e-12)


def test_banzhaf_is_unbiased_and_each_player_is_in_half_of_a_draws_sets():
    swings = game(SETS)[:, None] * np.where(SETS, 1.0, -1.0)
    wanted = swings.sum(0) / 2 ** (PLAYERS - 1)
    config = EffectsConfig(draws=4000, estimator="banzhaf", pairs=3)
    sets = replaced_sets(jax.random.key(3), PLAYERS, config)
    np.testing.assert_array_equal(sets.sum(1), np.full((4000, PLAYERS), 3))
    found = np.asarray(effects_by_draw(values(sets), sets, "banzhaf"), np.float64)
    error = found.std(0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(0) - wanted) < 4 * error).all() and error.max() < 0.05
    # All halves, once each: no error is left.
    every = jnp.asarray(np.concatenate([SETS[:8], ~SETS[:8]])[None])
    (exact,) = effects_by_draw(values(every), every, "banzhaf")
    np.testing.assert_allclose(exact, wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("estimator", "players", "message"),
    [("shapley", 7, "at most 6 players, got 7"), ("banzhaf", 1, "halves the players, got 1")],
)
def test_players_that_an_estimator_cannot_take(estimator, players, message):
    with pytest.raises(ValueError, match=message):
        replaced_sets(jax.random.key(0), players, EffectsConfig(estimator=estimator))


def redrawn(draws, repeats=4000):
    """Effects of three players that share much of their noise, as those of one donor do."""
    mean = np.array([0.5, 0.3, 0.2])
    common = RNG.gamma(20.0, 1 / 20.0, (repeats, draws, 1))
    own = RNG.gamma(9.0, 1 / 9.0, (repeats, draws, 3))
    return mean * common * own, mean


def test_claimed_errors_are_the_spread_over_redrawn_runs():
    by_draw, mean = redrawn(draws=16)
    effects, covariance = mean_and_covariance(jnp.asarray(by_draw, jnp.float32))
    np.testing.assert_allclose(effects, by_draw.mean(1), rtol=1e-5)
    for row in (0, 1):
        np.testing.assert_allclose(covariance[row], np.cov(by_draw[row].T) / 16, rtol=1e-3)
    share, error = (np.asarray(x, np.float64) for x in shares(effects, covariance))
    np.testing.assert_allclose(share.sum(-1), 1.0, rtol=1e-5)
    spread = share.std(0, ddof=1)
    # A standard deviation of 4,000 is known to 1.1 %; the delta method is of first order in the
    # errors, which are 0.36 / sqrt(16) of the effects.
    claimed = np.sqrt(np.square(error).mean(0))
    np.testing.assert_allclose(claimed, spread, rtol=0.06)
    # Noise that all players share drops out of the shares: errors of the effects alone do not say.
    variances = np.einsum("bii->bi", np.asarray(covariance, np.float64))
    apart = np.sqrt((variances / np.square(np.asarray(effects).sum(-1))[:, None]).mean(0))
    assert (apart / spread > 1.15).all()
    assert np.abs(share.mean(0) - mean).max() < 0.01


def test_weighted_shares_are_those_of_players_that_are_joined():
    by_draw, _ = redrawn(draws=8, repeats=5)
    by_draw = jnp.asarray(by_draw, jnp.float32)
    effects, covariance = mean_and_covariance(by_draw)
    share, error = weighted_share(
        effects, covariance, jnp.broadcast_to(jnp.array([[1.0, 1.0, 0.0]]), (5, 1, 3))
    )
    joined = jnp.stack([by_draw[..., 0] + by_draw[..., 1], by_draw[..., 2]], -1)
    wanted, wanted_error = shares(*mean_and_covariance(joined))
    np.testing.assert_allclose(share[:, 0], wanted[:, 0], rtol=1e-5)
    np.testing.assert_allclose(error[:, 0], wanted_error[:, 0], rtol=1e-3)


def test_one_draw_has_no_error_and_nothing_has_no_share():
    effects, covariance = mean_and_covariance(jnp.ones((1, 3)))
    assert np.isinf(np.diagonal(covariance)).all()
    share, error = shares(effects, covariance)
    np.testing.assert_allclose(share, 1 / 3, rtol=1e-6)
    assert np.isinf(error).all()
    share, error = shares(jnp.zeros(2), jnp.zeros((2, 2)))
    assert not share.any() and np.isinf(error).all()
