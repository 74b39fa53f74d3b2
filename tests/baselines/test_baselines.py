import dataclasses
import types
from functools import partial

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import iss_jax
from iss_jax import baselines
from iss_jax.config import ISSConfig
from iss_jax.interventions import blur
from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.pi05.params import PI05, Expert, ImageTower, shapes, unflatten
from iss_jax.sampling import Sampling

SIZES = dataclasses.replace(
    PI05,
    image=ImageTower(width=8, depth=2, mlp=16, heads=2, patch=14, tokens=4),
    vlm=Expert(width=16, mlp=24),
    action=Expert(width=12, mlp=16),
    depth=2,
    heads=2,
    head_dim=8,
    vocab=32,
    action_dim=5,
)
SIZE, HORIZON, SAMPLING = 28, 3, Sampling(2)
RNG = np.random.default_rng(0)
NOISE = jnp.asarray(RNG.normal(size=(2, HORIZON, 5)), jnp.float32)
# Smooth, as frames are: the blur of white noise is next to nothing, and the path to it chaotic.
IMAGES = {
    view: np.asarray(
        jax.image.resize(
            jnp.asarray(1.6 * RNG.random((2, 7, 7, 3)) - 0.8, jnp.float32),
            (2, SIZE, SIZE, 3),
            "linear",
        )
    )
    for view in VIEWS
}
PROMPT = RNG.integers(1, 32, (2, 20)).astype(np.int32)

PASSIVE = {
    "attention": baselines.attention,
    "token_norm": baselines.token_norm,
    "encoder_norm": lambda *args, **kw: baselines.token_norm(*args, after_head=False, **kw),
}
GOLDEN_KEYS = {
    "attention": "att_column_sums",
    "token_norm": "norm_head",
    "encoder_norm": "norm_encoded",
}


PART = {"action_dims": (0, 3), "horizon": 2}


def observation(**changes):
    """Two examples; the second has a shorter prompt."""
    fields = {
        "images": dict(IMAGES),
        "image_masks": {view: np.ones(2, bool) for view in VIEWS},
        "state": np.zeros((2, 5), np.float32),
        "tokenized_prompt": PROMPT,
        "tokenized_prompt_mask": np.arange(20)[None] < np.array([[11], [7]]),
    }
    return types.SimpleNamespace(**(fields | changes))


@pytest.fixture(scope="module")
def params():
    """Every leaf random, so that nothing is closed or zero."""
    rng = np.random.default_rng(1)
    flat = {
        path: np.float32(0.3) * rng.normal(size=shape).astype(np.float32)
        + np.float32(path.endswith("scale") and "/img/" in path)
        for path, shape in shapes(SIZES).items()
    }
    return unflatten(jax.tree.map(jnp.asarray, flat))


def gradient(params, obs=None, **options):
    options = {"noise": NOISE, "sampling": SAMPLING} | options
    return baselines.input_gradient(params, observation() if obs is None else obs, **options)


def integrated(params, obs=None, **options):
    options = {"noise": NOISE, "sampling": SAMPLING} | options
    return baselines.integrated_gradients(params, observation() if obs is None else obs, **options)


METHODS = PASSIVE | {"input_gradient": gradient, "integrated_gradients": integrated}
JITTED_SAMPLE = jax.jit(model.sample_actions, static_argnames="sampling")


def sample(params, images, noise=NOISE, row=0):
    """The policy's actions on many versions of one example's images, {view: [n, h, w, 3]}."""
    n = len(next(iter(images.values())))
    mask = np.repeat(observation().tokenized_prompt_mask[row : row + 1], n, axis=0)
    obs = observation(
        images=images,
        image_masks={view: np.ones(n, bool) for view in VIEWS},
        state=np.zeros((n, 5), np.float32),
        tokenized_prompt=np.repeat(PROMPT[row : row + 1], n, axis=0),
        tokenized_prompt_mask=mask,
    )
    draws = jnp.broadcast_to(noise[row][None], (n, *noise.shape[1:]))
    return np.asarray(JITTED_SAMPLE(params, preprocess(obs, SIZE), draws, sampling=SAMPLING))


