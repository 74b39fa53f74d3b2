"""What a result of players says, keeps and refuses."""

import dataclasses

import jax
import numpy as np
import pytest

from iss_jax import Effects, EffectsConfig, NuisanceShare, fills
from iss_jax.effect_reasons import REASONS
from iss_jax.effects import example
from iss_jax.players import Players
from iss_jax.results import Cameras
from iss_jax.share_intervals import share_intervals

LABELS = np.array([[[0, 0, 1, 2], [0, 0, 1, -1]]] * 2)
BY_DRAW = np.array([[[0.9, 0.3, 0.0], [1.1, 0.1, 0.4]], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])


def effects(**changes):
    """Two frames, of which nothing moves the second."""
    fields = {
        "by_draw": BY_DRAW.astype(np.float32),
        "moved": np.array([[1.0, 0.5, 0.0], [1.0, 1.0, 1.0]], np.float32),
        "beside": {"tint": np.full((2, 2), 0.5, np.float32)},
        "floor": np.zeros(2, np.float32),
        "reason": np.array([0, 1], np.int32),
        "players": Players(
            {"front": LABELS.astype(np.int32)}, names=("black bowl", "gripper", "plate")
        ),
        "actions": np.zeros((2, 3, 4), np.float32),
        "frames": {"front": np.zeros((2, 2, 4, 3), np.float32)},
        "donors": np.array([[3, 1], [0, 2]]),
        "cameras": Cameras({"front": "camera 1"}),
        "config": EffectsConfig(draws=2, fill=fills.Blur(10.0), action_dims=(0, 2)),
        "unit": "mean squared error",
    }
    return Effects(**fields | changes)


def test_effects_shares_and_densities():
    found = effects()
    np.testing.assert_allclose(found.effects[0], [1.0, 0.2, 0.2], rtol=1e-6)
    np.testing.assert_allclose(found.share[0], np.array([1.0, 0.2, 0.2]) / 1.4, rtol=1e-6)
    np.testing.assert_allclose(found.stderr[0], [0.1, 0.1, 0.2], rtol=1e-5)
    np.testing.assert_allclose(found.area[0], np.array([4, 2, 1]) / 8)
    np.testing.assert_allclose(found.density[0], np.array([2.0, 0.8, 1.6]), rtol=1e-6)
    np.testing.assert_array_equal(found.tested[0], [True, True, False])
    np.testing.assert_array_equal(found.valid, [True, False])
    wanted = np.array([[1.0, 1.0, 0.2, 0.2], [1.0, 1.0, 0.2, 0.0]])
    np.testing.assert_allclose(found.maps["front"][0], wanted, rtol=1e-6)


def test_it_says_what_the_policy_acts_on():
    found = effects()
    # Delta method by hand: share_0 = e_0 / T with draws T = 1.2 and 1.6.
    rest = np.array([0.9, 1.1]) - 1.0 / 1.4 * np.array([1.2, 1.6])
    error = np.sqrt(np.square(rest - rest.mean()).sum() / 2) / 1.4
    name, *numbers, tested = found.ranked()[0]
    assert name == "black bowl" and tested
    assert numbers == pytest.approx([1 / 1.4, error], rel=1e-4)
    assert found.sentence(0, most=2) == f"black bowl 71 ± {100 * error:.0f} %, gripper 14 ± 9 %"
    assert found.sentence(0).endswith("plate not tested")
    assert found.sentence(1) == f"no shares: {REASONS[1]}"
    text = repr(found)
    assert text.startswith("Effects of 2 observations") and "fill blur of sigma 10" in text
    assert "black bowl 71" in text and "no shares" in text
    with pytest.raises(IndexError):
        found.sentence(2)


def test_one_draw_has_no_error_to_say():
    one = effects(by_draw=BY_DRAW[:, :1].astype(np.float32), donors=np.zeros((2, 1), int))
    assert one.sentence() == "black bowl 75 %, gripper 25 %, plate not tested"


def test_what_has_no_values_still_prints():
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), effects())
    assert repr(shapes).startswith("Effects of 2 observations")

    @jax.jit
    def inside(found):
        assert repr(found).startswith("Effects of 2 observations")
        with pytest.raises(TypeError, match=r"Effects.plot\(\) needs values"):
            found.plot()
        return found.share

    inside(effects())


