import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import EffectsConfig, attribute_players
from iss_jax.attribution import attribute
from iss_jax.config import ISSConfig
from iss_jax.interventions import blur
from iss_jax.masked_runs import micro_batch_rows
from iss_jax.masks import sample_masks, upsample
from iss_jax.sharding import device_mesh

SIZES = {"front": (28, 28), "wrist": (21, 35)}
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
IMAGES = {v: jnp.asarray(RNG.random((*size, 3), np.float32)) for v, size in SIZES.items()}
WEIGHTS = {
    v: jnp.asarray(0.03 * RNG.normal(size=(*size, 3, 8)), jnp.float32) for v, size in SIZES.items()
}


def policy(images):
    """A chunk of 4 steps and 2 dimensions that depends on all pixels of both views."""
    features = sum(jnp.einsum("nhwc,hwcd->nd", images[v], WEIGHTS[v]) for v in sorted(images))
    return jnp.tanh(features).reshape(-1, 4, 2)


def brightness(images):
    return images["front"].mean((1, 2))[:, None]


def pixel_by_pixel(masks, keep_prob):
    """Algorithm 1 as printed, in pixels, one mask after the other; line 16 divides."""
    frames = {v: np.asarray(x, np.float64) for v, x in IMAGES.items()}
    blurred = {v: np.asarray(blur(x), np.float64) for v, x in IMAGES.items()}
    weights = {v: np.asarray(w, np.float64) for v, w in WEIGHTS.items()}

    def act(images):
        return np.tanh(sum(np.einsum("hwc,hwcd->d", images[v], weights[v]) for v in images))

    baseline, effects = act(frames), []
    maps = {view: np.zeros(size) for view, size in SIZES.items()}
    for keep in masks:
        soft = {
            view: np.asarray(upsample(jnp.asarray(keep[i], jnp.float32), size), np.float64)
            for i, (view, size) in enumerate(SIZES.items())
        }
        copies = {
            v: frames[v] * soft[v][..., None] + blurred[v] * (1 - soft[v][..., None])
            for v in frames
        }
        effects.append(np.square(act(copies) - baseline).mean())
        for view in maps:
            maps[view] += effects[-1] * (1 - soft[view])
    return {v: m / (len(masks) * (1 - keep_prob)) for v, m in maps.items()}, np.array(effects)


def test_cells_upsampled_once_are_the_pixel_sum_of_equation_18():
    config = ISSConfig.paper(num_masks=24, keep_prob=0.4)
    masks = sample_masks(jax.random.key(3), 24, 2, keep_prob=0.4)
    found = attribute(policy, IMAGES, config=config, masks=masks)
    maps, effects = pixel_by_pixel(np.asarray(masks), 0.4)
    np.testing.assert_allclose(found.effects, effects, rtol=1e-4)
    for view, saliency in maps.items():
        np.testing.assert_allclose(found.maps[view], saliency, rtol=1e-4)
    baseline = policy({v: x[None] for v, x in IMAGES.items()})[0]
    np.testing.assert_allclose(found.actions, baseline, rtol=1e-4)


def test_micro_batches_change_nothing():
    found = [
        attribute(policy, IMAGES, config=ISSConfig(num_masks=32, micro_batch=size))
        for size in (1, 2, 5, 32, None)
    ]
    for other in found[1:]:
        np.testing.assert_allclose(other.effects, found[0].effects, rtol=1e-5)
        np.testing.assert_allclose(other.cells, found[0].cells, rtol=1e-5)
        np.testing.assert_allclose(other.stderr, found[0].stderr, rtol=1e-4)
        np.testing.assert_allclose(other.actions, found[0].actions, rtol=1e-5)


@pytest.mark.parametrize(
    ("total", "given", "rows"),
    [(101, None, 34), (41, None, 21), (3, None, 3), (101, 5, 5), (3, 9, 3)],
)
def test_rows_are_spread_evenly(total, given, rows):
    assert micro_batch_rows(total, given) == rows