def bilinear(grid, size):
    """Interpolation between the centres of cells, constant beyond the outermost."""

    def weights(cells):
        centres = (np.arange(cells) + 0.5) * size / cells
        pixels = np.arange(size) + 0.5
        return np.stack([np.interp(pixels, centres, row) for row in np.eye(cells)], axis=1)

    return np.einsum("yi,bij,xj->byx", weights(grid.shape[1]), grid, weights(grid.shape[2]))


def total(maps):
    return sum(np.asarray(m, np.float64).sum((1, 2)) for m in maps.values())


@pytest.mark.parametrize("name", ["tiny_a", "tiny_b", "tiny_c"])
@pytest.mark.parametrize("method", PASSIVE)
def test_equals_the_goldens_made_with_openpi(name, method):
    obs = goldens.observation(name)
    found = PASSIVE[method](goldens.params(name), obs)
    scores = goldens.arrays(name)[GOLDEN_KEYS[method]]
    side = int(np.sqrt(scores.shape[-1]))
    for index, view in enumerate(VIEWS):
        wanted = bilinear(scores[:, index].reshape(2, side, side), 224)
        there = np.asarray(obs.image_masks[view])
        np.testing.assert_allclose(found.maps[view], wanted * there[:, None, None], atol=2e-5)
        np.testing.assert_array_equal(found.valid[view].all((1, 2)), there)
        np.testing.assert_array_equal(found.valid[view].any((1, 2)), there)
    assert not np.asarray(obs.image_masks[VIEWS[2]])[1]  # an absent view is among them


def test_attention_of_a_closed_form(params):
    """Keys that ignore the image spread attention evenly, whatever the queries ask."""
    even = jax.tree.map(lambda leaf: leaf, params)  # a copy of the nested dicts
    block = even["PaliGemma"]["img"]["Transformer"]["encoderblock"]
    key = block["MultiHeadDotProductAttention_0"]["key"]
    key["kernel"] = jnp.zeros_like(key["kernel"])
    found = baselines.attention(even, observation())
    uneven = baselines.attention(params, observation())
    for view in VIEWS:
        np.testing.assert_allclose(found.maps[view], 1.0, atol=1e-6)
        assert np.ptp(uneven.maps[view]) > 1e-3


@pytest.mark.parametrize("view", [VIEWS[0], VIEWS[2]])
def test_input_gradient_equals_finite_differences(params, view):
    """Root of the mean over actions of the sum over channels of squared slopes, pixel by pixel."""
    pixels, step = [(0, 0), (5, 20), (14, 13), (27, 27)], 0.05
    steps = np.zeros((len(pixels), 3, 2, SIZE, SIZE, 3), np.float32)
    for i, (y, x) in enumerate(pixels):
        for channel in range(3):
            steps[i, channel, :, y, x, channel] = (step, -step)
    steps = steps.reshape(-1, SIZE, SIZE, 3)
    rows = {v: np.repeat(IMAGES[v][:1], len(steps), axis=0) for v in VIEWS}
    rows[view] = rows[view] + steps
    actions = sample(params, rows).reshape(len(pixels), 3, 2, HORIZON, 5)
    slopes = (actions[:, :, 0] - actions[:, :, 1]) / (2 * step)
    for options, chosen in (({}, slopes), (PART, slopes[..., :2, [0, 3]])):
        wanted = np.sqrt(np.square(chosen).sum(1).mean((1, 2)))
        found = gradient(params, num_probes=None, **options).maps[view][0]
        np.testing.assert_allclose([found[p] for p in pixels], wanted, rtol=1e-2)


def test_input_gradient_is_what_small_noise_adds_to_the_error(params):
    """White noise of standard deviation sigma on a region: error = sigma^2 x sum of squares."""
    sigma, n = 1e-2, 512
    region = np.zeros((SIZE, SIZE, 1), np.float32)
    region[:14] = 1.0
    rows = {v: np.repeat(IMAGES[v][:1], n, axis=0) for v in VIEWS}
    clean = sample(params, rows)
    noise = np.random.default_rng(2).normal(size=(n, SIZE, SIZE, 3)).astype(np.float32)
    rows[VIEWS[1]] = rows[VIEWS[1]] + sigma * region * noise
    errors = np.square(sample(params, rows) - clean).mean((1, 2))
    squared = np.square(gradient(params, num_probes=None).maps[VIEWS[1]][0, :14]).sum()
    ratio = errors / (sigma**2 * squared)
    assert abs(ratio.mean() - 1.0) < 4 * ratio.std() / np.sqrt(n) < 0.3


