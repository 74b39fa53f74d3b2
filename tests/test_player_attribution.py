"""Effects of players on toy policies, whose truth is known in closed form."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from traces import traced_at_most

import iss_jax
from iss_jax import (
    Background,
    Effects,
    EffectsConfig,
    Groups,
    attribute_players,
    player_attribution,
)
from iss_jax.effect_estimators import replaced_sets
from iss_jax.effect_reasons import NO_DONOR
from iss_jax.players import Players

SIZE = 8
RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
# Quarters of the front view, and the whole wrist view.
QUARTERS = np.repeat(np.repeat(np.arange(4).reshape(2, 2), 4, 0), 4, 1)
LABELS = {"front": jnp.asarray(QUARTERS, jnp.int32), "wrist": jnp.full((SIZE, SIZE), 4, jnp.int32)}
PLAYERS = Players(LABELS, names=("a", "b", "c", "d", "wrist"))
FRAME = {view: jnp.zeros((SIZE, SIZE, 3)) for view in LABELS}


def bank(values, **facts):
    """Donors of one value each, in both views."""
    values = jnp.asarray(values, jnp.float32)
    images = jnp.broadcast_to(values[:, None, None, None], (len(values), SIZE, SIZE, 3))
    return Background(dict.fromkeys(LABELS, images), **facts)


def corners(images):
    """The red of every quarter and of the wrist view, [n, 5]."""
    front = images["front"][:, ::4, ::4, 0].reshape(-1, 4)
    return jnp.concatenate([front, images["wrist"][:, :1, 0, 0]], -1)


def additive(images):
    return corners(images)[:, None]


def interacting(images):
    """A product of two quarters, and one quarter that counts only where the wrist is not 0."""
    a, b, c, d, wrist = jnp.moveaxis(corners(images), -1, 0)
    return jnp.stack([(1 + a) * (1 + b), c * wrist, 0.0 * d], -1)[:, None]


def found(policy=additive, frame=FRAME, players=PLAYERS, background=None, **options):
    given = options.pop("config", EffectsConfig(draws=2, reduction="sum"))
    donors = bank([1.0, 3.0]) if background is None else background
    return attribute_players(policy, frame, players, donors, config=given, **options)


def test_one_at_a_time_of_an_additive_policy():
    """Each quarter moves its own action by the donor's 1 or 3: mean square 5, one in five."""
    effects = found()
    np.testing.assert_allclose(np.sort(effects.by_draw, 0), [[1.0] * 5, [9.0] * 5])
    np.testing.assert_allclose(effects.effects, 5.0)
    np.testing.assert_allclose(effects.share, 0.2)
    # Both donors change all players alike: the shares have no error though the effects do.
    np.testing.assert_allclose(effects.share_stderr, 0.0, atol=1e-6)
    np.testing.assert_allclose(effects.stderr, 4.0)
    np.testing.assert_allclose(effects.maps["front"], np.full((SIZE, SIZE), 5.0))
    np.testing.assert_allclose(effects.area, [1 / 8] * 4 + [1 / 2])
    np.testing.assert_allclose(effects.density, [40.0] * 4 + [10.0])
    assert effects.valid and effects.floor == 0 and effects.names == PLAYERS.names


