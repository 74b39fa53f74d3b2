import dataclasses
import math
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from traces import traced_at_most

import iss_jax
from iss_jax import pi05_saliency
from iss_jax.config import ISSConfig
from iss_jax.flops import count_flops
from iss_jax.masks import sample_masks
from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.pi05.params import PI05, Expert, ImageTower, shapes, unflatten
from iss_jax.sampling import Sampling

SIZES = dataclasses.replace(
    PI05,
    image=ImageTower(width=8, depth=1, mlp=16, heads=2, patch=14, tokens=4),
    vlm=Expert(width=16, mlp=24),
    action=Expert(width=12, mlp=16),
    depth=2,
    heads=2,
    head_dim=8,
    vocab=32,
    action_dim=5,
)
SIZE = 28
HORIZON = 3
RNG = np.random.default_rng(0)
NOISE = jnp.asarray(RNG.normal(size=(2, HORIZON, 5)), jnp.float32)
CONFIG = ISSConfig(num_masks=8, micro_batch=4)


def observation(**changes):
    """Two examples; the second has a shorter prompt."""
    fields = {
        "images": {view: RNG_IMAGES[view] for view in VIEWS},
        "image_masks": {view: np.ones(2, bool) for view in VIEWS},
        "state": np.zeros((2, 5), np.float32),
        "tokenized_prompt": PROMPT,
        "tokenized_prompt_mask": np.arange(40)[None] < np.array([[11], [7]]),
    }
    return types.SimpleNamespace(**(fields | changes))


RNG_IMAGES = {view: (2 * RNG.random((2, SIZE, SIZE, 3)) - 1).astype(np.float32) for view in VIEWS}
PROMPT = RNG.integers(1, 32, (2, 40)).astype(np.int32)


@pytest.fixture(scope="module")
def params():
    """Every leaf random, so that nothing is closed or zero."""
    flat = {
        path: np.float32(0.4) * RNG.normal(size=shape).astype(np.float32)
        + np.float32(path.endswith("scale") and "/img/" in path)
        for path, shape in shapes(SIZES).items()
    }
    return unflatten(jax.tree.map(jnp.asarray, flat))


def run(params, obs=None, **options):
    options = {"config": CONFIG, "noise": NOISE, "sampling": Sampling(2)} | options
    return iss_jax.saliency(params, observation() if obs is None else obs, **options)


def same(found, expected, rtol=2e-4):
    atol = rtol * float(np.abs(expected.effects).max())
    np.testing.assert_allclose(found.effects, expected.effects, rtol=rtol, atol=atol)
    np.testing.assert_allclose(found.cells, expected.cells, rtol=rtol, atol=atol)
    np.testing.assert_allclose(found.actions, expected.actions, rtol=rtol, atol=1e-5)
    for view in VIEWS:
        np.testing.assert_allclose(found.maps[view], expected.maps[view], rtol=rtol, atol=atol)


def test_equals_the_golden_made_with_openpi(golden):
    """Effects and maps of openpi's own sample_actions: 32 masks, Eq. 12, end to end."""
    arrays = {
        name: np.load(golden / f"{name}.npz", allow_pickle=False)
        for name in ("tiny_b_params", "obs", "iss_tiny_b")
    }
    obs, wanted = arrays["obs"], arrays["iss_tiny_b"]
    row = slice(int(wanted["row"]), int(wanted["row"]) + 1)
    found = iss_jax.saliency(
        unflatten(dict(arrays["tiny_b_params"])),
        Observation(
            images={view: obs[f"image/{view}"][row] for view in VIEWS},
            image_masks={view: obs[f"image_mask/{view}"][row] for view in VIEWS},
            state=obs["state"][row, :7],
            tokenized_prompt=obs["tokenized_prompt"][row, :64],
            tokenized_prompt_mask=obs["tokenized_prompt_mask"][row, :64],
        ),
        config=ISSConfig.paper(num_masks=32),
        noise=wanted["noise"][None],
        masks=wanted["keep"],
    )
    np.testing.assert_allclose(found.effects[0], wanted["action_mse"], rtol=1e-4)
    np.testing.assert_allclose(found.actions[0], wanted["baseline_actions"], atol=2e-5)
    maps = np.stack([found.maps[view][0, ::4, ::4] for view in VIEWS])
    np.testing.assert_allclose(maps, wanted["saliency_stride4"], rtol=1e-4)