def test_probes_are_unbiased_with_the_stated_error(params):
    """Relative error of the squared map, over all pixels of both examples."""
    n = 512
    exact, found = (gradient(params, num_probes=probes).maps for probes in (None, n))
    for view in VIEWS:
        ratio = np.square(np.asarray(found[view]) / np.asarray(exact[view]))
        assert 1e-4 < np.sqrt(np.square(ratio - 1.0).mean()) < 3 * np.sqrt(2 / n)


@pytest.mark.slow
def test_integrated_gradients_are_complete(params):
    """The maps sum to the error of the blurred frames; one point of the path does not suffice."""
    found = integrated(params)
    np.testing.assert_allclose(total(found.maps), found.effect, rtol=1e-4)
    coarse = integrated(params, num_points=1)
    assert np.abs(total(coarse.maps) / found.effect - 1.0).min() > 1e-2
    for row in range(2):
        blurred = {v: np.asarray(blur(jnp.asarray(IMAGES[v][row : row + 1]))) for v in VIEWS}
        both = {v: np.concatenate([IMAGES[v][row : row + 1], blurred[v]]) for v in VIEWS}
        actions = sample(params, both, row=row)
        error = np.square(actions[1] - actions[0]).mean()
        np.testing.assert_allclose(found.effect[row], error, rtol=1e-4)


def test_integrated_gradients_by_region_equal_finite_differences_along_the_path(params):
    """The mass of a region: its share of the path's slope, by central differences."""
    points, step = 64, 1e-2
    times = (np.arange(points, dtype=np.float32) + 0.5) / points
    images = {v: IMAGES[v][:1] for v in VIEWS}
    blurred = {v: np.asarray(blur(jnp.asarray(image))) for v, image in images.items()}
    region = np.zeros((1, SIZE, SIZE, 1), np.float32)
    region[:, 4:20, :14] = 1.0
    clean = sample(params, images)

    def errors(view, offset):
        rows = {}
        for v in VIEWS:
            time = np.broadcast_to(times[:, None, None, None], (points, SIZE, SIZE, 1))
            time = time + offset * region * np.float32(v == view)
            rows[v] = (blurred[v] + time * (images[v] - blurred[v])).astype(np.float32)
        return np.square(sample(params, rows) - clean).mean((1, 2))

    found = integrated(params)
    for view in VIEWS:
        mass = -np.mean(errors(view, step) - errors(view, -step)) / (2 * step)
        np.testing.assert_allclose(found.maps[view][0, 4:20, :14].sum(), mass, rtol=1e-2)
        assert abs(mass) > 1e-3 * float(found.effect[0])


def test_the_effect_is_that_of_iss_with_every_cell_dropped(params):
    """The same flow noise from the same key, the same blur, error and several draws."""
    options = {"action_dims": 4, "horizon": 2, "reduction": "sum", "noise_draws": 2}
    shared = {"key": jax.random.key(3), "sampling": SAMPLING, "action_horizon": HORIZON}
    found = integrated(params, noise=None, num_points=8, blur_sigma=20.0, **shared, **options)
    dropped = iss_jax.saliency(
        params,
        observation(),
        config=ISSConfig(num_masks=2, keep_prob=0.5, blur_sigma=20.0, **options),
        masks=jnp.zeros((2, 3, 7, 7), bool),
        **shared,
    )
    np.testing.assert_allclose(found.effect, dropped.effects[:, 0], rtol=1e-4)
    np.testing.assert_allclose(total(found.maps), found.effect, rtol=1e-2)


def test_draws_of_flow_noise_are_averaged(params):
    draws = jnp.stack([NOISE, -2.0 * NOISE], axis=1)
    options = {"num_probes": None, **PART}
    joint = gradient(params, noise=draws, noise_draws=2, **options)
    single = [gradient(params, noise=draws[:, i], **options) for i in range(2)]
    for view in VIEWS:
        squares = [np.square(s.maps[view]) for s in single]
        np.testing.assert_allclose(np.square(joint.maps[view]), np.mean(squares, 0), rtol=1e-3)