@pytest.mark.parametrize("estimator", ["one_at_a_time", "shapley", "banzhaf"])
def test_an_interacting_policy_is_enumerated(estimator):
    """Every set of quarters and wrist is replaced by hand; draws are the donors 1 and 3."""
    config = EffectsConfig(draws=2, estimator=estimator, pairs=3, reduction="sum")
    effects = found(interacting, config=config, key=KEY)
    halves = np.asarray(replaced_sets(jax.random.fold_in(KEY, 2), 5, config))
    sets = np.array(list(np.ndindex(*[2] * 5)))
    wanted = []
    for draw, donor in enumerate(np.asarray(effects.donors).tolist()):
        value = (1.0, 3.0)[donor]
        rows = {"front": np.zeros((32, SIZE, SIZE, 3)), "wrist": np.zeros((32, SIZE, SIZE, 3))}
        for view, labels in LABELS.items():
            rows[view] += value * sets[:, np.asarray(labels)][..., None]
        rows = {view: jnp.asarray(row, jnp.float32) for view, row in rows.items()}
        actions = np.asarray(interacting(rows), np.float64)
        v = np.square(actions - actions[:1]).sum((1, 2))
        if estimator == "one_at_a_time":
            wanted.append([v[np.flatnonzero((sets == np.eye(5)[i]).all(1))[0]] for i in range(5)])
            continue
        if estimator == "banzhaf":
            # v with the player gone less v with it there, over the draw's halves.
            own = halves[draw]
            of_halves = v[own @ 2 ** np.arange(4, -1, -1)]
            wanted.append([of_halves[gone].mean() - of_halves[~gone].mean() for gone in own.T])
            continue
        swing = [v[sets[:, i] == 1] - v[sets[:, i] == 0] for i in range(5)]
        size = sets.sum(1)
        weight = [1 / (5 * np.array([1, 4, 6, 4, 1])[size[sets[:, i] == 0]]) for i in range(5)]
        wanted.append([(one * w).sum() for one, w in zip(swing, weight, strict=True)])
        np.testing.assert_allclose(effects.by_draw[draw].sum(), v[-1], rtol=1e-5)
    np.testing.assert_allclose(effects.by_draw, wanted, rtol=1e-4, atol=1e-4)


def test_a_draw_takes_all_views_and_all_players_from_one_donor():
    """Donors carry their number in every pixel; a policy that acts on it reads it back."""
    numbers = np.arange(1.0, 8.0)
    effects = found(background=bank(numbers), config=EffectsConfig(draws=6, reduction="sum"))
    wanted = np.square(numbers[np.asarray(effects.donors)])
    np.testing.assert_allclose(effects.by_draw, np.tile(wanted[:, None], (1, 5)), rtol=1e-6)
    joined = Players(dict.fromkeys(LABELS, jnp.zeros((SIZE, SIZE), jnp.int32)), names=("both",))
    mixed = found(
        lambda images: (images["front"][:, :1, 0, 0] - images["wrist"][:, :1, 0, 0])[:, None],
        players=joined,
        background=bank(numbers),
        config=EffectsConfig(draws=6),
    )
    np.testing.assert_array_equal(mixed.by_draw, 0.0)
    assert int(mixed.reason) == 1


def test_own_episode_and_task_are_never_drawn():
    background = bank(np.arange(6), episode=jnp.arange(6), task=jnp.array([0, 0, 1, 1, 2, 2]))
    frames = {view: jnp.zeros((3, SIZE, SIZE, 3)) for view in LABELS}
    players = Players({v: jnp.stack([own] * 3) for v, own in LABELS.items()}, names=PLAYERS.names)
    groups = Groups(episode=jnp.array([0, 4, 9]), task=jnp.array([1, 9, 2]))
    effects = found(
        frame=frames,
        players=players,
        background=background,
        groups=groups,
        config=EffectsConfig(draws=40),
    )
    seen = [set(row) for row in np.asarray(effects.donors).tolist()]
    assert seen == [{1, 4, 5}, {0, 1, 2, 3, 5}, {0, 1, 2, 3}]
    # Where it is not known before, a frame without donors has no shares, and the reason.
    with pytest.raises(ValueError, match=r"frames \[1\] may draw none"):
        found(
            frame=frames,
            players=players,
            background=bank([1.0], episode=jnp.array([4])),
            groups=groups,
        )

    def traced(groups):
        return found(
            frame=frames,
            players=players,
            background=bank([1.0], episode=jnp.array([4])),
            groups=groups,
        )

    inside = jax.jit(traced)(groups)
    np.testing.assert_array_equal(inside.reason, [0, NO_DONOR, 0])
    assert "no donor" in inside.sentence(1)


