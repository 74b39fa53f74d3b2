"""Only players that hold a pixel are run, and results are the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import EffectsConfig, Players, attribute_players, compact

FRAME = {"front": np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype(np.float32)}
DONORS = {"front": np.random.default_rng(1).uniform(size=(5, 8, 8, 3)).astype(np.float32)}
# The first frame shows players 1 and 7, the second 1 and 4; the rest hold no pixel.
LABELS = np.full((2, 8, 8), -1)
LABELS[:, :4] = 1
LABELS[0, 6:], LABELS[1, 6:] = 7, 4
PLAYERS = Players({"front": jnp.asarray(LABELS)}, names=tuple("abcdefghij"))


def policy(images):
    weights = jnp.arange(8.0)[None, :, None, None]
    return jnp.square((images["front"] * weights).mean((1, 2)))[:, None]


@pytest.mark.parametrize("estimator", ["one_at_a_time", "banzhaf", "shapley"])
def test_effects_are_those_of_all_players(estimator, monkeypatch):
    config = EffectsConfig(draws=3, estimator=estimator)
    players = PLAYERS
    if estimator == "shapley":
        players = Players(PLAYERS.labels, names=tuple("abcdefgh"))
    found = attribute_players(policy, FRAME, players, DONORS, config=config)
    assert found.by_draw.shape == (2, 3, len(players))
    np.testing.assert_array_equal(found.players.labels["front"], LABELS)
    if estimator == "one_at_a_time":
        gone = [0, 2, 3, 5, 6, 8, 9]
        assert not np.asarray(found.by_draw)[..., gone].any()
        assert not np.asarray(found.moved)[..., gone].any()
    if estimator != "shapley":
        monkeypatch.setattr(compact, "present", lambda labels, count: None)
        whole = attribute_players(policy, FRAME, players, DONORS, config=config)
        np.testing.assert_allclose(found.by_draw, whole.by_draw, rtol=1e-5, atol=1e-9)
        np.testing.assert_allclose(found.moved, whole.moved, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("estimator", ["one_at_a_time", "banzhaf", "shapley"])
def test_a_frame_alone_is_the_frame_in_a_batch(estimator):
    config = EffectsConfig(draws=2, estimator=estimator)
    both = attribute_players(policy, FRAME, PLAYERS, DONORS, config=config)
    for row in range(2):
        one = Players({"front": PLAYERS.labels["front"][row]}, names=PLAYERS.names)
        alone = attribute_players(
            policy, {"front": FRAME["front"][row]}, one, DONORS, config=config
        )
        np.testing.assert_allclose(alone.by_draw, both.by_draw[row], rtol=1e-5, atol=1e-7)


def test_frames_of_other_numbers_of_players_share_a_program():
    calls = []

    def counted(images):
        calls.append(1)
        return policy(images)

    call = jax.tree_util.Partial(counted)
    for count in (5, 6, 8):
        rows = np.repeat(np.arange(8) % count, 8).reshape(8, 8)
        players = Players({"front": jnp.asarray(rows)}, names=tuple(map(str, range(count))))
        frame = {"front": FRAME["front"][0]}
        found = attribute_players(call, frame, players, DONORS, config=EffectsConfig(draws=1))
        assert found.by_draw.shape == (1, count)
        if count == 5:
            traced = len(calls)
    assert len(calls) == traced


def test_numbers_come_back_where_they_were():
    labels = {"front": jnp.asarray(LABELS)}
    kept = compact.present(labels, 10)
    assert kept is not None and kept.tolist() == [1, 4, 7]
    small = compact.renumbered(labels, kept, 10)
    assert set(np.unique(np.asarray(small["front"])).tolist()) == {-1, 0, 1, 2}
    np.testing.assert_array_equal(compact.back(small, kept)["front"], LABELS)
    values = compact.spread_out(jnp.array([5.0, 6.0, 7.0, 9.0]), kept, 10)
    assert np.flatnonzero(np.asarray(values)).tolist() == [1, 4, 7]


def test_traced_labels_are_all_run():
    seen = []

    @jax.jit
    def inside(labels):
        seen.append(compact.present({"front": labels}, 10))
        return labels

    inside(jnp.asarray(LABELS))
    assert seen == [None]
