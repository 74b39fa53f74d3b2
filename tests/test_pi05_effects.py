"""Effects of players on π0.5: the policy's own runs, in any order, on any device."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from embedded_scene import scene
from openpi_standins import SIZES, random_observation, random_params
from traces import traced_at_most

import iss_jax
from iss_jax import Background, EffectsConfig, pi05_effects, player_effects
from iss_jax.effect_reasons import NO_DONOR
from iss_jax.flops import jaxpr_flops
from iss_jax.pi05 import flops, model, params as pi05
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.players import Players, from_regions
from iss_jax.sampling import Sampling

RNG = np.random.default_rng(0)
SIZE, HORIZON, DRAWS = SIZES.image.image_size, 3, 2
PARAMS = random_params()
OBS = random_observation(2)
LABELS = {view: jnp.asarray(RNG.integers(0, 3, (2, SIZE, SIZE)), jnp.int32) for view in VIEWS}
PLAYERS = Players(LABELS, names=("a", "b", "c"))
BANK = Background(
    {v: jnp.asarray(2 * RNG.random((5, SIZE, SIZE, 3)) - 1, jnp.float32) for v in VIEWS},
    regions={v: jnp.asarray(RNG.integers(0, 3, (5, SIZE, SIZE)), jnp.int32) for v in VIEWS},
    episode=jnp.arange(5),
)
CONFIG = EffectsConfig(draws=DRAWS)


def run(obs=OBS, players=PLAYERS, background=BANK, params=PARAMS, **options):
    given = {"config": CONFIG, "action_horizon": HORIZON, "sampling": Sampling(2)} | options
    return player_effects(params, obs, players, background, **given)


def same(found, wanted, rtol=2e-4):
    size = float(np.abs(wanted.by_draw).max())
    np.testing.assert_allclose(found.by_draw, wanted.by_draw, rtol=rtol, atol=rtol * size)
    np.testing.assert_allclose(found.actions, wanted.actions, rtol=rtol, atol=1e-5)
    np.testing.assert_allclose(found.moved, wanted.moved, rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def expected():
    return run()


def test_it_equals_the_policy_on_a_frame_that_is_replaced_by_hand():
    """The embedded policy and episodes: each region of one draw, pasted into uint8 frames."""
    policy, obs, images, regions, background = scene()
    noise = jnp.asarray(RNG.normal(size=(1, DRAWS, 16, 32)), jnp.float32)
    noise = noise[..., : pi05.sizes_of(policy.params).action_dim]
    sampling = Sampling(2)
    config = EffectsConfig(draws=DRAWS, action_dims=7)
    found = player_effects(
        policy.params,
        obs,
        from_regions(regions),
        background,
        config=config,
        noise=noise,
        sampling=sampling,
    )
    sample = jax.jit(model.sample_actions, static_argnames="sampling")

    def acted(changed, draw):
        own = dataclasses.replace(obs, images=changed)
        prepared = preprocess(own, policy.image_size)
        return np.asarray(sample(policy.params, prepared, noise[:, draw], sampling=sampling))[0]

    for draw, donor in enumerate(np.asarray(found.donors)[0].tolist()):
        baseline = acted(obs.images, draw)
        for number in range(3):
            changed = dict(obs.images)
            for view, image in images.items():
                gone = regions[view][..., None] == number
                pasted = np.where(gone, np.asarray(background.images[view])[donor], image)
                changed[view] = jnp.asarray(pasted)
            moved = np.square(acted(changed, draw) - baseline)[:, :7].mean()
            assert np.sqrt(found.by_draw[0, draw, number]) == pytest.approx(
                np.sqrt(moved), abs=1e-5
            )
    assert found.effects.min() > 1e-7 and found.floor.max() < 1e-10


def test_baselines_are_the_policys_own_samples(expected):
    noise = jnp.asarray(RNG.normal(size=(2, DRAWS, HORIZON, 8)), jnp.float32)
    found = run(noise=noise, action_horizon=None)
    prepared = preprocess(OBS, SIZE)
    sample = jax.jit(model.sample_actions, static_argnames="sampling")
    own = [sample(PARAMS, prepared, noise[:, d], sampling=Sampling(2)) for d in range(DRAWS)]
    np.testing.assert_allclose(found.actions, sum(own) / DRAWS, atol=1e-5)
    assert not np.allclose(found.actions, expected.actions)


def test_the_same_inputs_give_the_same(expected):
    jax.tree.map(np.testing.assert_array_equal, run(), expected)
    jax.tree.map(np.testing.assert_array_equal, run(key=jax.random.key(0)), expected)
    assert not np.array_equal(run(key=jax.random.key(1)).by_draw, expected.by_draw)


def rows_of(tree, *rows):
    return jax.tree.map(lambda leaf: leaf[np.array(rows)], tree)


def test_one_key_gives_every_row_the_same_noise_and_donors_and_keys_each_its_own():
    obs, players = rows_of(OBS, 0, 0, 0), rows_of(PLAYERS, 0, 0, 0)
    shared = run(obs, players)
    np.testing.assert_allclose(shared.by_draw[1:], shared.by_draw[:-1], rtol=1e-4)
    np.testing.assert_array_equal(shared.donors[1], shared.donors[0])
    keys = jax.random.split(jax.random.key(5), 3)
    config = EffectsConfig(draws=DRAWS, estimator="banzhaf", pairs=2)
    each = run(obs, players, key=keys, config=config)
    assert len({tuple(row) for row in np.asarray(each.donors).tolist()}) > 1
    for row in range(3):
        alone = run(rows_of(OBS, 0), rows_of(PLAYERS, 0), key=keys[row], config=config)
        np.testing.assert_allclose(alone.by_draw[0], each.by_draw[row], rtol=1e-3, atol=1e-8)
        np.testing.assert_array_equal(alone.donors[0], each.donors[row])
        np.testing.assert_allclose(alone.actions[0], each.actions[row], atol=1e-5)


def test_a_batch_equals_a_loop(expected):
    for row in range(2):
        alone = run(rows_of(OBS, row), rows_of(PLAYERS, row))
        same(alone, rows_of(expected, row))


def test_jit_and_vmap_with_players_made_inside():
    def explain(obs):
        players = iss_jax.players.by_appearance(obs.images, most=3)
        return run(obs, players)

    eager = explain(OBS)
    same(jax.jit(explain)(OBS), eager)
    mapped = jax.vmap(explain)(jax.tree.map(lambda leaf: leaf[:, None], OBS))
    np.testing.assert_allclose(mapped.by_draw[:, 0], eager.by_draw, rtol=1e-3, atol=1e-8)
    assert eager.players.centres.shape == (2, 3, 5)


def test_one_program_for_frames_of_one_shape_and_number_of_players(expected):
    with traced_at_most(0, pi05_effects, "make_scene"):
        images = {view: 0.9 * image for view, image in OBS.images.items()}
        shorter = jnp.broadcast_to(jnp.arange(16) < 7, (2, 16))
        other = dataclasses.replace(OBS, images=images, tokenized_prompt_mask=shorter)
        names = Players({v: (own + 1) % 3 for v, own in LABELS.items()}, names=("x", "y", "z"))
        run(other, names, key=jax.random.key(3))
        run(players=Players(LABELS, names=("a", "b", "c", "no pixel")))
    two = {view: jnp.minimum(own, 1) for view, own in LABELS.items()}
    with traced_at_most(1, pi05_effects, "make_scene"):
        run(players=Players(two, names=("a", "b", "c")))


@pytest.mark.parametrize("micro_batch", [1, 3])
def test_micro_batches_change_nothing_but_rounding(expected, micro_batch):
    same(run(config=dataclasses.replace(CONFIG, micro_batch=micro_batch)), expected)


def test_devices_change_nothing_but_rounding(expected):
    for mesh in (iss_jax.device_mesh(), iss_jax.device_mesh(frames=2)):
        same(run(mesh=mesh), expected)


@pytest.mark.parametrize("traced", [False, True])
def test_an_absent_view_takes_part_in_nothing(traced):
    def absent(pixels, label):
        view = VIEWS[1]
        full = jnp.full((2, SIZE, SIZE, 3), pixels, jnp.float32)
        obs = dataclasses.replace(
            OBS,
            images=OBS.images | {view: full},
            image_masks=OBS.image_masks | {view: jnp.zeros(2, bool)},
        )
        labels = LABELS | {view: jnp.full((2, SIZE, SIZE), label, jnp.int32)}
        call = jax.jit(run) if traced else run
        return call(obs, Players(labels, names=PLAYERS.names))

    found, other = absent(0.3, 0), absent(-0.9, 2)
    same(other, found)
    np.testing.assert_array_equal(other.area, found.area)
    if traced:
        assert (np.asarray(found.players.labels[VIEWS[1]]) == -1).all()
    else:
        assert VIEWS[1] not in found.players.labels


def test_padding_takes_part_in_nothing():
    """Frames of 56 x 28: the model's middle 14 columns. Labels come at either size."""
    tall = {v: jnp.asarray(255 * RNG.random((2, 2 * SIZE, SIZE, 3)), jnp.uint8) for v in VIEWS}
    labels = {v: jnp.asarray(RNG.integers(0, 3, (2, 2 * SIZE, SIZE))) for v in VIEWS}
    donors = Background({v: i[:, ::-1] for v, i in tall.items()})
    obs = dataclasses.replace(OBS, images=tall)
    found = run(obs, Players(labels, names=PLAYERS.names), donors)
    for own in found.players.labels.values():
        assert (np.asarray(own)[:, :, 7:21] >= 0).all()
        assert (np.asarray(own)[:, :, :7] == -1).all() and (np.asarray(own)[:, :, 21:] == -1).all()
    # Labels in the padding are ignored.
    at_size = {v: jnp.where(own < 0, 2, own) for v, own in found.players.labels.items()}
    again = run(obs, Players(at_size, names=PLAYERS.names), donors)
    same(again, found)
    np.testing.assert_array_equal(again.area, found.area)
    np.testing.assert_allclose(found.area.sum(-1), 0.5)