def test_the_same_key_gives_the_same_and_rows_have_what_their_key_says():
    numbers = bank(np.arange(1.0, 60.0))
    frames = {view: jnp.zeros((3, SIZE, SIZE, 3)) for view in LABELS}
    players = Players({v: jnp.stack([own] * 3) for v, own in LABELS.items()}, names=PLAYERS.names)
    config = EffectsConfig(draws=4, estimator="banzhaf", pairs=3, reduction="sum")
    options = {"background": numbers, "config": config}
    one = found(frame=frames, players=players, key=KEY, **options)
    again = found(frame=frames, players=players, key=KEY, **options)
    jax.tree.map(np.testing.assert_array_equal, one, again)
    # One key: every row has the same donors and sets.
    np.testing.assert_array_equal(one.by_draw[1], one.by_draw[0])
    np.testing.assert_array_equal(one.donors[2], one.donors[0])
    np.testing.assert_array_equal(found(key=KEY, **options).by_draw, one.by_draw[0])
    other = found(frame=frames, players=players, key=jax.random.key(1), **options)
    assert not np.array_equal(other.donors, one.donors)
    # A key each: each row is what its key alone gives.
    keys = jax.random.split(KEY, 3)
    each = found(frame=frames, players=players, key=keys, **options)
    assert len({tuple(row) for row in np.asarray(each.donors).tolist()}) == 3
    for row, key in enumerate(keys):
        alone = found(key=key, **options)
        np.testing.assert_array_equal(alone.by_draw, each.by_draw[row])
        np.testing.assert_array_equal(alone.donors, each.donors[row])


def test_a_donor_like_the_frame_tests_nothing():
    """In one quarter its pixels are the frame's own: nothing moved, and nothing is claimed."""
    images = bank([1.0, 3.0]).images
    same = images["front"].at[:, :4, :4].set(0.0)
    effects = found(background=images | {"front": same})
    assert float(effects.moved[0]) == 0.0 and not effects.tested[0]
    assert effects.tested[1:].all() and float(effects.effects[0]) == 0.0
    rows = {name: tested for name, _, _, tested in effects.ranked()}
    assert rows == {"a": False, "b": True, "c": True, "d": True, "wrist": True}
    own = found(background=bank([0.0, 0.0]))
    np.testing.assert_array_equal(own.moved, 0.0)
    assert int(own.reason) == 1 and own.sentence().startswith(
        "no shares: the effects do not exceed"
    )


def test_moved_is_the_change_of_colour_and_spread_over_the_frames_own():
    """A chequered frame of spread 1 against donors of one colour c: root of (c^2 + 1)."""
    chequer = jnp.asarray(np.indices((SIZE, SIZE)).sum(0) % 2 * 2.0 - 1.0, jnp.float32)
    frame = dict.fromkeys(LABELS, jnp.broadcast_to(chequer[..., None], (SIZE, SIZE, 3)))
    effects = found(frame=frame, background=bank([2.0, 2.0]))
    np.testing.assert_allclose(effects.moved, np.sqrt(5.0), rtol=1e-5)


def test_where_nothing_moves_there_are_no_shares():
    still = found(lambda images: jnp.zeros((images["front"].shape[0], 1, 2)))
    assert int(still.reason) == 1 and not still.valid
    np.testing.assert_array_equal(still.share, 0.0)
    assert np.isinf(still.share_stderr).all()


def test_a_policys_own_noise_is_a_floor():
    """It acts differently at every call: what the frame's own copy gives is not exceeded."""
    count = iter(range(10**6))

    def served(images):
        rows = images["front"].shape[0]

        def call(_):
            return np.array([[[float(next(count) % 7)]] for _ in range(rows)], np.float32)

        return jax.pure_callback(
            call, jax.ShapeDtypeStruct((rows, 1, 1), jnp.float32), images["front"]
        )

    effects = found(served)
    assert float(effects.floor) > 0 and int(effects.reason) == 1