def test_the_users_call_works_exactly_so(params):
    with pytest.warns(UserWarning, match="action_horizon is not given.*50 is taken"):
        sal = iss_jax.saliency(params, observation())
    assert set(sal.maps) == set(VIEWS)
    assert all(m.shape == (2, SIZE, SIZE) and m.dtype == jnp.float32 for m in sal.maps.values())
    assert sal.cells.shape == sal.stderr.shape == (2, 3, 7, 7)
    assert sal.effects.shape == (2, 100) and sal.actions.shape == (2, 50, 5)
    assert sal.masks.shape == (100, 3, 7, 7)
    assert float(jnp.min(sal.effects)) >= 0 and float(jnp.max(sal.effects)) > 0


def test_the_same_inputs_give_the_same_map(params):
    first, second = (run(params, noise=None, action_horizon=4) for _ in range(2))
    keyed = run(params, noise=None, action_horizon=4, key=jax.random.key(0))
    other = run(params, noise=None, action_horizon=4, key=jax.random.key(1))
    np.testing.assert_array_equal(first.effects, second.effects)
    np.testing.assert_array_equal(first.effects, keyed.effects)
    assert first.actions.shape == (2, 4, 5)
    assert not np.array_equal(first.masks, other.masks)
    assert not np.allclose(first.actions, other.actions)


def test_baseline_is_the_policys_own_sample(params):
    found = run(params)
    obs = preprocess(observation(), SIZE)
    sample = jax.jit(model.sample_actions, static_argnames="sampling")
    expected = sample(params, obs, NOISE, sampling=Sampling(2))
    np.testing.assert_allclose(found.actions, expected, atol=1e-5)


def test_every_form_of_the_parameters_gives_the_same(params):
    expected = run(params)
    under_value = jax.tree.map(lambda leaf: {"value": leaf}, params)
    as_variables = jax.tree.map(nnx.Param, params)
    for form in (under_value, {"params": params}, nnx.State(as_variables)):
        np.testing.assert_array_equal(run(form).cells, expected.cells)


def test_jit_of_parameters_and_observation(params):
    """Nothing is concrete inside: no trimming, no view left out, the same numbers."""
    obs = Observation(**vars(observation()))
    expected = run(params, obs)
    same(jax.jit(run)(params, obs), expected)
    state = nnx.State(jax.tree.map(nnx.Param, params))
    same(jax.jit(run)(state, obs), expected)


