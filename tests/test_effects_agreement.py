"""When two sets of players of one frame agree: by their own errors."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import Effects, EffectsConfig, attribute_players
from iss_jax.effects_agreement import LEAST, Agreement
from iss_jax.players import Players

RNG = np.random.default_rng(0)
SIZE = 12
# Columns of four and rows of three: two partitions of one view.
COLUMNS = np.repeat(np.arange(3), 4)[None].repeat(SIZE, 0)
HALVES = COLUMNS // 2
ROWS = np.repeat(np.arange(4), 3)[:, None].repeat(SIZE, 1)


def effects(labels, by_draw, **changes):
    count = by_draw.shape[-1]
    fields = {
        "by_draw": jnp.asarray(by_draw, jnp.float32),
        "moved": jnp.ones(count),
        "beside": {},
        "floor": jnp.zeros(()),
        "reason": jnp.zeros((), jnp.int32),
        "players": Players(
            {"front": jnp.asarray(labels, jnp.int32)}, names=tuple(map(str, range(count)))
        ),
        "actions": jnp.zeros((1, 1)),
    }
    return Effects(**fields | changes)


def draws(mean, noise=0.0, count=8):
    return np.asarray(mean) + noise * RNG.normal(size=(count, len(mean)))


def test_the_correlation_is_that_of_the_pixels_densities():
    a = effects(COLUMNS, draws([3.0, 1.0, 0.5], 0.1))
    b = effects(ROWS, draws([1.0, 2.0, 0.0, 1.0], 0.1))
    found = a.agreement(b)
    maps = [np.asarray(one.density)[labels] for one, labels in ((a, COLUMNS), (b, ROWS))]
    wanted = np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1]
    assert float(found.correlation) == pytest.approx(wanted, abs=1e-5)
    # Columns and rows are crossed: nothing is shared, and both maps are well known.
    assert abs(wanted) < 1e-6 and float(found.ceiling) > 0.9
    assert bool(found.known) and bool(found.disagree)


def test_finer_players_of_the_same_thing_agree():
    a = effects(COLUMNS, draws([3.0, 3.0, 0.1], 0.1))
    b = effects(HALVES, draws([6.0, 0.1], 0.1))
    found = a.agreement(b)
    assert float(found.correlation) > 0.98 and not found.disagree
    assert float(a.agreement(a).correlation) == pytest.approx(1.0, abs=1e-6)


def test_noise_is_no_disagreement():
    """Two measurements of the same players that are half noise: what they share is the ceiling."""
    mean, labels = np.linspace(0.5, 1.5, SIZE), np.arange(SIZE)[:, None].repeat(SIZE, 1)
    one, other = (
        jax.tree.map(
            lambda *leaves: jnp.stack(leaves),
            *(effects(labels, draws(mean, 1.2, count=16)) for _ in range(60)),
        )
        for _ in range(2)
    )
    found = one.agreement(other)
    shared, ceiling = float(found.correlation.mean()), float(found.ceiling.mean())
    # Variance 0.100 of the truth and 1.2^2 / 16 of the noise: a reliability of about one half.
    assert shared == pytest.approx(0.53, abs=0.1) and ceiling == pytest.approx(shared, abs=0.12)
    assert float(found.disagree.mean()) < 0.15
    level = effects(COLUMNS, draws([1.0, 1.0, 1.0]))
    flat = level.agreement(effects(COLUMNS, draws([1.0, 2.0, 3.0])))
    assert (float(flat.correlation), float(flat.ceiling)) == (0.0, 0.0)
    assert not flat.known and not flat.disagree


def test_pixels_of_nobody_do_not_count_and_shares_must_be_known():
    partly = np.where(np.arange(SIZE)[None] < 8, COLUMNS, -1)
    a = effects(partly, draws([3.0, 1.0, 0.0], 0.1))
    b = effects(COLUMNS, draws([3.0, 1.0, 9.0], 0.1))
    assert float(a.agreement(b).correlation) > 0.99
    # Without donors nothing is said; without effects it is said that nothing acts.
    for reason, said in ((2, False), (1, True)):
        other = dataclasses.replace(b, reason=jnp.int32(reason))
        for found in (a.agreement(other), other.agreement(a)):
            assert (bool(found.known), bool(found.disagree)) == (said, said)
        assert not other.agreement(other).known


def test_a_cause_that_is_doubled_shows_in_joined_players_alone():
    """Either of two panels will do: apart, each says that it is nothing, and something else is."""

    def policy(images):
        panels = [images[view][:, 0, 0, 0] for view in ("front", "wrist")]
        rest = 0.2 * images["front"][:, -1, -1, 0]
        return jnp.stack([jnp.maximum(*panels), rest], -1)[:, None]

    frame = jnp.full((SIZE, SIZE, 3), 0.5).at[:6, :6].set(1.0)
    views = {"front": frame, "wrist": frame}
    shades = jnp.linspace(0.0, 0.4, 8)[:, None, None, None]
    donors = {view: jnp.broadcast_to(shades, (8, SIZE, SIZE, 3)) for view in views}
    panel = jnp.where(frame[..., 0] == 1.0, 0, 1)
    joined = Players(dict.fromkeys(views, panel), names=("panel", "rest"))
    apart = Players({"front": panel, "wrist": panel + 2}, names=("a", "b", "c", "d"))
    config = EffectsConfig(draws=8)
    one, other = (
        attribute_players(policy, views, players, donors, config=config)
        for players in (joined, apart)
    )
    found = one.agreement(other)
    assert bool(found.known) and bool(found.disagree) and float(found.correlation) < 0


def test_batches_jit_and_files(tmp_path):
    batch = jax.tree.map(lambda *x: jnp.stack(x), *[effects(COLUMNS, draws([3, 1, 0.5]))] * 2)
    found = jax.jit(lambda a: a.agreement(a))(batch)
    np.testing.assert_allclose(found.correlation, [1.0, 1.0], atol=1e-5)
    found.save(tmp_path / "agreement.npz")
    jax.tree.map(np.testing.assert_array_equal, Agreement.load(tmp_path / "agreement.npz"), found)
    assert 0 < LEAST < 1


def test_what_cannot_be_compared_is_named():
    a = effects(COLUMNS, draws([3.0, 1.0, 0.5]))
    b = effects(COLUMNS[:, :9], draws([3.0, 1.0, 0.5]))
    with pytest.raises(ValueError, match=r"differ in size: .*\(12, 12\), \(12, 9\)"):
        a.agreement(b)
    other = effects(
        COLUMNS, draws([3.0, 1.0, 0.5]), players=Players({"wrist": COLUMNS}, names=("a", "b", "c"))
    )
    with pytest.raises(ValueError, match=r"no view in common: \['front'\] and \['wrist'\]"):
        a.agreement(other)


def test_it_says_in_words_whether_the_two_agree():
    own = effects(COLUMNS, draws([3.0, 1.0, 0.5], 0.05))
    halves = effects(HALVES, draws([4.0, 0.5], 0.05))
    assert own.agreement(halves).sentence().startswith("the two agree (r = 0.6")
    other = effects(COLUMNS, draws([0.5, 1.0, 3.0], 0.05))
    found = own.agreement(other)
    assert bool(found.disagree)
    assert found.sentence().startswith(f"the two disagree (r = {float(found.correlation):.2f}, of ")
    assert "a cause is shown twice" in found.sentence()
    nothing = effects(COLUMNS, draws([0.0, 0.0, 0.0]), reason=jnp.ones((), jnp.int32))
    assert own.agreement(nothing).sentence().startswith("the two disagree: one found effects")
    assert nothing.agreement(nothing).sentence().startswith("nothing to compare")
    batch = jax.tree.map(lambda a, b: jnp.stack([a, b]), found, own.agreement(halves))
    assert [batch.sentence(i)[:9] for i in range(2)] == ["the two d", "the two a"]
    with pytest.raises(IndexError):
        batch.sentence(2)