def test_like_for_like_takes_pixels_of_the_same_region():
    """Two donors of other values and labels, and a pixel that no donor has the label of."""
    labels = np.zeros((SIZE, SIZE), np.int32)
    labels[:, 4:] = 2
    labels[0, 0] = 1
    first, second = np.zeros((SIZE, SIZE), np.int32), np.full((SIZE, SIZE), 2, np.int32)
    second[:, :2] = 0
    donors = bank([1.0, 3.0], regions=dict.fromkeys(LABELS, jnp.asarray([first, second])))
    config = EffectsConfig(draws=2, like_for_like=True, reduction="sum")

    def everything(images):
        return images["front"][..., 0].reshape(-1, 1, SIZE * SIZE)

    one = Players(dict.fromkeys(LABELS, jnp.zeros((SIZE, SIZE), jnp.int32)), names=("all",))
    effects = found(
        everything,
        players=one,
        background=donors,
        config=config,
        regions=dict.fromkeys(LABELS, jnp.asarray(labels)),
    )
    # Nuisance: 31 pixels. Of donor 1 all are, of donor 3 the first two columns (15 of them).
    # Critical: 32 pixels, of donor 3 alone. The support pixel stays as it is.
    of_first = 31 * 1.0 + 32 * 9.0
    of_second = 15 * 9.0 + 16 * 1.0 + 32 * 9.0
    wanted = {0: of_first, 1: of_second}
    np.testing.assert_allclose(
        effects.by_draw[:, 0], [wanted[d] for d in np.asarray(effects.donors).tolist()]
    )
    with pytest.raises(ValueError, match=r"like_for_like needs.*'regions': \['front', 'wrist'\]"):
        found(background=donors, config=config)
    with pytest.raises(ValueError, match=r"'background\.regions'"):
        found(config=config, regions=dict.fromkeys(LABELS, jnp.asarray(labels)))


def test_absent_views_and_padding_take_part_in_nothing():
    inside = np.ones((SIZE, SIZE), bool)
    inside[:2] = False
    options = {
        "valid": {"front": jnp.asarray(inside)},
        "present": {"wrist": jnp.asarray(False)},
        "config": EffectsConfig(draws=2, tint=True, views=True, reduction="sum"),
    }

    def watches_all(images):
        return jnp.stack([images["front"].sum((1, 2, 3)), corners(images).sum(-1)], -1)[:, None]

    def changed(tree, fill, outside):
        front = jnp.where(jnp.asarray(inside)[..., None], tree["front"], fill)
        return {"front": front, "wrist": jnp.full_like(tree["wrist"], fill if outside else 0)}

    effects = found(watches_all, **options)
    assert not effects.by_draw[:, 4].any() and not effects.beside["wrist"].any()
    assert float(effects.moved[4]) == 0.0 and float(effects.area[4]) == 0.0
    assert effects.beside["front"].all()
    assert not np.asarray(effects.maps["front"])[:2].any() and not effects.maps["wrist"].any()
    np.testing.assert_array_equal(effects.players.labels["front"][:2], -1)
    np.testing.assert_array_equal(effects.players.labels["wrist"], -1)
    # Labels there are ignored, too, and so are donors' pixels.
    labels = {
        "front": jnp.where(jnp.asarray(inside), LABELS["front"], 3),
        "wrist": jnp.zeros((SIZE, SIZE), jnp.int32),
    }
    donors = bank([1.0, 3.0]).images
    other = found(
        watches_all,
        players=Players(labels, names=PLAYERS.names),
        background={view: changed(donors, 50.0, True)[view] for view in donors},
        **options,
    )
    np.testing.assert_array_equal(other.by_draw, effects.by_draw)
    np.testing.assert_array_equal(other.moved, effects.moved)
    np.testing.assert_array_equal(other.area, effects.area)
    for name in ("tint", "front", "wrist"):
        np.testing.assert_array_equal(other.beside[name], effects.beside[name])


def test_pixels_of_nobody_stay():
    labels = {"front": jnp.where(LABELS["front"] == 0, 0, -1)}
    effects = found(players=Players(labels, names=("a",)))
    np.testing.assert_allclose(effects.effects, [5.0])
    odd = found(players=Players({"front": jnp.where(LABELS["front"] == 0, 0, -2)}, names=("a",)))
    np.testing.assert_array_equal(odd.by_draw, effects.by_draw)