def test_nuisance_is_by_area_where_players_straddle_regions():
    regions = np.array([[[0, 0, 2, 0], [0, 2, 2, 0]]] * 2)
    found = effects().nuisance({"front": regions})
    # Three of four pixels of the bowl, none of the gripper, all of the plate.
    assert found.share[0] == pytest.approx((0.75 * 1.0 + 0.2) / 1.4, rel=1e-5)
    assert found.area[0] == pytest.approx(4 / 7)
    assert found.mixed[0] == pytest.approx(1.0 / 1.4 * 4 * 0.75 * 0.25, rel=1e-5)
    draws = np.array([0.9, 1.1]), np.array([0.0, 0.4]), np.array([1.2, 1.6])
    rest = 0.75 * draws[0] + draws[1] - float(found.share[0]) * draws[2]
    error = np.sqrt(np.square(rest - rest.mean()).sum() / 2) / 1.4
    assert found.stderr[0] == pytest.approx(error, rel=1e-4)
    np.testing.assert_array_equal(found.reason, [0, 1])
    with pytest.raises(ValueError, match=r"regions lack views \['front'\]"):
        effects().nuisance({})
    with pytest.raises(ValueError, match=r"must be \[2, 2, 4\] like the players, got \[2, 2, 3\]"):
        effects().nuisance({"front": regions[..., :3]})


# Nuisance, support and critical effects, which draws scatter by factors: 0.8 that all three share,
# and 0.5 of each one's own. Measured of a nominal .95: .91 to .93 of 4 draws, .92 to .94 of 16, the
# least at one half; a bootstrap over draws .77 and .89. The standard error of one is 0.006.
@pytest.mark.parametrize("draws", [4, 16])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_intervals_of_nuisance_shares_hold_the_true_one(share, draws):
    rng, repeats = np.random.default_rng(0), 2000
    mean = np.array([share, 0.6 * (1 - share), 0.4 * (1 - share)])
    noise = 0.8 * rng.normal(size=(repeats, draws, 1)) + 0.5 * rng.normal(size=(repeats, draws, 3))
    found = Effects(
        by_draw=np.asarray(mean * np.exp(noise), np.float32),
        moved=np.ones((repeats, 3), np.float32),
        beside={},
        floor=np.zeros(repeats, np.float32),
        reason=np.zeros(repeats, np.int32),
        players=Players({"front": np.tile([[[0, 1, 2]]], (repeats, 1, 1))}, names=("a", "b", "c")),
        actions=np.zeros((repeats, 1, 1), np.float32),
    )
    nuisance = found.nuisance({"front": np.tile([[[0, 1, 2]]], (repeats, 1, 1))})
    low, high = np.asarray(nuisance.interval).T
    held = ((low <= share) & (share <= high)).mean()
    assert (0.895 if share == 0.5 else 0.91) < held < 0.97
    assert (low >= 0).all() and (high <= 1).all() and nuisance.level == 0.95
    # 1.96 standard errors to either side hold it more seldom.
    reach = 1.96 * np.asarray(nuisance.stderr)
    normal = np.abs(np.asarray(nuisance.share) - share) <= reach
    assert normal.mean() < held - 0.01
    for ends, one in zip(found.intervals(0.95), (low, high), strict=True):
        np.testing.assert_allclose(ends[:, 0], one, rtol=1e-4, atol=1e-6)