def test_vmap_over_a_further_axis(params):
    obs = Observation(**vars(observation()))
    apart = jax.tree.map(lambda x: jnp.asarray(x)[:, None], obs)
    found = jax.vmap(lambda o, n: run(params, o, noise=n))(apart, NOISE[:, None])
    expected = run(params, obs)
    np.testing.assert_allclose(found.cells[:, 0], expected.cells, rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(found.effects[:, 0], expected.effects, rtol=1e-3, atol=1e-9)


def test_one_compilation_for_each_shape(params):
    run(params)
    with traced_at_most(0, pi05_saliency, "preprocess"):
        for shift in range(3):
            longer = np.arange(40)[None] < np.array([[9 + shift], [4]])
            images = {view: image * (1 - 0.1 * shift) for view, image in RNG_IMAGES.items()}
            run(params, observation(images=images, tokenized_prompt_mask=longer))
        run(jax.tree.map(lambda leaf: leaf * 1.01, params))
    with traced_at_most(1, pi05_saliency, "preprocess"):
        run(params, config=dataclasses.replace(CONFIG, num_masks=9))


def test_micro_batches_change_nothing(params):
    expected = run(params)
    for size in (1, 5, 32):
        same(run(params, config=dataclasses.replace(CONFIG, micro_batch=size)), expected)


def test_the_all_keep_mask_has_no_effect(params):
    found = run(params, masks=jnp.ones((8, 3, 7, 7), bool))
    assert float(found.effects.max()) < 1e-10
    assert float(run(params).effects.min()) > 1e-8


@pytest.mark.parametrize("traced", [False, True])
def test_an_absent_view_takes_part_in_nothing(params, traced):
    masks = sample_masks(jax.random.key(1), 8, 3, design="balanced")

    def absent(view, pixels, masks):
        image_masks = {v: jnp.full(2, v != view) for v in VIEWS}
        images = RNG_IMAGES | {view: np.full((2, SIZE, SIZE, 3), pixels, np.float32)}
        obs = Observation(**vars(observation(images=images, image_masks=image_masks)))
        call = jax.jit(run) if traced else run
        return call(params, obs, masks=masks)

    view = VIEWS[1]
    found = absent(view, 0.3, masks)
    assert not found.maps[view].any() and not found.cells[:, 1].any()
    assert not found.stderr[:, 1].any() and found.cells[:, [0, 2]].all()
    # Neither its pixels nor its mask bits matter.
    other = absent(view, -0.9, masks.at[:, 1].set(~masks[:, 1]))
    same(other, found)
    if traced:
        eager = run(
            params,
            observation(image_masks={v: np.full(2, v != view) for v in VIEWS}),
            masks=masks,
        )
        same(found, eager)


def test_a_view_may_be_absent_in_one_example_only(params):
    image_masks = {v: np.array([True, v != VIEWS[2]]) for v in VIEWS}
    found = run(params, observation(image_masks=image_masks))
    assert found.maps[VIEWS[2]][0].all() and not found.maps[VIEWS[2]][1].any()
    np.testing.assert_allclose(found.cells[0], run(params).cells[0], rtol=1e-4)


def test_without_any_view_there_is_no_saliency(params):
    found = run(params, observation(image_masks={v: np.zeros(2, bool) for v in VIEWS}))
    assert not any(m.any() for m in found.maps.values())
    assert float(found.effects.max()) < 1e-10 and found.actions.any()


def test_prompt_padding_changes_nothing(params):
    padded = np.concatenate([PROMPT, np.full((2, 60), 3, np.int32)], axis=1)
    mask = np.pad(observation().tokenized_prompt_mask, ((0, 0), (0, 60)))
    found = run(params, observation(tokenized_prompt=padded, tokenized_prompt_mask=mask))
    same(found, run(params))


def test_letterboxed_frames_are_masked_inside_the_picture_only(params):
    """A 56 x 28 frame fills the middle 14 columns of the model's 28."""
    tall = {v: (255 * RNG.random((2, 2 * SIZE, SIZE, 3))).astype(np.uint8) for v in VIEWS}
    found = run(params, observation(images=tall))
    for view in VIEWS:
        saliency = np.asarray(found.maps[view])
        assert saliency[:, :, 7:21].all()
        assert not saliency[:, :, :7].any() and not saliency[:, :, 21:].any()
    # A cell is 4 pixels wide: cells 0 and 6 reach pixels 0..5 and 22..27 only.
    assert not found.cells[..., 0].any() and not found.cells[..., 6].any()
    assert found.cells[..., 1:6].all()


def test_noise_draws_are_averaged(params):
    draws = jnp.asarray(RNG.normal(size=(2, 3, HORIZON, 5)), jnp.float32)
    joint = run(params, noise=draws, config=dataclasses.replace(CONFIG, noise_draws=3))
    single = [run(params, noise=draws[:, i]) for i in range(3)]
    np.testing.assert_allclose(joint.effects, sum(s.effects for s in single) / 3, rtol=1e-4)
    np.testing.assert_allclose(joint.actions, sum(s.actions for s in single) / 3, atol=1e-5)
    twice = dataclasses.replace(CONFIG, noise_draws=2)
    assert run(params, noise=None, config=twice, action_horizon=HORIZON).effects.any()


def test_devices_change_nothing_but_rounding(params):
    same(run(params, mesh=iss_jax.device_mesh(devices=jax.devices()[:4])), run(params))


def test_sharded_parameters_change_nothing_but_rounding(params):
    """Every leaf cut along its longest even axis, as a sharded training run holds it."""
    mesh = Mesh(np.asarray(jax.devices()[:4]).reshape(2, 2), ("batch", "fsdp"))

    def shard(leaf):
        even = [axis for axis in np.argsort(leaf.shape) if leaf.shape[axis] % 2 == 0]
        names = [("fsdp" if even and axis == even[-1] else None) for axis in range(leaf.ndim)]
        return jax.device_put(leaf, NamedSharding(mesh, P(*names)))

    same(run(jax.tree.map(shard, params)), run(params))


def test_a_model_spread_over_devices_gives_the_same(params):
    """Every leaf is split that can be, masks and frames besides."""
    mesh = iss_jax.device_mesh(params=2, frames=2)
    rule = iss_jax.fsdp(mesh, small=2)
    placed = jax.tree.map(lambda leaf: jax.device_put(leaf, rule("", leaf.shape)), params)
    leaves = [(leaf, leaf.addressable_shards[0].data.size) for leaf in jax.tree.leaves(placed)]
    assert sum(held for _, held in leaves) < 0.55 * sum(leaf.size for leaf, _ in leaves)
    same(run(placed, mesh=mesh), run(params))


def test_no_device_ever_holds_the_whole_model():
    """Arguments and temporaries of the compiled program, a device, against the parameters.

    Nearly all of these 25 MB are in layers that eight divides; gathered at once they would be seen.
    """
    vlm, action = Expert(width=256, mlp=2048), Expert(width=16, mlp=16)
    sizes = dataclasses.replace(SIZES, vlm=vlm, action=action, depth=4)
    mesh = iss_jax.device_mesh(params=8)
    rule = iss_jax.fsdp(mesh, small=4096)

    def struct(shape):
        return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=rule("", shape))

    spread = jax.tree.map(struct, shapes(sizes), is_leaf=lambda leaf: isinstance(leaf, tuple))
    program = jax.jit(lambda p: run(p, mesh=mesh)).lower(unflatten(spread)).compile()
    used, total = program.memory_analysis(), 4 * sum(map(math.prod, shapes(sizes).values()))
    assert total > 25e6
    assert total / 8 < used.argument_size_in_bytes < total / 7
    assert used.argument_size_in_bytes + used.temp_size_in_bytes < total / 4