def test_pixels_that_the_caller_calls_no_picture_are_no_player():
    inside = np.ones((2, SIZE, SIZE), bool)
    inside[:, :8] = False
    valid = dict.fromkeys(VIEWS, inside)
    noisy = {v: own.at[:, :8].set(1) for v, own in LABELS.items()}
    found = run(valid=valid)
    same(run(players=Players(noisy, names=PLAYERS.names), valid=valid), found)
    assert (np.asarray(found.players.labels[VIEWS[0]])[:, :8] == -1).all()
    assert float(found.area.sum(-1)[0]) == pytest.approx(20 / 28)


def test_prompts_lie_beside_the_players_under_their_own_names():
    """Not in the order of the alphabet; one is the frame's own and moves nothing."""
    shape = (2, DRAWS, OBS.tokenized_prompt.shape[1])
    own = jnp.broadcast_to(OBS.tokenized_prompt[:, None], shape)
    mask = jnp.broadcast_to(OBS.tokenized_prompt_mask[:, None], shape)
    other = jnp.asarray(RNG.integers(1, 32, shape), jnp.int32)
    found = run(prompts={"prompt": (other, mask), "copy": (own, mask)})
    assert set(found.beside) == {"prompt", "copy"}
    assert float(jnp.abs(found.beside["copy"]).max()) < 1e-10
    assert float(found.beside["prompt"].min()) > 1e-8