def test_the_interval_of_a_nuisance_share_is_that_of_a_ratio_of_sums_over_draws():
    regions = {"front": np.array([[[0, 0, 2, 0], [0, 2, 2, 0]]] * 2)}
    found = effects().nuisance(regions, level=0.9)
    # By hand: three quarters of the bowl and all of the plate, in two draws.
    part = np.array([0.75 * 0.9, 0.75 * 1.1 + 0.4])
    whole = np.array([1.2, 1.6])
    low, high = share_intervals(part[:, None].astype(np.float32), whole.astype(np.float32), 0.9)
    np.testing.assert_allclose(found.interval[0], [low[0], high[0]], rtol=1e-5)
    assert float(low[0]) < float(found.share[0]) < float(high[0])
    # Nothing is known of the second frame.
    np.testing.assert_array_equal(found.interval[1], [0.0, 1.0])
    np.testing.assert_array_equal(found.valid, [True, False])
    wider = effects().nuisance(regions)
    assert float(wider.interval[0, 0]) <= float(low[0]) and wider.level == 0.95
    title, rows = found.summary()
    assert title.endswith("± one standard error [90 % interval]")
    assert f"[{float(low[0]):.3f}, {float(high[0]):.3f}], area 0.57" in rows[0][1]
    assert rows[1][1].startswith("not known: ")
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\), got 90"):
        effects().nuisance(regions, level=90)
    inside = jax.jit(lambda known: known.nuisance(regions, level=0.9))(effects())
    np.testing.assert_allclose(inside.interval, found.interval, rtol=1e-6)


def test_one_draw_leaves_the_whole_interval():
    one = effects(by_draw=BY_DRAW[:, :1].astype(np.float32), donors=np.zeros((2, 1), int))
    found = one.nuisance({"front": np.zeros((2, 2, 4), int)})
    np.testing.assert_array_equal(found.interval, [[0.0, 1.0]] * 2)


def test_results_come_back_from_their_files(tmp_path):
    found = effects()
    found.save(tmp_path / "effects.npz")
    back = Effects.load(tmp_path / "effects.npz")
    jax.tree.map(np.testing.assert_array_equal, back, found)
    assert (back.config, back.unit, back.cameras) == (found.config, found.unit, found.cameras)
    assert back.names == found.names and back.sentence() == found.sentence()
    nuisance = found.nuisance({"front": np.zeros((2, 2, 4), int)})
    nuisance.save(tmp_path / "nuisance.npz")
    again = NuisanceShare.load(tmp_path / "nuisance.npz")
    jax.tree.map(np.testing.assert_array_equal, again, nuisance)
    assert again.chance is None and again.level == nuisance.level
    found.players.save(tmp_path / "players.npz")
    players = Players.load(tmp_path / "players.npz")
    assert players.names == found.names and players.centres is None
    np.testing.assert_array_equal(players.labels["front"], LABELS)


def test_a_fill_of_ones_own_comes_back_without_options(tmp_path):
    def white(frames, valid):
        return lambda removed, donor: frames

    found = effects(config=EffectsConfig(fill=white))
    found.save(tmp_path / "effects.npz")
    assert Effects.load(tmp_path / "effects.npz").config is None


def test_one_of_a_batch():
    found = effects()
    one = example(found, 1)
    assert one.by_draw.shape == (2, 3) and one.players.labels["front"].shape == (2, 4)
    assert one.beside["tint"].shape == (2,) and one.reason == 1
    assert example(one) is not one and example(one).by_draw.shape == (2, 3)
    deeper = jax.tree.map(lambda leaf: leaf[None], found)
    assert repr(deeper).startswith("Effects of 1 x 2 observations")
    np.testing.assert_array_equal(example(deeper, (0, 1)).moved, one.moved)
    assert dataclasses.replace(found, unit="x").unit == "x"


def test_shares_of_halves_that_leave_0_and_1_stay_and_are_named():
    # A player that undoes the first: beside it the actions move less.
    by_draw = np.array([[[1.3, -0.2, 0.1], [1.1, -0.4, 0.1]]] * 2, np.float32)
    halves = EffectsConfig(draws=2, estimator="banzhaf")
    found = effects(by_draw=by_draw, config=halves)
    np.testing.assert_allclose(found.share[0], [1.2, -0.3, 0.1], rtol=1e-5)
    np.testing.assert_array_equal(found.beyond, [True, False])  # the second has no shares
    low, high = found.intervals()
    assert float(low[0, 1]) < -0.3 < float(high[0, 1]) and float(high[0, 0]) > 1.2
    assert np.isinf(low[1]).all() and np.isinf(high[1]).all()
    sentence = example(found).sentence(most=2)
    assert sentence == "black bowl 120 ± 14 %, plate not tested; below 0 %: gripper"
    alone = effects()
    assert not alone.beyond.any() and "below" not in example(alone).sentence()
    assert float(alone.intervals()[0].min()) >= 0.0