def test_random_map_deals_no_score_to_cells_without_pixels():
    """A view absent in one example, bars in another view: seven pixels a side are the cells."""
    cells = np.arange(1, 2 * 3 * 49 + 1, dtype=np.float32).reshape(2, 3, 7, 7)
    valid = np.ones((2, 3, 7, 7), bool)
    valid[1, 2] = valid[:, 0, :2] = False
    saliency = fake_saliency(np.where(valid, cells, 0.0), valid, size=7)
    found = baselines.random_map(jax.random.key(0), saliency)
    dealt = np.stack([found.maps[view] for view in VIEWS], axis=1)
    assert not dealt[~valid].any()
    for row in range(2):
        np.testing.assert_array_equal(
            np.sort(dealt[row][valid[row]]), np.sort(cells[row][valid[row]])
        )
        assert (dealt[row] != cells[row])[valid[row]].mean() > 0.9
    single = jax.tree.map(lambda leaf: leaf[1], dataclasses.replace(saliency, masks=saliency.cells))
    alone = baselines.random_map(jax.random.key(0), single)
    assert alone.maps[VIEWS[0]].shape == (7, 7) and not alone.maps[VIEWS[2]].any()


def test_random_map_of_a_saliency_has_the_chance_level_on_average():
    """Two sevenths of each view are nuisance; the top 10 % are 15 random cells."""
    saliency = fake_saliency(np.random.default_rng(3).normal(size=(1, 3, 7, 7)), size=7)
    labels = {view: np.ones((1, 7, 7), np.int32) for view in VIEWS}
    for view in VIEWS:
        labels[view][:, :, :2] = 0
    keys = jax.random.split(jax.random.key(1), 300)
    values = jax.lax.map(
        lambda key: iss_jax.nuisance_mass_ratio(baselines.random_map(key, saliency).maps, labels),
        keys,
    )
    share = 2 / 7
    assert abs(float(values.mean()) - share) < 4 * np.sqrt(share * (1 - share) / 15 / 300)


def fake_saliency(cells, valid=None, size=SIZE):
    cells = jnp.asarray(cells, jnp.float32)
    valid = np.ones((*cells.shape[:2], size, size), bool) if valid is None else valid
    maps = [jax.image.resize(cells[:, i], (len(cells), size, size), "linear") for i in range(3)]
    return iss_jax.Saliency(
        maps=dict(zip(VIEWS, maps, strict=True)),
        valid={view: jnp.asarray(valid[:, i]) for i, view in enumerate(VIEWS)},
        cells=cells,
        stderr=jnp.zeros_like(cells),
        contrast_stderr=jnp.zeros_like(cells),
        effects=jnp.zeros((len(cells), 2)),
        actions=jnp.zeros((len(cells), HORIZON, 5)),
        masks=jnp.ones((2, 3, 7, 7), bool),
    )


@pytest.mark.parametrize("method", METHODS)
def test_jit_equals_eager(params, method):
    """Nothing is concrete inside: no trimming, no view left out, the same maps."""
    masks = {view: np.full(2, view != VIEWS[1]) for view in VIEWS}
    obs = Observation(**vars(observation(image_masks=masks)))
    eager = METHODS[method](params, obs)
    jitted = jax.jit(METHODS[method])(params, obs)
    assert set(eager.maps) == set(jitted.maps) == set(VIEWS)
    for view in VIEWS:
        assert eager.maps[view].shape == (2, SIZE, SIZE)
        assert eager.maps[view].dtype == jitted.maps[view].dtype == jnp.float32
        scale = float(np.abs(eager.maps[view]).max())
        np.testing.assert_allclose(
            jitted.maps[view], eager.maps[view], rtol=1e-3, atol=1e-4 * scale
        )
        np.testing.assert_array_equal(jitted.valid[view], eager.valid[view])
        # The absent view takes part in nothing, the others do.
        assert np.any(eager.maps[view]) == np.all(eager.valid[view]) == (view != VIEWS[1])


