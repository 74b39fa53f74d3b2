"""The monitor's shares are NMR by effect, and with the policy's own noise its rows are joined."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from embedded_scene import scene

import iss_jax
from iss_jax import EffectsConfig, Sampling
from iss_jax.monitoring.shares import Shares, SharesProgram, not_tested, shares_of
from iss_jax.nmr_effect import regions_share
from iss_jax.pi05 import model
from iss_jax.pi05.observation import preprocess
from iss_jax.players import REGIONS

STEPS = Sampling(num_steps=1)
CONFIG = EffectsConfig(draws=2, like_for_like=True, action_dims=7)


@pytest.fixture(scope="module")
def program():
    known = scene()
    return SharesProgram(
        known.policy.params,
        known.background,
        config=CONFIG,
        action_horizon=16,
        sampling=STEPS,
    )


def test_its_rows_hold_the_policys_own(program):
    """Given the policy's own noise, all draws have it, and the baseline is what the robot does."""
    known = scene()
    noise = jax.random.normal(jax.random.key(5), (16, 7))
    found = program(known.obs, known.regions, jax.random.key(3), noise=noise, task=1)
    assert 0 < found.nuisance < 1 and found.stderr > 0
    assert sum(found.players.values()) == pytest.approx(1.0, abs=1e-5)
    assert min(found.moved.values()) > 0.02 and program.runs == 8
    act = jax.jit(model.sample_actions, static_argnums=3)
    own = act(known.policy.params, preprocess(known.obs, 80), noise[None], STEPS)
    np.testing.assert_allclose(found.actions, np.asarray(own)[0], atol=2e-5)


def _means(scale, images):
    rows = images["front"].mean((2, 3)).reshape(-1, 3, 4).mean(2)
    return rows[:, None] * scale[None, None]


def effects(sizes, spread=0.0, names=("wall", "can", "bowl")):
    """Effects of three players that a policy of their mean colours has."""
    labels = {"front": np.repeat([0, 1, 2], 4)[None, :, None] * np.ones((1, 1, 12), int)}

    colours = jnp.array([1.0, 1.0 + spread])[:, None, None, None] * jnp.ones((2, 12, 12, 3))
    return iss_jax.attribute_players(
        jax.tree_util.Partial(_means, jnp.sqrt(jnp.asarray(sizes))),
        {"front": jnp.zeros((1, 12, 12, 3))},
        iss_jax.Players({"front": jnp.asarray(labels["front"])}, names=names),
        {"front": colours.at[:, :, ::2].multiply(1.5)},
        config=EffectsConfig(draws=2),
    )


def test_any_named_players_may_be_nuisance():
    found = effects([1.0, 2.0, 5.0], spread=0.5)
    for nuisance, share in ((["wall"], 1 / 8), (["wall", "can"], 3 / 8), (["bowl"], 5 / 8)):
        assert shares_of(found, nuisance).nuisance == pytest.approx(share, rel=1e-5)
    assert shares_of(found, ["wall"]).players == pytest.approx(
        {"wall": 1 / 8, "can": 2 / 8, "bowl": 5 / 8}
    )


def test_with_the_three_regions_as_players_it_is_nmr_by_effect():
    found = effects([1.0, 2.0, 5.0], spread=0.5, names=REGIONS)
    wanted = regions_share(found)
    own = shares_of(found, REGIONS[:1])
    assert own.nuisance == pytest.approx(float(wanted.share[0]), rel=1e-6)
    assert own.stderr == pytest.approx(float(wanted.stderr[0]), rel=1e-5)


def test_where_nothing_moves_the_policy_there_is_no_share_and_a_reason():
    found = shares_of(effects([0.0, 0.0, 0.0]), ["wall"])
    assert not found.known and "do not exceed" in found.reason
    assert np.isnan([found.nuisance, found.stderr, *found.players.values()]).all()
    assert found.effect == 0.0 and not_tested(found) == []


def test_what_cannot_be_is_refused(program):
    with pytest.raises(ValueError, match=r"nuisance: \['wal'\] given, some of the players"):
        dataclasses.replace(program, nuisance=("wal",))
    with pytest.raises(ValueError, match="nuisance: none given"):
        dataclasses.replace(program, nuisance=())
    two = jax.tree.map(lambda own: jnp.concatenate([own, own]), effects([1.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="of one wanted"):
        shares_of(two, ["wall"])
    assert program.names == REGIONS and program.nuisance == REGIONS[:1]
    assert Shares(0.1, 0.0, {"a": 0.1}, {"a": 0.0}, 1.0).numbers()["moved/a"] == 0.0
