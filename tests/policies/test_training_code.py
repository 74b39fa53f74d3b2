"""Saliency on openpi's training state: nnx states, sharded parameters, jit, a callback."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from openpi_standins import SIZES, random_observation, random_params, train_state

import iss_jax
from iss_jax import Background, EffectsConfig, ISSConfig
from iss_jax.pi05.observation import VIEWS
from iss_jax.policies.callback import mean_stderr
from iss_jax.policies.openpi import saliency_callback
from iss_jax.sampling import Sampling
from iss_jax.viz.tensorboard import TensorboardLog

OPTIONS = {
    "config": ISSConfig(num_masks=6, micro_batch=7),
    "action_horizon": 3,
    "sampling": Sampling(2),
}
OBS = random_observation(2)
PARAMS, AVERAGED = random_params(0), random_params(1)


@functools.cache
def expected(which):
    return iss_jax.saliency(PARAMS if which == "params" else AVERAGED, OBS, **OPTIONS)


def same(found, wanted):
    size = float(np.abs(wanted.effects).max())
    np.testing.assert_allclose(found.effects, wanted.effects, rtol=1e-4, atol=1e-4 * size)
    np.testing.assert_allclose(found.cells, wanted.cells, rtol=1e-3, atol=1e-4 * size)


def fully_sharded(state):
    """openpi's layout: the largest axis that the devices divide, on a (batch, fsdp) mesh."""
    mesh = Mesh(np.asarray(jax.devices()[:8]).reshape(2, 4), ("batch", "fsdp"))

    def place(leaf):
        spec = [None] * jnp.ndim(leaf)
        fitting = [axis for axis, size in enumerate(jnp.shape(leaf)) if size % 4 == 0]
        if len(spec) > 1 and fitting:
            spec[max(fitting, key=jnp.shape(leaf).__getitem__)] = "fsdp"
        return jax.device_put(leaf, NamedSharding(mesh, P(*spec)))

    return jax.tree.map(place, state), mesh


@pytest.mark.parametrize("which", ["params", "ema_params"])
def test_training_state_outside_and_inside_jit(which):
    state = train_state(PARAMS, AVERAGED)
    assert isinstance(getattr(state, which), nnx.State)
    same(iss_jax.saliency(getattr(state, which), OBS, **OPTIONS), expected(which))
    step = jax.jit(lambda state, obs: iss_jax.saliency(getattr(state, which), obs, **OPTIONS))
    same(step(state, OBS), expected(which))


def test_fully_sharded_parameters_on_eight_devices():
    state, mesh = fully_sharded(train_state(PARAMS))
    leaves = jax.tree.leaves(state.params)
    split = [leaf for leaf in leaves if not leaf.sharding.is_fully_replicated]
    assert len(split) > len(leaves) // 2
    assert all(len(leaf.sharding.device_set) == 8 for leaf in leaves)
    # A batch as openpi's data loader places it; then a jitted step with the state's own shardings.
    rows = NamedSharding(mesh, P("batch"))
    obs = jax.tree.map(lambda leaf: jax.device_put(leaf, rows), OBS)
    same(iss_jax.saliency(state.params, obs, **OPTIONS), expected("params"))
    shardings = jax.tree.map(lambda leaf: leaf.sharding, state)

    @functools.partial(jax.jit, in_shardings=(shardings, rows))
    def measured(state, obs):
        return iss_jax.saliency(state.params, obs, **OPTIONS)

    same(measured(state, obs), expected("params"))


def test_players_inside_a_training_step_on_eight_devices():
    """A jitted step of sharded state: a gradient, new parameters, and the effects of players."""
    state, mesh = fully_sharded(train_state(PARAMS))
    rows = NamedSharding(mesh, P("batch"))
    obs = jax.tree.map(lambda leaf: jax.device_put(leaf, rows), OBS)
    background = random_observation(6, seed=1).images
    shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
    options = {key: OPTIONS[key] for key in ("action_horizon", "sampling")}
    options["config"] = EffectsConfig(draws=2, micro_batch=3)

    def effects(params, obs):
        players = iss_jax.players.by_appearance(obs.images, most=4)
        return iss_jax.player_effects(params, obs, players, background, **options)

    @functools.partial(jax.jit, in_shardings=(shardings, rows))
    def train_step(state, obs):
        found = effects(state.params, obs)

        def loss(params):
            return sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(params))

        grads = jax.grad(loss)(state.params)
        params = jax.tree.map(lambda leaf, slope: leaf - 0.01 * slope, state.params, grads)
        return state.replace(params=params, step=state.step + 1), found

    stepped, found = train_step(state, obs)
    assert int(stepped.step) == 1
    wanted = effects(PARAMS, OBS)
    size = float(wanted.by_draw.max())
    np.testing.assert_allclose(found.by_draw, wanted.by_draw, rtol=1e-3, atol=1e-4 * size)
    np.testing.assert_allclose(found.share.sum(-1), 1.0, rtol=1e-5)
    for view in VIEWS:
        np.testing.assert_array_equal(found.players.labels[view], wanted.players.labels[view])


class Recorder:
    def __init__(self):
        self.calls = []

    def log(self, data, step):
        self.calls.append((step, data))