def test_gradients_equal_finite_differences(params):
    """Of all effects, along a random direction of pixels and along the scale of one leaf."""
    obs = Observation(**vars(observation()))
    view, direction = VIEWS[0], RNG.normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)
    leaf = params["action_out_proj"]
    scale = float(run(params, obs).effects.sum())

    def loss(pixels, parameters):
        images = obs.images | {view: obs.images[view] + pixels * direction}
        moved = leaf | {"kernel": leaf["kernel"] * (1.0 + parameters)}
        found = run(params | {"action_out_proj": moved}, obs.replace(images=images))
        return found.effects.sum() / scale

    slopes = jax.jit(jax.grad(loss, argnums=(0, 1)))(0.0, 0.0)
    step = 3e-3
    differences = (
        float(loss(step, 0.0) - loss(-step, 0.0)) / (2 * step),
        float(loss(0.0, step) - loss(0.0, -step)) / (2 * step),
    )
    np.testing.assert_allclose(slopes, differences, rtol=2e-2)
    assert min(map(abs, differences)) > 1e-2


def test_bfloat16_parameters_run_and_agree_roughly(params):
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    found = run(half)
    assert found.effects.dtype == found.actions.dtype == jnp.float32
    expected = np.asarray(run(params).actions)
    np.testing.assert_allclose(found.actions, expected, atol=0.05 * np.abs(expected).max())