def test_the_all_keep_mask_has_no_effect():
    masks = jnp.ones((8, 2, 7, 7), bool)
    config = ISSConfig.paper(num_masks=8, micro_batch=3)
    found = attribute(policy, IMAGES, config=config, masks=masks)
    assert float(found.effects.max()) < 1e-12
    assert all(float(jnp.abs(m).max()) < 1e-12 for m in found.maps.values())


def test_peak_memory_does_not_grow_with_the_number_of_masks():
    frame = jax.ShapeDtypeStruct((112, 112, 3), jnp.float32)

    def peak(num_masks):
        config = ISSConfig(num_masks=num_masks, micro_batch=8, design="bernoulli")
        run = jax.jit(lambda images: attribute(brightness, images, config=config).maps)
        compiled = run.lower({"front": frame}).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    # A mask adds its 49 bits and what the estimator makes of them, far from one more frame.
    assert (peak(640) - peak(40)) / 600 < 0.02 * 4 * frame.size


def test_one_compilation_for_each_shape():
    traces = []

    def counted(images):
        traces.append(images["front"].shape)
        return images["front"].mean((1, 2))[:, None]

    config = ISSConfig(num_masks=6)
    for value in range(3):
        attribute(counted, {"front": jnp.full((9, 9, 3), float(value))}, config=config)
        if value == 0:
            first = len(traces)
    assert len(traces) == first
    attribute(counted, {"front": jnp.zeros((9, 10, 3))}, config=config)
    assert len(traces) == 2 * first


def test_parameters_travel_in_a_partial_without_recompiling():
    traces = []

    def linear(weight, images):
        traces.append(1)
        return jnp.einsum("nhwc,c->n", images["front"], weight)[:, None, None]

    images = {"front": IMAGES["front"]}
    config = ISSConfig(num_masks=6, reduction="sum")
    effects, traced = [], []
    for w in (1.0, 2.0):
        policy = jax.tree_util.Partial(linear, jnp.full(3, w))
        effects.append(attribute(policy, images, config=config).effects)
        traced.append(len(traces))
    assert traced[0] > 0 and traced[1] == traced[0]
    np.testing.assert_allclose(effects[1], 4.0 * np.asarray(effects[0]), rtol=1e-4)


def test_the_same_call_gives_the_same_map():
    config = ISSConfig(num_masks=10)
    first, second = (attribute(policy, IMAGES, config=config) for _ in range(2))
    keyed = attribute(policy, IMAGES, config=config, key=jax.random.key(0))
    other = attribute(policy, IMAGES, config=config, key=jax.random.key(1))
    np.testing.assert_array_equal(first.cells, second.cells)
    np.testing.assert_array_equal(first.cells, keyed.cells)
    assert not np.array_equal(first.masks, other.masks)


def test_batch_jit_and_vmap_agree_with_single_calls():
    batch = {v: jnp.stack([x, 1 - x, x**2]) for v, x in IMAGES.items()}
    config = ISSConfig(num_masks=8)
    joint = attribute(policy, batch, config=config)
    jitted = jax.jit(lambda x: attribute(policy, x, config=config))(batch)
    mapped = jax.vmap(lambda x: attribute(policy, x, config=config))(batch)
    for i in range(3):
        single = attribute(policy, {v: x[i] for v, x in batch.items()}, config=config)
        for many in (joint, jitted, mapped):
            np.testing.assert_allclose(many.cells[i], single.cells, rtol=1e-4)
            np.testing.assert_allclose(many.maps["wrist"][i], single.maps["wrist"], rtol=1e-4)
            np.testing.assert_allclose(many.actions[i], single.actions, rtol=1e-5)


