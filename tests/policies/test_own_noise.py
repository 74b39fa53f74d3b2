"""What a policy's own noise adds to effects is known and taken off."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import EffectsConfig, attribute_players
from iss_jax.effect_reasons import NOT_FINITE
from iss_jax.policies.own_noise import less_noise, spread

LABELS = {"front": jnp.zeros((8, 8), jnp.int32).at[4:].set(1)}


def effects_of(policy, draws=6):
    donors = {"front": jnp.linspace(0.2, 1.0, 8)[:, None, None, None] * jnp.ones((8, 8, 8, 3))}
    return attribute_players(
        policy,
        {"front": jnp.zeros((8, 8, 3))},
        LABELS,
        donors,
        config=EffectsConfig(draws=draws),
    )


def test_the_spread_is_the_sample_variance_of_the_chosen_dimensions():
    calls = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float32)
    wanted = calls.var(0, ddof=1)
    assert spread(calls) == pytest.approx(wanted.mean(), rel=1e-5)
    assert spread(calls, reduction="sum", action_dims=(1,)) == pytest.approx(
        wanted[:, 1].sum(), rel=1e-5
    )


def test_equal_calls_have_no_spread_however_they_are_rounded():
    assert spread(np.full((3, 1, 1), 0.1, np.float32)) == 0.0


def test_effects_of_noise_alone_have_no_shares_and_others_keep_theirs():
    found = effects_of(lambda images: images["front"][:, :4].mean((1, 2))[:, None])
    less = less_noise(found, 0.125 * float(found.effects[0]))
    assert float(less.floor) == pytest.approx(0.125 * float(found.effects[0]))
    np.testing.assert_allclose(less.by_draw, found.by_draw - less.floor, rtol=1e-6)
    assert int(less.reason) == 0
    lost = less_noise(found, 2.0 * float(found.effects.sum()))
    assert int(lost.reason) == 1
    broken = effects_of(lambda images: images["front"][:, :4].mean((1, 2))[:, None] * np.nan)
    assert int(less_noise(broken, 0.1).reason) == NOT_FINITE
    # What was silent stays so where no noise explains it.
    silent = dataclasses.replace(found, reason=jnp.asarray(1, jnp.int32))
    assert int(less_noise(silent, 0.0).reason) == 1
    # Where noise is taken off and something is left, an old reason no longer holds.
    assert int(less_noise(silent, 0.125 * float(found.effects[0])).reason) == 0