SAVINGS = [field.name for field in dataclasses.fields(iss_jax.Savings)]


@pytest.mark.parametrize("name", [*SAVINGS, "all"])
def test_savings_change_nothing_but_rounding(params, name):
    """Each one alone off, and all; with padding, an absent view, and rows that do not fill up."""
    obs = observation(image_masks={view: np.full(2, view != VIEWS[1]) for view in VIEWS})
    changes = dict.fromkeys(SAVINGS, True) if name == "all" else {name: True}
    off = iss_jax.Savings(**{saving: not change for saving, change in changes.items()})
    config = dataclasses.replace(CONFIG, num_masks=9)
    without = run(params, obs, config=config, sampling=Sampling(2, savings=off))
    same(without, run(params, obs, config=config))


@pytest.mark.parametrize("name", SAVINGS)
def test_each_saving_takes_something_off_the_program(params, name):
    """Fewer FLOPs, or fewer bytes where what is saved is memory."""
    obs = observation(image_masks={view: np.full(2, view != VIEWS[1]) for view in VIEWS})
    config = dataclasses.replace(CONFIG, num_masks=25, micro_batch=13)

    def cost(savings):
        def call(params):
            return run(params, obs, config=config, sampling=Sampling(2, savings=savings))

        if name == "blend_in_micro_batch":
            return jax.jit(call).lower(params).compile().memory_analysis().temp_size_in_bytes
        if name == "embed_prompt_once":
            return str(jax.make_jaxpr(call)(params)).count("13,16,16] = gather")
        return count_flops(call, params)

    assert cost(iss_jax.Savings()) < cost(iss_jax.Savings(**{name: False}))


def test_an_untrained_openpi_tree_gives_a_warning(params):
    image_tower = params["PaliGemma"]["img"]
    head = jax.tree.map(jnp.zeros_like, image_tower["head"])
    blind = params | {"PaliGemma": params["PaliGemma"] | {"img": image_tower | {"head": head}}}
    with pytest.warns(UserWarning, match="saliency is identically zero"):
        found = run(blind)
    assert float(found.effects.max()) < 1e-10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": np.zeros((2, 3, 4))}, r"noise must be \[2, 3, 5\].*got \[2, 3, 4\]"),
        ({"action_horizon": 7}, r"noise must be \[2, 7, 5\].*got \[2, 3, 5\]"),
        (
            {"masks": np.ones((8, 2, 7, 7), bool)},
            r"masks must be bool \[n, 3 views.*\[8, 2, 7, 7\]",
        ),
    ],
)
def test_errors_name_the_argument(params, options, message):
    with pytest.raises(ValueError, match=message):
        run(params, **options)


def test_a_missing_view_or_leaf_is_named(params):
    images = {view: RNG_IMAGES[view] for view in VIEWS[:2]}
    for field in ("tokenized_prompt", "tokenized_prompt_mask"):
        with pytest.raises(ValueError, match="tokenized_prompt and tokenized_prompt_mask"):
            run(params, observation(**{field: None}))
    with pytest.raises(ValueError, match="right_wrist_0_rgb"):
        run(params, observation(images=images))
    broken = {name: leaf for name, leaf in params.items() if name != "time_mlp_in"}
    with pytest.raises(ValueError, match="time_mlp_in"):
        run(broken)