def test_views_are_sorted_by_name_inside_and_outside_jit():
    swapped = {view: IMAGES[view] for view in ("wrist", "front")}
    masks = sample_masks(KEY, 8, 2)
    config = ISSConfig(num_masks=8)
    plain = attribute(policy, swapped, config=config, masks=masks)
    jitted = jax.jit(lambda x: attribute(policy, x, config=config, masks=masks))(swapped)
    np.testing.assert_allclose(plain.cells, jitted.cells, rtol=1e-4)
    front_only = masks.at[:, 1].set(True)
    only = attribute(policy, swapped, config=config, masks=front_only)

    blind = attribute(
        lambda x: policy(x | {"front": 0 * x["front"]}), swapped, config=config, masks=front_only
    )
    assert (only.effects > 0).all() and not blind.effects.any()


def test_absent_views_are_left_alone():
    present = {"wrist": jnp.array(False)}
    masks = sample_masks(KEY, 12, 2)
    config = ISSConfig(num_masks=12, design="bernoulli")
    found = attribute(policy, IMAGES, config=config, masks=masks, present=present)
    assert not found.maps["wrist"].any() and not found.cells[1].any() and not found.stderr[1].any()

    def fixed_wrist(images):
        wrist = jnp.broadcast_to(IMAGES["wrist"], (len(images["front"]), *IMAGES["wrist"].shape))
        return policy(images | {"wrist": wrist})

    alone = attribute(fixed_wrist, {"front": IMAGES["front"]}, config=config, masks=masks[:, :1])
    np.testing.assert_allclose(found.effects, alone.effects, rtol=1e-4)
    np.testing.assert_allclose(found.maps["front"], alone.maps["front"], rtol=1e-4)


def test_padding_is_neither_masked_nor_salient():
    inside = np.zeros((28, 28), bool)
    inside[8:20] = True
    rows = jnp.asarray(inside[..., None])
    images = {"front": jnp.where(rows, IMAGES["front"], -1.0)}

    def watches_padding(x):
        return jnp.where(rows, 0.0, x["front"]).sum((1, 2))[:, None]

    def watches_all(x):
        return jnp.stack([x["front"].mean((1, 2)), x["front"].std((1, 2))], axis=1)

    config = ISSConfig(num_masks=20, reduction="sum")
    valid = {"front": jnp.asarray(inside)}
    still = attribute(watches_padding, images, config=config, valid=valid)
    np.testing.assert_array_equal(still.effects, 0.0)
    found = attribute(watches_all, images, config=config, valid=valid)
    saliency = np.asarray(found.maps["front"])
    assert (saliency[inside] > 0).all() and not saliency[~inside].any()
    # Grid rows are 4 pixels: rows 0 and 6 of the grid reach no valid pixel.
    used = np.asarray(found.cells[0]) != 0
    assert used[1:6].all() and not used[0].any() and not used[6].any()


def test_noise_draws_are_averaged_and_shared():
    draws = jax.random.normal(KEY, (3, 4, 2))

    def sampling(images, noise):
        return policy(images) * (1.0 + noise)[None]

    config = ISSConfig(num_masks=10, noise_draws=3)
    joint = attribute(sampling, IMAGES, config=config, noise=draws)
    once = ISSConfig(num_masks=10)
    single = [attribute(sampling, IMAGES, config=once, noise=draws[i : i + 1]) for i in range(3)]
    np.testing.assert_allclose(joint.effects, sum(s.effects for s in single) / 3, rtol=1e-5)
    np.testing.assert_allclose(joint.actions, sum(s.actions for s in single) / 3, rtol=1e-4)


def test_action_selection_reaches_the_effects():
    config = ISSConfig(num_masks=6, action_dims=(1,), horizon=2, reduction="sum")
    found = attribute(policy, IMAGES, config=config)
    full = attribute(lambda x: policy(x)[:, :2, 1:], IMAGES, config=ISSConfig(num_masks=6))
    np.testing.assert_allclose(found.effects, 2 * full.effects, rtol=1e-5)
    assert found.actions.shape == (4, 2)