@pytest.mark.parametrize("method", METHODS)
def test_a_view_may_be_absent_in_one_example_only(params, method):
    masks = {view: np.array([True, view != VIEWS[2]]) for view in VIEWS}
    found = METHODS[method](params, observation(image_masks=masks))
    full = METHODS[method](params, observation())
    images = IMAGES | {VIEWS[2]: IMAGES[VIEWS[2]] * np.float32([1, -1])[:, None, None, None]}
    other = METHODS[method](params, observation(images=images, image_masks=masks))
    for view in VIEWS:
        scale = float(np.abs(full.maps[view]).max())
        close = {"rtol": 1e-3, "atol": 1e-4 * scale}
        np.testing.assert_allclose(found.maps[view][0], full.maps[view][0], **close)
        # The absent view's pixels do not matter.
        np.testing.assert_allclose(found.maps[view], other.maps[view], **close)
    assert found.maps[VIEWS[2]][0].any() and not found.maps[VIEWS[2]][1].any()
    labels = {view: np.zeros((2, SIZE, SIZE), np.int32) for view in VIEWS}
    labels[VIEWS[0]][:] = 1
    by_valid = iss_jax.nuisance_mass_ratio(found.maps, labels, 100, valid=found.valid)
    np.testing.assert_allclose(by_valid, [2 / 3, 1 / 2])


@pytest.mark.parametrize("method", METHODS)
def test_frames_of_another_size_are_letterboxed(params, method):
    """A 56 x 28 frame fills the middle 14 columns of the model's 28, as in `saliency`."""
    tall = {v: np.repeat(image, 2, axis=1) for v, image in IMAGES.items()}
    found = METHODS[method](params, observation(images=tall))
    inside = np.zeros((2, SIZE, SIZE), bool)
    inside[:, :, 7:21] = True
    for view in VIEWS:
        np.testing.assert_array_equal(found.valid[view], inside)
        assert np.all(np.asarray(found.maps[view])[inside] != 0)
        assert not np.asarray(found.maps[view])[~inside].any()
    if method == "integrated_gradients":
        # The blur leaves the bars as they are, so the picture's pixels hold everything.
        np.testing.assert_allclose(total(found.maps), found.effect, rtol=1e-3)


@pytest.mark.parametrize("method", ["attention", "integrated_gradients"])
def test_bars_that_the_caller_names_equal_those_added_here(params, method):
    tall = {v: np.repeat(image, 2, axis=1) for v, image in IMAGES.items()}
    padded = preprocess(observation(images=tall), SIZE).images
    inside = np.zeros((2, SIZE, SIZE), bool)
    inside[:, :, 7:21] = True
    found = METHODS[method](params, observation(images=tall))
    named = METHODS[method](params, observation(images=padded), valid=dict.fromkeys(VIEWS, inside))
    for view in VIEWS:
        np.testing.assert_array_equal(named.valid[view], inside)
        scale = float(np.abs(found.maps[view]).max())
        np.testing.assert_allclose(named.maps[view], found.maps[view], atol=1e-4 * scale)


@pytest.mark.parametrize("method", METHODS)
def test_the_real_model_lowers_without_allocating(method):
    """So400m and Gemma at their own sizes, bfloat16, batch 2: shapes only."""
    tree = unflatten(
        {path: jax.ShapeDtypeStruct(shape, jnp.bfloat16) for path, shape in shapes(PI05).items()}
    )
    obs = Observation(
        images={view: jax.ShapeDtypeStruct((2, 480, 640, 3), jnp.uint8) for view in VIEWS},
        image_masks={view: jax.ShapeDtypeStruct((2,), jnp.bool_) for view in VIEWS},
        state=jax.ShapeDtypeStruct((2, 32), jnp.float32),
        tokenized_prompt=jax.ShapeDtypeStruct((2, 200), jnp.int32),
        tokenized_prompt_mask=jax.ShapeDtypeStruct((2, 200), jnp.bool_),
    )
    explain = {
        "input_gradient": baselines.input_gradient,
        "integrated_gradients": baselines.integrated_gradients,
    }.get(method, METHODS[method])
    if "gradient" in method:
        explain = partial(explain, action_horizon=50)
    jax.jit(explain).lower(tree, obs)
    out = jax.eval_shape(explain, tree, obs)
    for view in VIEWS:
        assert (out.maps[view].shape, out.maps[view].dtype) == ((2, 224, 224), jnp.float32)
        assert out.valid[view].shape == (2, 224, 224)