def test_nmr_of_a_saliency_leaves_out_what_took_no_part(params):
    """A view absent in the second example: its pixels are no part of the top k % there."""
    masks = {view: np.ones(2, bool) for view in VIEWS}
    masks["right_wrist_0_rgb"] = np.array([True, False])
    found = run(params, observation(image_masks=masks))
    np.testing.assert_array_equal(found.valid["right_wrist_0_rgb"][1], False)
    np.testing.assert_array_equal(found.valid["right_wrist_0_rgb"][0], True)
    labels = {view: np.zeros((2, SIZE, SIZE), np.int32) for view in VIEWS}
    labels["base_0_rgb"][:, :, : SIZE // 2] = 1
    ratio = iss_jax.nuisance_mass_ratio(found, labels, k=40)
    named = iss_jax.nuisance_mass_ratio(found.maps, labels, k=40, present=masks)
    np.testing.assert_array_equal(ratio, named)
    size = iss_jax.critical_set(found, 10).size
    np.testing.assert_array_equal(size, [np.ceil(0.3 * SIZE**2), np.ceil(0.2 * SIZE**2)])
    assert float(iss_jax.nuisance_mass_ratio(found.maps, labels, k=100)[1]) != float(
        iss_jax.nuisance_mass_ratio(found, labels, k=100)[1]
    )


def test_letterbox_bars_that_the_caller_names_are_no_picture(params):
    """A frame padded by the caller equals the same frame padded here."""
    wide = {view: image[:, : SIZE // 2] for view, image in RNG_IMAGES.items()}
    bars = ((0, 0), (SIZE // 4, SIZE // 4), (0, 0), (0, 0))
    padded = {view: np.pad(image, bars, constant_values=-1.0) for view, image in wide.items()}
    inside = np.pad(np.ones((2, SIZE // 2, SIZE), bool), bars[:3])
    expected = run(params, observation(images=wide))
    named = run(params, observation(images=padded), valid=dict.fromkeys(VIEWS, inside))
    same(named, expected)
    for view in VIEWS:
        np.testing.assert_array_equal(named.valid[view], inside)
    unnamed = run(params, observation(images=padded))
    assert np.abs(unnamed.effects - expected.effects).max() > 1e-3 * expected.effects.max()


def test_compute_dtype(params):
    """float32 parameters computed in bfloat16: the policy's own bfloat16 sample."""
    sampling = Sampling(2, jnp.bfloat16)
    found = run(params, sampling=sampling)
    obs = preprocess(observation(), SIZE)
    own = model.sample_actions(params, obs, NOISE, sampling)
    # bfloat16 resolves 2^-8; two programs may round differently along the way.
    np.testing.assert_allclose(found.actions, own, atol=0.05)
    assert np.abs(found.actions - run(params).actions).max() > 1e-4


@pytest.mark.slow
def test_gradients_agree_with_all_masks_where_the_policy_is_nearly_affine(params):
    """One cell a view: eight masks are all there are. Faint images bend the policy little."""
    masks = jnp.asarray(list(np.ndindex(2, 2, 2)), bool).reshape(8, 3, 1, 1)
    faint = {view: np.float32(5e-4) * image for view, image in RNG_IMAGES.items()}
    found = {
        estimator: run(
            params,
            observation(images=faint),
            masks=masks,
            config=ISSConfig(num_masks=8, keep_prob=0.5, grid=(1, 1), estimator=estimator),
        )
        for estimator in ("ratio", "gradient")
    }
    plain, gradient = found["ratio"], found["gradient"]
    # The last mask keeps every view: no effect but that of float32 on actions near one, squared.
    assert masks[-1].all()
    np.testing.assert_array_less([plain.effects[:, -1], gradient.effects[:, -1]], 1e-11)
    assert plain.effects[:, :-1].min() > 1e-8
    np.testing.assert_allclose(gradient.effects[:, :-1], plain.effects[:, :-1], rtol=1e-2)
    spread = float(np.ptp(plain.cells, axis=1).min())
    np.testing.assert_allclose(gradient.cells, plain.cells, rtol=0.0, atol=0.03 * spread)


def test_a_frame_has_one_map_in_a_batch_a_loop_vmap_and_scan(params):
    """Under one key, and under keys of its own; whatever its row."""
    obs = Observation(**vars(observation()))
    keys = jax.random.split(jax.random.key(3), 2)

    def alone(row, key):
        one = jax.tree.map(lambda leaf: leaf[None], row)
        return iss_jax.saliency(params, one, key=key, **options)

    options = {"config": CONFIG, "sampling": Sampling(2), "action_horizon": HORIZON}
    for key in (keys[0], keys):
        each = jnp.broadcast_to(key, (2,))
        batch = iss_jax.saliency(params, obs, key=key, **options)
        turned = iss_jax.saliency(
            params, jax.tree.map(lambda leaf: leaf[::-1], obs), key=jnp.flip(key), **options
        )
        mapped = jax.vmap(alone)(obs, each)
        scanned = jax.lax.scan(lambda c, x: (c, alone(*x)), 0, (obs, each))[1]
        loop = [alone(jax.tree.map(lambda leaf, i=i: leaf[i], obs), each[i]) for i in range(2)]
        for i in range(2):
            cells = [turned.cells[1 - i], loop[i].cells[0], mapped.cells[i, 0], scanned.cells[i, 0]]
            for found in cells:
                np.testing.assert_allclose(found, batch.cells[i], rtol=2e-4, atol=1e-5)
            own = batch.masks[i] if key.ndim else batch.masks
            np.testing.assert_array_equal(loop[i].masks, own)
    # The same frame under another key.
    other = iss_jax.saliency(params, obs, key=keys[1], **options)
    assert np.abs(batch.actions[0] - other.actions[0]).max() > 1e-3


def test_masks_of_each_row_are_split_over_devices_like_shared_ones(params):
    keys = jax.random.split(jax.random.key(3), 2)
    expected = run(params, key=keys)
    for axes in ({"masks": 2}, {"frames": 2, "masks": 1}):
        mesh = iss_jax.device_mesh(devices=jax.devices()[:2], **axes)
        same(run(params, key=keys, mesh=mesh), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": {v: x / 2 + 0.5 for v, x in RNG_IMAGES.items()}}, r"looks like \[0, 1\]"),
        ({"images": {v: x * 128 for v, x in RNG_IMAGES.items()}}, r"base_0_rgb.*wanted \[-1, 1\]"),
        ({"state": np.full((2, 5), np.nan)}, r"obs.state: nan at \[0, 0\]"),
        ({"tokenized_prompt": PROMPT + 40}, r"tokenized_prompt.*wanted 0 to 31"),
        ({"tokenized_prompt": PROMPT - 40}, r"tokenized_prompt.*wanted 0 to 31"),
        (
            {"images": {f"images.{v}": x for v, x in RNG_IMAGES.items()}},
            r"has \['images.base_0_rgb",
        ),
    ],
)
def test_what_the_policy_would_read_as_something_else_is_an_error(params, changes, message):
    for analyse in (run, lambda p, obs: iss_jax.baselines.attention(p, obs)):
        with pytest.raises(ValueError, match=message):
            analyse(params, observation(**changes))


@pytest.mark.parametrize("horizon", [0, -1, 2.5, True, 10**9, "a"])
def test_a_chunk_length_that_cannot_be(params, horizon):
    with pytest.raises(ValueError, match="action_horizon must be"):
        run(params, noise=None, action_horizon=horizon)
    with pytest.raises(ValueError, match="action_horizon must be"):
        iss_jax.baselines.input_gradient(params, observation(), action_horizon=horizon)


def test_a_dict_is_no_observation(params):
    for wrong in (None, vars(observation()), {"images": {}}):
        with pytest.raises(TypeError, match=r"lacks .*wanted openpi's Observation"):
            run(params, wrong) if wrong is not None else iss_jax.saliency(params, None)