def test_gradients_equal_finite_differences():
    config = ISSConfig(num_masks=6, micro_batch=2)
    weight = jax.random.normal(KEY, (7, 7))

    def loss(scale):
        images = {view: image * scale for view, image in IMAGES.items()}
        return (attribute(policy, images, config=config).cells[0] * weight).sum() * 100

    slope = jax.jit(jax.grad(loss))(1.0)
    step = 1e-2
    np.testing.assert_allclose(slope, (loss(1 + step) - loss(1 - step)) / (2 * step), rtol=2e-2)


def test_integer_frames_are_blended_in_float():
    image = jnp.arange(147, dtype=jnp.uint8).reshape(7, 7, 3)
    found = attribute(brightness, {"front": image}, config=ISSConfig(num_masks=4))
    mean = np.asarray(image, np.float32).mean((0, 1))
    np.testing.assert_allclose(found.actions, mean[None], rtol=1e-6)
    assert found.effects.dtype == jnp.float32 and (found.effects > 0).all()


def test_config_is_static_hashable_and_has_the_papers_preset():
    assert hash(ISSConfig()) == hash(ISSConfig(grid=[7, 7]))
    assert ISSConfig(action_dims=[0, 2]).action_dims == (0, 2)
    paper = ISSConfig.paper(num_masks=32)
    assert (paper.design, paper.estimator, paper.num_masks) == ("bernoulli", "fixed", 32)
    assert (paper.keep_prob, paper.grid, paper.blur_sigma) == (0.3, (7, 7), 10.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_masks": 1, "estimator": "centred"}, "num_masks.*>= 2.*1"),
        ({"num_masks": 0, "estimator": "gradient"}, "num_masks.*>= 1.*0"),
        ({"num_masks": 10.0}, "num_masks.*integer"),
        ({"keep_prob": 1.5}, "keep_prob.*1.5"),
        ({"grid": (7,)}, "grid.*rows, columns"),
        ({"design": "grid"}, "design.*balanced.*'grid'"),
        ({"estimator": "mean"}, "estimator.*centred.*'mean'"),
        ({"reduction": "max"}, "reduction.*sum.*'max'"),
        ({"blur_sigma": 0.0}, "blur_sigma.*positive"),
        ({"micro_batch": 0}, "micro_batch.*>= 1.*0"),
        ({"noise_draws": 0}, "noise_draws.*>= 1.*0"),
        ({"horizon": 0}, "horizon.*>= 1"),
        ({"num_masks": 2, "keep_prob": 0.1}, r"round\(p N\) = 0 of 2 masks"),
    ],
)
def test_config_errors_name_the_option(options, message):
    with pytest.raises(ValueError, match=message):
        ISSConfig(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"masks": jnp.ones((4, 1, 7, 7), bool)},
            r"masks must be bool \[n, 2 views.*\[4, 1, 7, 7\]",
        ),
        ({"masks": jnp.ones((4, 2, 7, 7))}, "masks must be bool.*float32"),
        ({"present": {"left": True}}, r"present names views \['left'\]"),
        ({"noise": jnp.zeros((2, 3))}, "noise_draws = 1"),
        ({"config": ISSConfig(noise_draws=2)}, "no noise was given"),
    ],
)
def test_call_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        attribute(policy, IMAGES, **options)


def test_policies_and_frames_of_the_wrong_shape_are_named():
    with pytest.raises(ValueError, match=r"actions \[n, H, A\].*\[1, 8\]"):
        attribute(lambda x: policy(x).reshape(-1, 8), IMAGES)
    with pytest.raises(ValueError, match=r"ranks.*front.*3.*wrist.*4"):
        attribute(policy, {"front": IMAGES["front"], "wrist": IMAGES["wrist"][None]})


