"""A policy that answers batches on the host is explained as one that JAX traces."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import Background, EffectsConfig, ISSConfig, attribute, attribute_players
from iss_jax.masks import sample_masks
from iss_jax.policies import batched

RNG = np.random.default_rng(0)
FRAMES = {camera: RNG.integers(0, 256, (14, 14, 3), np.uint8) for camera in ("front", "wrist")}
LABELS = {
    "front": np.repeat([0, 1], 7)[:, None] * np.ones((1, 14), np.int32),
    "wrist": np.full((14, 14), 2, np.int32),
}
DONORS = Background(
    {view: jnp.asarray(RNG.integers(0, 256, (6, 14, 14, 3), np.uint8)) for view in LABELS}
)
ISS = ISSConfig(num_masks=12, micro_batch=5)


def seen(front, wrist):
    """Two steps of three dimensions that see the front's upper half and, less, the wrist."""
    mean = front[:, :7].mean((1, 2)) + 0.3 * wrist.mean((1, 2))
    return np.stack([mean, 2.0 * mean], 1) / 255.0


def answers(frames, draw):
    return seen(frames["front"] * 1.0, frames["wrist"] * 1.0)


def noisy(spread=0.5):
    rng = np.random.default_rng(1)

    def noisy_answers(frames, draw):
        clean = answers(frames, draw)
        return clean + spread * rng.standard_normal(clean.shape)

    return noisy_answers


def traced(images):
    images = jax.tree.map(jnp.round, images)  # Copies are sent as bytes.
    mean = images["front"][:, :7].mean((1, 2)) + 0.3 * images["wrist"].mean((1, 2))
    return jnp.stack([mean, 2.0 * mean], 1) / 255.0


def test_a_map_equals_that_of_the_traced_policy():
    masks = sample_masks(jax.random.key(1), 12, 2)
    images = {view: jnp.asarray(frame, jnp.float32) for view, frame in FRAMES.items()}
    wanted = attribute(traced, images, masks=masks, config=ISS)
    found = batched.saliency(answers, FRAMES, masks=masks, config=ISS)
    np.testing.assert_allclose(found.effects, wanted.effects, rtol=1e-3)
    np.testing.assert_allclose(found.cells, wanted.cells, rtol=1e-3, atol=1e-8)
    for view in FRAMES:
        np.testing.assert_allclose(found.maps[view], wanted.maps[view], rtol=1e-3, atol=1e-8)
    assert found.floor == 0.0 and found.config == wanted.config
    assert list(found.maps) == ["front", "wrist"]


def test_the_order_of_the_cameras_changes_nothing():
    """A pytree sorts its keys, and the rows of the cells stay with their cameras."""
    masks = sample_masks(jax.random.key(1), 12, 2)
    found = batched.saliency(answers, FRAMES, masks=masks, config=ISS)
    turned = {camera: FRAMES[camera] for camera in ("wrist", "front")}
    again = jax.tree.map(
        lambda leaf: leaf, batched.saliency(answers, turned, masks=masks, config=ISS)
    )
    assert list(again.maps) == ["front", "wrist"]
    np.testing.assert_array_equal(again.cells, found.cells)


def test_rows_and_batches_are_as_they_are_asked_for():
    sizes, done = [], []

    def counted(frames, draw):
        sizes.append(len(frames["front"]))
        return answers(frames, draw)

    batched.saliency(
        counted, FRAMES, config=ISS, baseline_calls=3, progress=lambda *now: done.append(now)
    )
    assert sizes == [2, 1, 5, 5, 2]
    assert done[-1] == (15, 15)


def test_bars_are_not_masked():
    valid = {"front": np.arange(14)[:, None] < np.full(14, 7)}
    sent = []

    def kept(frames, draw):
        sent.append(frames["front"][:, 7:])
        return answers(frames, draw)

    found = batched.saliency(kept, FRAMES, config=ISS, valid=valid)
    assert (np.concatenate(sent) == FRAMES["front"][7:]).all()
    assert (np.asarray(found.maps["front"])[7:] == 0).all()
    assert not np.asarray(found.valid["front"])[7:].any()
    assert np.asarray(found.maps["front"])[:7].any()