def test_the_users_call_works_without_options(params):
    """The flow noise is drawn: the same map twice, another one for another key."""
    with pytest.warns(UserWarning, match="action_horizon is not given"):
        first, again = (baselines.input_gradient(params, observation()) for _ in range(2))
    key, horizon = jax.random.key(1), 50
    other = baselines.input_gradient(params, observation(), key=key, action_horizon=horizon)
    for view in VIEWS:
        np.testing.assert_array_equal(first.maps[view], again.maps[view])
        assert (np.asarray(first.maps[view]) > 0).all()
        assert not np.allclose(first.maps[view], other.maps[view], rtol=1e-2)


@pytest.mark.parametrize("method", [*PASSIVE, "input_gradient"])
def test_compute_dtype(params, method):
    narrow = {"dtype": jnp.bfloat16}
    if method not in PASSIVE:
        narrow = {"sampling": dataclasses.replace(SAMPLING, dtype=jnp.bfloat16)}
    half = METHODS[method](params, observation(), **narrow)
    full = METHODS[method](params, observation())
    for view in VIEWS:
        assert half.maps[view].dtype == jnp.float32
        scale = float(np.abs(full.maps[view]).max())
        difference = np.abs(half.maps[view] - full.maps[view]).max() / scale
        assert 1e-5 < difference < 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: gradient(p, num_probes=0), r"num_probes must be an integer >= 1, got 0"),
        (
            lambda p: gradient(p, noise=np.zeros((2, 3, 4))),
            r"noise must be \[2, 3, 5\].*\[2, 3, 4\]",
        ),
        (lambda p: gradient(p, action_horizon=7), r"noise must be \[2, 7, 5\].*got \[2, 3, 5\]"),
        (lambda p: gradient(p, noise_draws=0), "noise_draws must be an integer >= 1, got 0"),
        (lambda p: gradient(p, action_dims=6), r"action_dims must lie in 1..5, got 6"),
        (
            lambda p: gradient(p, action_dims=[5]),
            r"action_dims must be indices in 0..4, got \(5,\)",
        ),
        (lambda p: integrated(p, horizon=4), r"horizon must lie in 1..3 .*, got 4"),
        (lambda p: integrated(p, num_points=1.5), "num_points must be an integer >= 1, got 1.5"),
        (lambda p: integrated(p, blur_sigma=0.0), "blur_sigma must be positive .*, got 0.0"),
        (lambda p: integrated(p, reduction="max"), r"reduction must be one of .*, got 'max'"),
        (
            lambda p: baselines.attention(p, observation(images={VIEWS[0]: IMAGES[VIEWS[0]]})),
            "obs.images: lacks .*left_wrist_0_rgb.*right_wrist_0_rgb",
        ),
        (
            lambda p: baselines.token_norm(
                p, observation(images=IMAGES | {VIEWS[1]: np.zeros((2, SIZE, SIZE), np.float32)})
            ),
            r"obs.images\['left_wrist_0_rgb'\]: got shape \(2, 28, 28\), wanted \[2, h, w, 3\]",
        ),
        (
            lambda p: baselines.attention(p, observation(), valid={"front": np.ones((2, 28, 28))}),
            r"valid names views \['front'\]",
        ),
        (lambda p: gradient(p, observation(tokenized_prompt=None)), "obs: tokenized_prompt"),
        (
            lambda p: baselines.attention({k: p[k] for k in p if k != "PaliGemma"}, observation()),
            "PaliGemma/img/.*is missing",
        ),
    ],
)
def test_errors_name_the_argument(params, call, message):
    with pytest.raises(ValueError, match=message):
        call(params)


@pytest.mark.parametrize("method", [gradient, integrated])
def test_an_untrained_openpi_tree_gives_a_warning_and_no_saliency(params, method):
    tower = params["PaliGemma"]["img"]
    head = jax.tree.map(jnp.zeros_like, tower["head"])
    blind = params | {"PaliGemma": params["PaliGemma"] | {"img": tower | {"head": head}}}
    with pytest.warns(UserWarning, match="saliency is identically zero"):
        found = method(blind)
    assert not any(m.any() for m in found.maps.values())