def test_gradient_scores_are_finite_differences_of_soft_masks():
    """Independent: float64, central differences of every cell of every mask, both ends averaged."""
    config = ISSConfig(num_masks=12, grid=(2, 3), keep_prob=0.5, estimator="gradient")
    masks = sample_masks(KEY, 12, 2, grid=(2, 3), keep_prob=0.5, design="balanced")
    found = attribute(policy, IMAGES, config=config, masks=masks)
    plain = attribute(policy, IMAGES, config=ISSConfig(num_masks=12, grid=(2, 3)), masks=masks)
    np.testing.assert_allclose(found.effects, plain.effects, rtol=1e-5)

    frames = {v: np.asarray(x, np.float64) for v, x in IMAGES.items()}
    weights = {v: np.asarray(w, np.float64) for v, w in WEIGHTS.items()}
    away = {v: np.asarray(blur(x), np.float64) - frames[v] for v, x in IMAGES.items()}
    eye = np.eye(6, dtype=np.float32).reshape(6, 2, 3)
    basis = {v: np.asarray(upsample(jnp.asarray(eye), SIZES[v]), np.float64) for v in SIZES}

    def move(cells):
        """Sum of features that a soft mask [views, 6] takes away."""
        total = 0.0
        for i, view in enumerate(SIZES):
            drop = np.einsum("c,chw->hw", 1 - cells[i], basis[view])
            total = total + np.einsum("hw,hwc,hwcd->d", drop, away[view], weights[view])
        return total

    start = sum(np.einsum("hwc,hwcd->d", frames[v], weights[v]) for v in frames)

    def effect(cells):
        return np.square(np.tanh(start + move(cells)) - np.tanh(start)).mean()

    bits = np.asarray(masks, np.float64).reshape(12, 2, 6)
    slopes = np.zeros_like(bits)
    for k, i, j in np.ndindex(bits.shape):
        step = np.zeros((2, 6))
        step[i, j] = 1e-4
        slopes[k, i, j] = (effect(bits[k] + step) - effect(bits[k] - step)) / 2e-4
    largest = float(np.abs(slopes).max())
    np.testing.assert_allclose(
        found.gradients.reshape(12, 2, 6), slopes, rtol=2e-3, atol=1e-3 * largest
    )
    mean = np.mean([effect(cells) for cells in bits])
    ends = [np.mean(slopes, axis=0, where=bits == end) for end in (0, 1)]
    wanted = mean - 0.25 * (ends[0] + ends[1])
    np.testing.assert_allclose(found.cells.reshape(2, 6), wanted, rtol=2e-3)


@pytest.mark.parametrize("micro_batch", [1, 3, 8])
def test_gradient_maps_do_not_depend_on_the_micro_batch(micro_batch):
    config = ISSConfig(num_masks=10, grid=(3, 3), estimator="gradient")
    whole = attribute(policy, IMAGES, config=config)
    split = attribute(policy, IMAGES, config=dataclasses.replace(config, micro_batch=micro_batch))
    np.testing.assert_allclose(split.cells, whole.cells, rtol=1e-4)
    np.testing.assert_allclose(split.stderr, whole.stderr, rtol=1e-3)


def test_gradient_runs_over_devices_and_absent_views():
    config = ISSConfig(num_masks=10, grid=(3, 3), estimator="gradient")
    present = {"wrist": jnp.asarray(False)}
    one = attribute(policy, IMAGES, config=config, present=present)
    several = attribute(policy, IMAGES, config=config, present=present, mesh=device_mesh())
    np.testing.assert_allclose(several.cells, one.cells, rtol=1e-4)
    assert not np.any(one.cells[1]) and not np.any(one.stderr[1]) and np.all(one.cells[0] != 0)


def test_auto_differentiates_what_can_be_and_says_what_it_stands_for():
    assert ISSConfig(estimator="auto").resolved(True) == ISSConfig(40, estimator="clipped")
    assert ISSConfig(estimator="auto").resolved(False) == ISSConfig(100, estimator="centred")
    assert ISSConfig(7, estimator="ridge").resolved(True) == ISSConfig(7, estimator="ridge")
    config = ISSConfig(num_masks=12, grid=(2, 3), keep_prob=0.5, estimator="auto")
    found = attribute(policy, IMAGES, config=config)
    wanted = attribute(policy, IMAGES, config=dataclasses.replace(config, estimator="clipped"))
    np.testing.assert_array_equal(found.cells, wanted.cells)
    assert found.gradients is not None