def test_callback_logs_ratio_area_and_overlays_every_k_steps():
    size = SIZES.image.image_size
    labels = np.zeros((2, size, size), np.uint8)
    labels[:, : size // 2] = 2
    regions = dict.fromkeys(VIEWS, labels)
    recorder = Recorder()
    callback = saliency_callback(
        recorder, OBS, every=2, regions=regions, k=20, picture=lambda a: ("image", a), **OPTIONS
    )
    state = train_state(PARAMS)

    @jax.jit
    def train_step(state):
        params = jax.tree.map(lambda leaf: leaf * 0.9, state.params)
        return state.replace(params=params, step=state.step + 1)

    for step in range(3):
        returned = callback(state, step)
        assert (returned is None) == (step == 1)
        state = train_step(state)
    assert [step for step, _ in recorder.calls] == [0, 2]
    first, last = (data for _, data in recorder.calls)
    found = expected("params")
    ratio = float(iss_jax.nuisance_mass_ratio(found, regions, k=20).mean())
    assert first["iss/nmr_at_20"] == pytest.approx(ratio, abs=1e-6)
    assert first["iss/nuisance_area"] == pytest.approx(0.5)
    assert first["iss/excess_at_20"] == pytest.approx(ratio - 0.5, abs=1e-6)
    assert first["iss/effect"] == pytest.approx(float(found.effects.mean()), rel=1e-4)
    kind, image = first["iss/overlay_1"]
    # The picture of `Saliency.plot`: all views side by side, larger than their frames.
    assert kind == "image" and image.dtype == np.uint8 and image.shape[2:] == (3,)
    assert image.shape[0] > size and image.shape[1] > 3 * size and np.ptp(image) > 100
    assert first["iss/told_apart"] == pytest.approx(float(found.told_apart.mean()), abs=1e-6)
    assert last["iss/effect"] != first["iss/effect"]


def test_callback_logs_shares_by_name_nmr_by_effect_and_what_the_policy_acts_on():
    size = SIZES.image.image_size
    labels = np.zeros((2, size, size), np.uint8)
    labels[:, : size // 2] = 2
    regions = dict.fromkeys(VIEWS, labels)
    bank = Background(
        random_observation(5, seed=1).images,
        regions=dict.fromkeys(VIEWS, np.resize(labels, (5, size, size))),
    )
    players = iss_jax.players.from_instances(regions, {0: "table", 2: "bowl"})
    recorder = Recorder()
    config = EffectsConfig(draws=3, micro_batch=7, action_dims=7)
    callback = saliency_callback(
        recorder,
        OBS,
        every=1,
        regions=regions,
        overlays=1,
        players=players,
        background=bank,
        effects_config=config,
        **OPTIONS,
    )
    callback(train_state(PARAMS), 0)
    ((_, logged),) = recorder.calls
    options = {key: OPTIONS[key] for key in ("action_horizon", "sampling")}
    found = iss_jax.player_effects(PARAMS, OBS, players, bank, config=config, **options)
    for number, name in enumerate(("table", "bowl")):
        wanted = float(found.share[:, number].mean())
        assert logged[f"iss/share/{name}"] == pytest.approx(wanted, rel=1e-4)
    assert logged["iss/players/effect"] == pytest.approx(float(found.effects.sum(-1).mean()))
    assert logged["iss/players/share_stderr"] == pytest.approx(
        float(found.share_stderr.mean()), rel=1e-3
    )
    by_effect = iss_jax.nmr_by_effect(
        PARAMS,
        OBS,
        {view: jnp.asarray(own, jnp.int32) for view, own in regions.items()},
        bank,
        config=EffectsConfig(draws=4, like_for_like=True, micro_batch=7, action_dims=7),
        chance=False,
        **options,
    )
    assert logged["iss/nmr_by_effect"] == pytest.approx(float(by_effect.share.mean()), rel=1e-4)
    wanted = float(np.sqrt(np.square(by_effect.stderr).sum()) / 2)
    assert logged["iss/nmr_by_effect_stderr"] == pytest.approx(wanted, rel=1e-3)
    picture = logged["iss/acts_on_0"]
    assert picture.dtype == np.uint8 and picture.ndim == 3 and np.ptp(picture) > 100
    assert "iss/acts_on_1" not in logged and "iss/overlay_0" in logged


def test_callback_prefers_averaged_parameters_and_takes_trees():
    recorder = Recorder()
    callback = saliency_callback(recorder, OBS, every=1, overlays=0, **OPTIONS)
    found = callback(train_state(PARAMS, AVERAGED), 0)
    assert set(found) == {"iss/effect", "iss/stderr", "iss/told_apart"}
    assert found["iss/effect"] == pytest.approx(
        float(expected("ema_params").effects.mean()), rel=1e-4
    )
    tree = callback(PARAMS, 1)
    assert tree["iss/effect"] == pytest.approx(float(expected("params").effects.mean()), rel=1e-4)
    with pytest.raises(ValueError, match="every"):
        saliency_callback(recorder, OBS, every=0)
    with pytest.raises(ValueError, match="side"):
        saliency_callback(recorder, OBS, every=1, regions={"side": np.zeros((1, 2, 2))})


def test_mean_stderr_is_over_cells_that_were_measured():
    gone = dataclasses.replace(
        OBS, image_masks=OBS.image_masks | {VIEWS[1]: jnp.array([True, False])}
    )
    callback = saliency_callback(Recorder(), gone, every=1, overlays=0, **OPTIONS)
    found = iss_jax.saliency(PARAMS, gone, **OPTIONS)
    errors = [found.stderr[0], found.stderr[1, 0], found.stderr[1, 2]]
    wanted = np.concatenate([np.ravel(error) for error in errors])
    assert np.isfinite(wanted).all() and (wanted > 0).all()
    assert callback(PARAMS, 0)["iss/stderr"] == pytest.approx(wanted.mean(), rel=1e-4)
    half = found.stderr.at[0].set(jnp.inf).at[1, 0].set(3.0).at[1, 2].set(1.0)
    assert mean_stderr(dataclasses.replace(found, stderr=half)) == pytest.approx(2.0)
    assert np.isnan(mean_stderr(dataclasses.replace(found, stderr=jnp.full_like(half, jnp.inf))))


def test_tensorboard_reads_back_what_was_logged(tmp_path):
    with TensorboardLog(tmp_path) as log:
        log.log({"iss/nmr_at_10": 0.25, "iss/overlay_0": np.full((4, 6, 3), 7, np.uint8)}, step=3)
        with pytest.raises(ValueError, match="iss/map"):
            log.log({"iss/map": np.zeros((2, 2))}, step=4)
    (file,) = tmp_path.glob("events.out.tfevents.*")
    from tensorboardX.proto.event_pb2 import Event

    data, events = file.read_bytes(), []
    while data:  # TFRecord: length, its checksum, the event, its checksum
        length = int.from_bytes(data[:8], "little")
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[12 + length + 4 :]
    values = {v.tag: (event.step, v) for event in events for v in event.summary.value}
    step, scalar = values["iss/nmr_at_10"]
    assert (step, scalar.simple_value) == (3, 0.25)
    image = values["iss/overlay_0"][1].image
    assert (image.height, image.width) == (4, 6) and image.encoded_image_string[:4] == b"\x89PNG"


def test_what_a_measurement_warns_of_is_said_once():
    head = PARAMS["PaliGemma"]["img"]["head"]
    image = PARAMS["PaliGemma"]["img"] | {"head": jax.tree.map(jnp.zeros_like, head)}
    fresh = PARAMS | {"PaliGemma": PARAMS["PaliGemma"] | {"img": image}}
    callback = saliency_callback(Recorder(), OBS, every=1, overlays=0, **OPTIONS)
    # Python itself shows a warning again whenever its filters have been touched.
    with pytest.warns(UserWarning) as caught:
        for step in range(3):
            logged = callback(fresh, step)
            assert logged is not None and logged["iss/effect"] == 0
    assert ["identically zero" in str(one.message) for one in caught] == [True]


def test_nothing_that_goes_wrong_ends_a_training_run():
    """Rows without any view, as openpi's debug data has them, and a writer that fails."""
    blind = dataclasses.replace(
        OBS, image_masks={view: np.zeros(len(OBS.state), bool) for view in OBS.images}
    )
    recorder = Recorder()
    regions = {view: np.full(np.shape(x)[:3], 255) for view, x in OBS.images.items()}
    assert saliency_callback(recorder, blind, every=1, **OPTIONS)(PARAMS, 0) is not None
    callback = saliency_callback(recorder, OBS, every=1, regions=regions, overlays=0, **OPTIONS)
    with pytest.warns(UserWarning, match="NMR could not be had, training goes on.*255") as caught:
        for step in range(2):
            assert callback(PARAMS, step) is not None
    assert sum("NMR could not" in str(w.message) for w in caught) == 1

    class Broken:
        def log(self, data, /, step):
            raise OSError("disk full")

    callback = saliency_callback(Broken(), OBS, every=1, overlays=0, **OPTIONS)
    with pytest.warns(UserWarning, match="the writer could not be had.*disk full"):
        callback(PARAMS, 0)
    callback = saliency_callback(recorder, OBS, every=1, overlays=0, **OPTIONS)
    with pytest.warns(UserWarning, match="the map could not be had.*leaf"):
        assert callback({"no": "policy"}, 0) is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_stepz": 2}, "num_stepz.*action_horizon"),
        ({"config": {}}, "config must be ISSConfig"),
        ({"effects_config": ISSConfig()}, "effects_config must be EffectsConfig"),
        ({"every": 2.5}, "every must be an integer"),
        ({"k": 0}, "k must be"),
        ({"overlays": -1}, "overlays must be"),
    ],
)
def test_what_cannot_be_is_said_when_the_callback_is_made(wrong, message):
    with pytest.raises((TypeError, ValueError), match=message):
        saliency_callback(Recorder(), OBS, **({"every": 1} | OPTIONS | wrong))
    with pytest.raises(TypeError, match="writer must have log"):
        saliency_callback(None, OBS, every=1, **OPTIONS)