def test_views_and_tint_lie_beside_the_players():
    frame = {view: jnp.full((SIZE, SIZE, 3), 0.5) for view in LABELS}
    reddish = jnp.array([0.75, 0.5, 0.25])[None, None, None]
    donor = {v: jnp.broadcast_to(reddish, (2, SIZE, SIZE, 3)) for v in LABELS}
    config = EffectsConfig(draws=2, tint=True, views=True, reduction="sum")
    effects = found(frame=frame, background=donor, config=config)
    # Red goes from 0.5 to 0.75 in every corner.
    np.testing.assert_allclose(effects.beside["tint"], 5 / 16, rtol=1e-5)
    np.testing.assert_allclose(effects.beside["front"], 4 / 16, rtol=1e-5)
    np.testing.assert_allclose(effects.beside["wrist"], 1 / 16, rtol=1e-5)
    plain = found(frame=frame, background=donor)
    np.testing.assert_array_equal(plain.by_draw, effects.by_draw)
    assert not plain.beside


@pytest.mark.parametrize("fill", ["blur", "mean", "inpaint"])
def test_other_fills_need_no_donors(fill):
    frame = {view: jnp.asarray(RNG.random((SIZE, SIZE, 3)), jnp.float32) for view in LABELS}
    config = EffectsConfig(draws=2, fill=fill)
    effects = attribute_players(additive, frame, PLAYERS, config=config)
    assert effects.donors is None and effects.effects.all() and effects.tested.all()
    # Without noise of the policy's own all draws are one.
    np.testing.assert_array_equal(effects.by_draw[0], effects.by_draw[1])
    with pytest.raises(ValueError, match="fill 'background' needs a background"):
        attribute_players(additive, frame, PLAYERS)
    with pytest.raises(ValueError, match="needs a background"):
        attribute_players(additive, frame, PLAYERS, config=EffectsConfig(fill=fill, tint=True))


def test_a_fill_of_ones_own():
    def white(frames, valid):
        del valid
        return lambda removed, donor: {view: jnp.ones_like(frame) for view, frame in frames.items()}

    effects = found(config=EffectsConfig(draws=2, fill=white, reduction="sum"))
    np.testing.assert_allclose(effects.by_draw, 1.0)
    assert "fill white" in repr(effects)


def test_each_draw_has_its_own_noise_and_baseline():
    noise = jnp.array([0.0, 100.0])

    def sampling(images, noise):
        return additive(images) * (1.0 + noise) + noise

    effects = found(sampling, background=bank([1.0]), noise=noise)
    np.testing.assert_allclose(effects.by_draw, np.tile([[1.0], [101.0**2]], (1, 5)), rtol=1e-5)
    np.testing.assert_allclose(effects.actions, np.full((1, 5), 50.0))
    with pytest.raises(ValueError, match="leading axis draws = 2"):
        found(sampling, noise=jnp.zeros(3))


@pytest.mark.parametrize("micro_batch", [1, 4, 100])
def test_micro_batches_change_nothing(micro_batch):
    config = EffectsConfig(draws=3, tint=True, views=True)
    whole = found(interacting, config=config)
    split = found(interacting, config=dataclasses.replace(config, micro_batch=micro_batch))
    np.testing.assert_allclose(split.by_draw, whole.by_draw, rtol=1e-6)
    np.testing.assert_allclose(split.beside["tint"], whole.beside["tint"], rtol=1e-6)


def test_one_program_for_frames_of_one_shape_and_number_of_players():
    found()
    frame = {view: jnp.full((SIZE, SIZE, 3), 0.3) for view in LABELS}
    labels = {view: jnp.asarray(RNG.integers(-1, 5, (SIZE, SIZE)), jnp.int32) for view in LABELS}
    with traced_at_most(0, player_attribution, "make_scene"):
        found(frame=frame, players=Players(labels, names=PLAYERS.names), key=jax.random.key(7))
        found(players=Players(LABELS, names=("v", "w", "x", "y", "z")), background=bank([5.0, 6.0]))
        found(players=Players(labels, names=(*PLAYERS.names, "one more, that no pixel shows")))
    many = {view: jnp.asarray(RNG.integers(0, 9, (SIZE, SIZE)), jnp.int32) for view in LABELS}
    with traced_at_most(1, player_attribution, "make_scene"):
        found(players=Players(many, names=tuple("abcdefghi")))