def test_only_the_counts_that_an_estimator_can_stand_for_are_checked():
    # One of a hundred masks keeps a cell, of forty none.
    assert ISSConfig(keep_prob=0.01, estimator="centred").resolved(True).num_masks == 100
    for estimator in ("auto", "gradient"):
        with pytest.raises(ValueError, match="of 40 masks"):
            ISSConfig(keep_prob=0.01, estimator=estimator)


def test_policies_without_gradients_get_the_plain_estimator():
    """One on the host, which cannot be differentiated, and one whose derivative is zero."""
    config = ISSConfig(num_masks=12, grid=(2, 3), keep_prob=0.5, estimator="auto")
    plain = attribute(policy, IMAGES, config=dataclasses.replace(config, estimator="centred"))

    def served(images):
        shape = jax.eval_shape(policy, images)
        return jax.pure_callback(lambda x: np.asarray(policy(x)), shape, images)

    found = attribute(served, IMAGES, config=config)
    np.testing.assert_allclose(found.cells, plain.cells, rtol=1e-4)
    assert found.gradients is None

    def detached(images):
        return policy(jax.lax.stop_gradient(images))

    found = attribute(detached, IMAGES, config=config)
    np.testing.assert_allclose(found.cells, plain.cells, rtol=1e-4)
    np.testing.assert_allclose(found.stderr, plain.stderr, rtol=1e-3)


def test_a_policy_that_draws_noise_by_row_is_noticed_from_copies_that_mask_nothing():
    frames = {"front": jax.random.uniform(jax.random.key(0), (14, 14, 3))}
    noise = jax.random.normal(jax.random.key(1), (6, 1, 3))

    def quiet(images):
        return images["front"].mean((1, 2))[:, None, :]

    def noisy(images):
        return quiet(images) + noise[: images["front"].shape[0]]

    # 11 rows in two micro-batches of 6: one row is left.
    config = ISSConfig(num_masks=10, micro_batch=6)
    found = attribute(quiet, frames, config=config)
    assert float(found.floor) < 1e-12 and "floor" not in repr(found)
    found = attribute(noisy, frames, config=config)
    np.testing.assert_allclose(found.floor, jnp.square(noise[5] - noise[0]).mean(), rtol=1e-5)
    assert "the policy draws noise of its own" in repr(found)
    assert attribute(quiet, frames, config=ISSConfig(num_masks=10, micro_batch=11)).floor is None


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda rows: {"actions": rows["front"].mean((1, 2))[:, None]}, "got dict"),
        (lambda rows: (rows["front"].mean((1, 2))[:, None],), "got tuple"),
        (lambda rows: rows["front"].mean((0, 1, 2))[None, None], r"got \[1, 1, 3\] for n = "),
    ],
)
def test_a_policy_that_answers_something_else(answer, message):
    frames = {"front": jnp.ones((14, 14, 3))}
    with pytest.raises(ValueError, match=message):
        attribute(answer, frames, config=ISSConfig(num_masks=4))
    halves = {"front": jnp.zeros((14, 14), jnp.int32)}
    with pytest.raises(ValueError, match=message):
        attribute_players(answer, frames, halves, config=EffectsConfig(fill="blur", draws=2))


def test_answers_that_are_not_finite_are_said():
    def broken(images):
        return jnp.where(images["front"].mean((1, 2)) > 0.99, 1.0, jnp.nan)[:, None, :]

    frames = {"front": jnp.ones((14, 14, 3)).at[:3].set(0.5)}
    found = attribute(broken, frames, config=ISSConfig(num_masks=4))
    assert "not finite in 4 of 4 runs" in repr(found)