def test_the_noise_of_a_policy_is_subtracted_from_its_map():
    found = batched.saliency(
        noisy(), FRAMES, config=ISSConfig(num_masks=400, micro_batch=100), baseline_calls=200
    )
    clean = batched.saliency(answers, FRAMES, config=ISSConfig(num_masks=400, micro_batch=100))
    assert float(found.floor) == pytest.approx(0.25, rel=0.1)
    # Of 400 runs of six numbers of noise each.
    error = 0.25 * (2 / 6 / 400) ** 0.5 + 0.25 * (2 / 6 / 200) ** 0.5
    assert abs(float((found.effects - clean.effects).mean())) < 4 * error


def test_noise_that_only_one_batch_shares_is_seen():
    rng = np.random.default_rng(2)

    def a_batch(frames, draw):
        return answers(frames, draw) + rng.standard_normal()

    assert float(batched.saliency(a_batch, FRAMES, config=ISS, baseline_calls=4).floor) > 0.01


def by_row(offset, *shape):
    """A policy that sees nothing; noise of each row, the same for the same number of a draw."""
    return lambda frames, draw: np.random.default_rng([offset, draw]).standard_normal(
        (len(frames["front"]), *(shape or (4, 8)))
    )


def by_batch(offset):
    """Likewise; all rows of a batch have one noise, whatever the number of the draw."""
    rng = np.random.default_rng(offset)
    return lambda frames, draw: np.repeat(rng.standard_normal((1, 4, 8)), len(frames["front"]), 0)


def by_row_and_batch(offset):
    """Likewise; half the variance is of the batch, half of the row."""
    alone = by_row(offset)

    def both(frames, draw):
        found = alone(frames, draw)
        return np.sqrt(0.5) * (found + np.random.default_rng([draw, offset, 1]).normal(size=(4, 8)))

    return both


@pytest.mark.parametrize("make", [by_row, by_batch, by_row_and_batch])
def test_the_floor_of_few_rows_is_unbiased_where_seeds_are_fixed(make):
    """Variance 1, and 1 + 1/4 against the mean of four: a policy that sees nothing has none."""
    found = [
        batched.saliency(make(offset), FRAMES, config=ISSConfig(12, micro_batch=2))
        for offset in range(8)
    ]
    # Of 3 degrees of freedom and 32 numbers each.
    error = 1.25 * (2 / 3 / 32 / 8) ** 0.5
    assert abs(float(np.mean([own.floor for own in found])) - 1.25) < 3 * error
    means = np.array([float(own.effects.mean()) for own in found])
    assert abs(means.mean()) < 3 * means.std(ddof=1) / len(means) ** 0.5


def test_players_of_a_policy_that_sees_nothing_have_no_effect_where_seeds_are_fixed():
    found = [
        batched.player_effects(
            by_row(offset, 2, 3),
            FRAMES,
            LABELS,
            DONORS,
            config=EffectsConfig(draws=3),
            beside={"state": by_row(offset, 2, 3)},
        )
        for offset in range(10)
    ]
    error = 2.0 * (2 / 3 / 6 / 10) ** 0.5
    assert abs(float(np.mean([own.floor for own in found])) - 2.0) < 2.5 * error
    effects = np.stack([[*own.effects, own.beside["state"].mean()] for own in found])
    assert (np.abs(effects.mean(0)) < 3 * effects.std(0, ddof=1) / 10**0.5).all()


def test_every_call_has_a_number_of_its_own_where_rows_do_not_repeat():
    def numbers(policy):
        asked, done = [], []

        def counted(frames, draw):
            asked.append(draw)
            return policy(frames, draw)

        batched.saliency(counted, FRAMES, config=ISS, progress=lambda *now: done.append(now))
        assert done[-1][0] == done[-1][1]
        return asked

    assert set(numbers(answers)) == {0}
    # Two calls tell that rows differ.
    apart = numbers(by_row(0))[2:]
    assert len(apart) == 4 + 3 and len(set(apart)) == len(apart) and 0 not in apart


def test_shared_draws_are_averaged_over_and_own_noise_has_none():
    def shared(frames, draw):
        return (1.0 + draw) * answers(frames, draw)

    one = batched.saliency(shared, FRAMES, config=ISS)
    two = batched.saliency(shared, FRAMES, config=ISSConfig(12, micro_batch=5, noise_draws=2))
    np.testing.assert_allclose(two.effects, 2.5 * one.effects, rtol=1e-5)
    np.testing.assert_allclose(two.actions, 1.5 * one.actions, rtol=1e-5)
    with pytest.raises(ValueError, match="noise_draws is 2, but the policy draws noise of its own"):
        batched.saliency(noisy(), FRAMES, config=ISSConfig(12, noise_draws=2))