def test_jit_and_vmap_with_players_made_inside():
    images = {view: jnp.asarray(RNG.random((2, SIZE, SIZE, 3)), jnp.float32) for view in LABELS}
    donors = bank([0.5, 1.0])
    config = EffectsConfig(draws=2)

    def explain(frame):
        players = iss_jax.players.by_appearance(frame, most=3)
        return attribute_players(additive, frame, players, donors, config=config)

    batch = jax.jit(explain)(images)
    mapped = jax.vmap(explain)(images)
    assert isinstance(mapped, Effects) and mapped.by_draw.shape == (2, 2, 3)
    for row in range(2):
        alone = explain({view: image[row] for view, image in images.items()})
        for both in (batch, mapped):
            np.testing.assert_allclose(both.by_draw[row], alone.by_draw, rtol=1e-5)
            np.testing.assert_array_equal(
                both.players.labels["front"][row], alone.players.labels["front"]
            )


def test_gradients_equal_finite_differences():
    images = {view: jnp.asarray(RNG.random((SIZE, SIZE, 3)), jnp.float32) for view in LABELS}

    def effect(scale):
        frame = {view: image * scale for view, image in images.items()}
        return found(interacting, frame=frame).effects.sum()

    slope = jax.grad(effect)(1.0)
    step = 1e-2
    np.testing.assert_allclose(slope, (effect(1 + step) - effect(1 - step)) / (2 * step), rtol=1e-2)


def test_devices_change_nothing_but_rounding():
    frames = {view: jnp.asarray(RNG.random((3, SIZE, SIZE, 3)), jnp.float32) for view in LABELS}
    players = Players({v: jnp.stack([own] * 3) for v, own in LABELS.items()}, names=PLAYERS.names)
    config = EffectsConfig(draws=3, tint=True, views=True, estimator="banzhaf")
    options = {"frame": frames, "players": players, "config": config}
    one = found(interacting, **options)
    for mesh in (iss_jax.device_mesh(), iss_jax.device_mesh(frames=2)):
        several = found(interacting, mesh=mesh, **options)
        np.testing.assert_allclose(several.by_draw, one.by_draw, rtol=1e-5)
        # A square of small differences: rounding of the actions shows.
        np.testing.assert_allclose(several.beside["tint"], one.beside["tint"], rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(several.actions, one.actions, rtol=1e-6)
        np.testing.assert_array_equal(several.moved, one.moved)


def test_actions_are_chosen_as_for_saliency():
    config = EffectsConfig(draws=2, action_dims=(1, 4), reduction="sum")
    effects = found(config=config)
    np.testing.assert_allclose(effects.effects, [0, 5, 0, 0, 5])
    weighted = dataclasses.replace(config, action_weights=(1.0, 3.0))
    np.testing.assert_allclose(found(config=weighted).effects, [0, 5, 0, 0, 15])
    assert found(config=weighted).unit.startswith("weighted sum of the squared error")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame": {}}, "at least one view"),
        ({"frame": FRAME | {"wrist": jnp.zeros((1, SIZE, SIZE, 3))}}, "got ranks"),
        ({"present": {"left": True}}, r"present name views \['left'\]"),
        (
            {"players": {"front": jnp.zeros((SIZE, 9), jnp.int32)}},
            r"players of 'front' must be \[1, 8, 8\].*\[1, 8, 9\]",
        ),
        (
            {"background": {v: jnp.zeros((1, 9, 9, 3)) for v in LABELS}},
            "background: images must be as large as the frames",
        ),
        ({"key": jax.random.split(KEY, 2)}, r"key must be one key or \[1\] keys, got \[2\]"),
        (
            {"groups": Groups(jnp.zeros(2, int), jnp.zeros(2, int))},
            r"groups.episode must be \[1\], got \[2\]",
        ),
        ({"policy": lambda images: additive(images)[:, 0]}, r"actions \[n, H, A\]"),
    ],
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        found(**options)