def test_like_for_like_replaces_regions_by_their_own(expected):
    config = EffectsConfig(draws=DRAWS, like_for_like=True)
    alike = run(players=from_regions(LABELS), config=config, regions=LABELS)
    assert not np.allclose(alike.by_draw, expected.by_draw)
    # Donors whose labels are the frame's everywhere are taken whole.
    labelled = dataclasses.replace(
        BANK, regions={v: jnp.zeros((5, SIZE, SIZE), jnp.int32) for v in VIEWS}
    )
    nothing = {v: jnp.zeros((2, SIZE, SIZE), jnp.int32) for v in VIEWS}
    whole = run(background=labelled, config=config, regions=nothing)
    same(whole, expected)


def test_a_frame_without_a_donor_says_so_under_jit():
    groups = iss_jax.Groups(jnp.array([0, 3]), jnp.array([0, 0]))
    bank = dataclasses.replace(BANK, episode=jnp.zeros(5, int))
    found = jax.jit(lambda groups: run(background=bank, groups=groups))(groups)
    np.testing.assert_array_equal(found.reason, [NO_DONOR, 0])


def test_sixteen_runs_of_the_released_sizes_lower_from_shapes_and_cost_a_sixth_of_the_papers():
    """Three regions, four draws, and the frame once more: 17 runs against 101."""
    released = pi05.unflatten(
        {
            path: jax.ShapeDtypeStruct(shape, jnp.bfloat16)
            for path, shape in pi05.shapes(pi05.PI05).items()
        }
    )
    side = pi05.PI05.image.image_size

    def shapes_of(*shape, dtype):
        return {view: jax.ShapeDtypeStruct((*shape, side, side, 3), dtype) for view in VIEWS}

    obs = Observation(
        images=shapes_of(1, dtype=jnp.uint8),
        image_masks={view: jax.ShapeDtypeStruct((1,), jnp.bool_) for view in VIEWS},
        state=jax.ShapeDtypeStruct((1, 32), jnp.float32),
        tokenized_prompt=jax.ShapeDtypeStruct((1, 200), jnp.int32),
        tokenized_prompt_mask=jax.ShapeDtypeStruct((1, 200), jnp.bool_),
    )
    regions = {view: jax.ShapeDtypeStruct((1, side, side), jnp.uint8) for view in VIEWS}

    def explain(params, obs, regions, donors):
        config = EffectsConfig(draws=4, micro_batch=17)
        players = from_regions(regions)
        return player_effects(params, obs, players, donors, config=config, action_horizon=50)

    donors = shapes_of(64, dtype=jnp.uint8)
    traced = jax.jit(explain).trace(released, obs, regions, donors)
    traced.lower(lowering_platforms=("cuda",))
    copy = flops.masked_copy_flops(pi05.PI05, valid_tokens=200, rows=17)
    counted = jaxpr_flops(traced.jaxpr.jaxpr)
    assert counted / copy.total == pytest.approx(17, rel=2e-3)
    paper = 101 * flops.masked_copy_flops(pi05.PI05, valid_tokens=200, rows=34).total
    assert counted / paper == pytest.approx(17 / 101, rel=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"players": {"left": jnp.zeros((2, 4, 4), int)}}, r"players name views \['left'\]"),
        (
            {"players": {VIEWS[0]: jnp.zeros((2, 9, 9), int)}},
            r"must be \[2, 28, 28\] like its images or \[2, 28, 28\] like the model's.*\[2, 9, 9\]",
        ),
        ({"prompts": {"p": (np.full((2, 2, 40), -5), np.ones((2, 2, 40)))}}, r"prompts\['p'\]"),
        (
            {"prompts": {"p": "push"}},
            r"prompts\['p'\] must be tokens, mask .*, got str",
        ),
        ({"noise": jnp.zeros((2, 5, 3, 8))}, r"noise must be .*\[2, 2, 3, 8\]; got \[2, 5, 3, 8\]"),
        ({"key": jax.random.split(jax.random.key(0), 3)}, r"one key or \[2\] keys, got \[3\]"),
        ({"background": None}, "fill 'background' needs a background"),
        ({"background": {VIEWS[0]: jnp.zeros((2, 4, 4, 3))}}, "background: no images of"),
    ],
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        run(**options)