def test_players_equal_those_of_the_traced_policy():
    config = EffectsConfig(draws=3)
    images = {view: jnp.asarray(frame, jnp.float32) for view, frame in FRAMES.items()}
    wanted = attribute_players(traced, images, LABELS, DONORS, config=config)
    found = batched.player_effects(answers, FRAMES, LABELS, DONORS, config=config)
    np.testing.assert_allclose(found.by_draw, wanted.by_draw, rtol=1e-4, atol=1e-8)
    assert found.effects[1] == 0.0 and found.floor == 0.0 and found.config == config
    assert found.sentence().startswith("player 0")


def test_every_draw_of_players_has_its_noise_draw_for_its_baseline_and_its_runs():
    """The noise of a draw is in both and goes out: effects are those without it."""

    def shared(frames, draw):
        return answers(frames, draw) + 10.0 * draw

    config = EffectsConfig(draws=3, micro_batch=4)
    wanted = batched.player_effects(answers, FRAMES, LABELS, DONORS, config=config)
    found = batched.player_effects(shared, FRAMES, LABELS, DONORS, config=config)
    np.testing.assert_allclose(found.by_draw, wanted.by_draw, rtol=1e-3, atol=1e-8)


def test_a_second_frame_is_answered_by_its_own_function():
    """The program is compiled once; whom it asks is told anew each time."""
    config = EffectsConfig(draws=3)
    scaled = [
        batched.player_effects(
            lambda frames, draw, by=by: by * answers(frames, draw),
            FRAMES,
            LABELS,
            DONORS,
            config=config,
        )
        for by in (1.0, 3.0)
    ]
    np.testing.assert_allclose(scaled[1].by_draw, 9.0 * scaled[0].by_draw, rtol=1e-4, atol=1e-9)


def test_what_lies_beside_the_players_is_asked_once_a_draw():
    config = EffectsConfig(draws=3)
    found = batched.player_effects(
        answers,
        FRAMES,
        LABELS,
        DONORS,
        config=config,
        beside={"state": lambda frames, draw: answers(frames, draw) + draw},
    )
    np.testing.assert_allclose(found.beside["state"], [0.0, 1.0, 4.0], rtol=1e-5)


def test_the_noise_of_a_policy_is_subtracted_from_its_players():
    found = batched.player_effects(
        noisy(), FRAMES, LABELS, DONORS, config=EffectsConfig(draws=150), baseline_calls=100
    )
    assert float(found.floor) == pytest.approx(0.5, rel=0.15)
    assert abs(float(found.effects[1])) < 4 * float(found.stderr[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": {}}, "one camera at least"),
        ({"frames": {"front": np.zeros((4, 4))}}, r"shape \[4, 4\], wanted \[h, w, 3\]"),
        ({"frames": {"front": np.full((4, 4, 3), 7.0)}}, r"float64 in \[7, 7\]"),
        ({"answers": lambda frames, draw: np.zeros(3)}, "policy"),
        ({"answers": lambda frames, draw: np.full((len(frames["front"]), 1, 1), np.nan)}, "nan"),
        ({"masks": jnp.ones((4, 3, 7, 7), bool)}, r"2 cameras \['front', 'wrist'\]"),
        ({"valid": {"rear": np.ones((14, 14), bool)}}, "valid names cameras"),
        ({"config": ISSConfig(estimator="clipped")}, "needs gradients"),
        ({"baseline_calls": 1}, "baseline_calls"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    given = {"answers": answers, "frames": FRAMES, "config": ISS} | change
    with pytest.raises(ValueError, match=message):
        batched.saliency(given.pop("answers"), given.pop("frames"), **given)


def test_answers_of_another_length_are_refused():
    lengths = itertools.count(1)
    with pytest.raises(ValueError, match=r"answered \[2, 1\] actions, before \[1, 1\]"):
        batched.saliency(
            lambda frames, draw: np.zeros((len(frames["front"]), next(lengths), 1)),
            FRAMES,
            config=ISS,
        )


def test_floats_are_sent_as_the_bytes_that_they_stand_for():
    frame = np.linspace(0, 1, 14 * 14 * 3, dtype=np.float32).reshape(14, 14, 3)
    np.testing.assert_array_equal(
        batched.checked_frames({"front": frame})["front"], np.round(frame * 255)
    )
