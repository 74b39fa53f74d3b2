"""Maps of a requested accuracy: the rule, what it does to bias, one program for all rounds."""

import dataclasses
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import iss_jax
from iss_jax import ISSConfig, attribute, attribute_until, estimators, saliency_until
from iss_jax.adaptive import LEAST_ROUNDS, contrast_error
from iss_jax.masks import sample_masks, upsample
from iss_jax.sampling import Sampling
from tests import test_pi05_saliency as tiny_pi05
from tests.enumeration import target as exact_scores

RNG = np.random.default_rng(0)
IMAGES = {v: jnp.asarray(RNG.random((14, 14, 3)), jnp.float32) for v in ("front", "wrist")}
WEIGHTS = {v: jnp.asarray(0.2 * RNG.normal(size=(14, 14, 3, 4)), jnp.float32) for v in IMAGES}
COARSE = ISSConfig(num_masks=10, grid=(2, 2), blur_sigma=60.0)
params = tiny_pi05.params


def policy(images):
    features = sum(jnp.einsum("nhwc,hwcd->nd", images[v], WEIGHTS[v]) for v in sorted(images))
    return jnp.tanh(features)[:, None]


def test_all_rounds_are_one_program():
    """The policy's body runs when it is traced and at no other time."""
    traces = []

    def counted(images):
        traces.append(None)
        return policy(images)

    few = attribute_until(counted, IMAGES, target_stderr=1e-3, most_masks=40, config=COARSE)
    after_few = len(traces)
    many = attribute_until(counted, IMAGES, target_stderr=1e-3, most_masks=300, config=COARSE)
    assert (len(few.rounds), len(many.rounds)) == (4, 30)
    assert len(traces) == after_few > 0


@pytest.mark.parametrize(
    ("estimator", "design"),
    [("centred", "balanced"), ("fixed", "bernoulli"), ("clipped", "balanced")],
)
def test_the_map_is_that_of_one_call_with_all_masks(estimator, design):
    config = ISSConfig(num_masks=10, grid=(2, 2), estimator=estimator, design=design)
    found = attribute_until(policy, IMAGES, target_stderr=1e-3, most_masks=69, config=config)
    assert found.saliency.masks.shape == (60, 2, 2, 2)  # whole rounds, below the cap
    assert len(np.unique(np.packbits(found.saliency.masks.reshape(6, -1), axis=1), axis=0)) == 6
    once = attribute(policy, IMAGES, masks=found.saliency.masks, config=config)
    # Which copies fill up micro-batches depends on how many masks a call has.
    once = dataclasses.replace(once, floor=found.saliency.floor)
    chex.assert_trees_all_close(found.saliency, once, rtol=1e-4, atol=1e-6)
    if estimator != "clipped":
        np.testing.assert_allclose(found.saliency.cells, found.rounds.mean(0), rtol=1e-4)


@pytest.mark.parametrize("batched", [False, True])
def test_a_run_that_goes_on_is_the_run_that_did_not_stop(batched):
    images = {v: jnp.stack([x, 1 - x]) for v, x in IMAGES.items()} if batched else IMAGES
    options = {"most_masks": 2000, "config": COARSE, "key": jax.random.key(3)}
    short = attribute_until(policy, images, target_stderr=0.5, **options)
    longer = attribute_until(policy, images, target_stderr=0.2, so_far=short, **options)
    at_once = attribute_until(policy, images, target_stderr=0.2, **options)
    assert LEAST_ROUNDS <= len(short.rounds) < len(longer.rounds) < 200
    assert short.reached.all() and longer.reached.all() and (longer.error <= 0.2).all()
    chex.assert_trees_all_equal(longer, at_once)
    again = attribute_until(policy, images, target_stderr=0.2, so_far=longer, **options)
    chex.assert_trees_all_equal(longer, again)


def test_so_far_of_other_inputs_is_refused():
    def until(images=IMAGES, **options):
        given = {"target_stderr": 1e-3, "most_masks": 50, "config": COARSE} | options
        return attribute_until(policy, images, **given)

    found = until()
    with pytest.raises(ValueError, match="masks of another key"):
        until(so_far=found, key=jax.random.key(1))
    with pytest.raises(ValueError, match="actions differ"):
        until({v: 1 - x for v, x in IMAGES.items()}, so_far=found, most_masks=60)


def test_the_rule_cannot_be_traced():
    def error(images):
        return attribute_until(
            policy, images, target_stderr=0.5, most_masks=40, config=COARSE
        ).error

    with pytest.raises(TypeError, match=r"cannot be traced: call it outside jit"):
        jax.jit(error)(IMAGES)
    with pytest.raises(TypeError, match=r"cannot be traced: call it outside jit"):
        jax.vmap(error)({v: x[None] for v, x in IMAGES.items()})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_stderr": 0.0}, "target_stderr must be positive, got 0.0"),
        ({"most_masks": 39}, "hold 4 rounds of 10 masks .*, got 39"),
        ({"config": ISSConfig(estimator="ridge")}, "'ridge' shrinks each round"),
    ],
)
def test_impossible_requests(options, message):
    given = {"target_stderr": 0.5, "most_masks": 100, "config": COARSE} | options
    with pytest.raises(ValueError, match=message):
        attribute_until(policy, IMAGES, **given)


def test_absolute_target_and_rounds_without_a_size():
    plain = ISSConfig(grid=(2, 2), blur_sigma=60.0)
    free = attribute_until(policy, IMAGES, target_stderr=0.3, most_masks=5000, config=plain)
    assert free.saliency.masks.shape[0] == 50 * len(free.rounds)
    auto = ISSConfig(grid=(2, 2), estimator="auto")
    differentiated = attribute_until(
        policy, IMAGES, target_stderr=0.3, most_masks=40, config=auto
    ).saliency
    assert differentiated.gradients is not None and differentiated.effects.shape == (40,)
    error, spread = contrast_error(free.rounds, np.ones((2, 2, 2), bool))
    assert free.error == pytest.approx(error / spread)
    absolute = attribute_until(
        policy, IMAGES, target_stderr=error, most_masks=5000, relative=False, config=plain
    )
    assert absolute.error == pytest.approx(error) and len(absolute.rounds) == len(free.rounds)


def test_a_policy_that_sees_nothing_is_done_at_once_and_noise_never():
    blind = attribute_until(
        lambda images: jnp.zeros((len(images["front"]), 1, 1)),
        IMAGES,
        target_stderr=0.1,
        most_masks=400,
        config=COARSE,
    )
    assert len(blind.rounds) == LEAST_ROUNDS and blind.reached and blind.error == 0.0
    rounds = np.random.default_rng(0).normal(size=(40, 500, 1, 7, 7))
    error, spread = contrast_error(rounds, np.ones((500, 1, 7, 7), bool))
    # Half of all maps of pure noise have no spread left at all.
    assert 0.4 < (spread == 0.0).mean() < 0.65
    np.testing.assert_allclose(error.mean(), np.sqrt(48 / 49 / 40), rtol=0.01)


def test_contrast_error_leaves_out_absent_cells_and_the_common_mean():
    """Rounds of a known pattern, a common shift of their own each, and noise of variance 0.04."""
    rng = np.random.default_rng(0)
    pattern = rng.normal(size=(2, 5, 10))
    active = np.ones(pattern.shape, bool)
    active[1, :, 5:] = False
    count = 400
    rounds = pattern + rng.normal(0, 9, (count, 1, 1, 1)) + rng.normal(0, 0.2, (count, 2, 5, 10))
    rounds = np.where(active, rounds, 0.0)
    error, spread = contrast_error(rounds, active)
    assert error == pytest.approx(0.2 / np.sqrt(count) * np.sqrt(74 / 75), rel=0.02)
    assert spread == pytest.approx(pattern[active].std(), rel=0.01)


@pytest.mark.slow
def test_the_error_at_the_stop_is_the_one_that_was_claimed():
    """40 keys on a grid whose every mask is enumerated.

    A mean square over 40 maps of 7 free contrasts is known to within 8 %, and with so few cells
    stopping on a lucky look takes a little more. Scores keep to their joint standard error, and
    their mean over keys to the truth.
    """
    every = np.array(list(itertools.product([False, True], repeat=8))).reshape(-1, 2, 2, 2)
    every_effect = attribute(policy, IMAGES, masks=jnp.asarray(every), config=COARSE).effects
    exact = exact_scores(0.3, np.asarray(every_effect), every)
    contrast = exact - exact.mean()
    squares, claimed, covered, scores = [], [], [], []
    for seed in range(40):
        found = attribute_until(
            policy,
            IMAGES,
            target_stderr=0.2,
            most_masks=5000,
            key=jax.random.key(seed),
            config=COARSE,
        )
        assert found.reached and found.error <= 0.2
        cells = np.asarray(found.saliency.cells)
        squares.append(np.square(cells - cells.mean() - contrast).mean() / contrast.var())
        claimed.append(found.error**2)
        covered.append(np.abs(cells - exact) <= 1.96 * np.asarray(found.saliency.stderr))
        scores.append(cells)
    assert 0.8 < np.mean(squares) / np.mean(claimed) < 1.3
    assert 0.9 < np.mean(covered) < 0.98
    error = np.std(scores, axis=0, ddof=1) / np.sqrt(40)
    assert (np.abs(np.mean(scores, axis=0) - exact) < 4 * error).all()


def test_bias_of_stopping_is_the_covariance_of_score_and_disagreement():
    """16,000 streams of rounds whose mean effect and disagreement are one skewed variable.

    That is a gamma variable of shape 2, of coefficient of variation 0.71; after about 16 rounds a
    mean is then low by 0.18 of its standard error, to first order. Summed over rounds instead
    nothing is lost (Wald).
    """
    shape, about, streams, most = 2.0, 16, 16_000, 45
    rng = np.random.default_rng(0)
    square = rng.gamma(shape, size=(most, streams))
    signs = rng.permuted(np.tile([1.0, -1.0], (most, streams, 6)), axis=-1)
    rounds = (np.sqrt(square)[..., None] * signs)[:, :, None, None]
    target = np.sqrt(shape / about)
    active = np.ones((streams, 1, 1, 12), bool)
    stop = np.full(streams, most)
    for count in range(most, LEAST_ROUNDS - 1, -1):
        error, _ = contrast_error(rounds[:count], active)
        stop = np.where(error <= target, count, stop)
    assert (stop < most).mean() > 0.999
    total = (square - shape).cumsum(0)[stop - 1, np.arange(streams)]
    bias = (total / stop).mean() / np.sqrt(shape / about)
    assert bias == pytest.approx(-np.sqrt(1 / shape) / np.sqrt(about), abs=0.04)
    assert abs(total.mean()) < 4 * total.std() / np.sqrt(streams)


@pytest.mark.parametrize(("rounds", "most"), [(4, 1.2), (12, 1.05)])
def test_the_standard_error_of_balanced_rounds_together(rounds, most):
    """3,000 maps of balanced rounds of 10, mostly main effects: claimed over true variance.

    Rounds are balanced each by itself, which the estimator that takes all for one design does not
    know. It claims no less than there is, and a little more with few masks, as it does with as
    many in one design. The rounds' own spread is exact.
    """
    keys = jax.random.split(jax.random.key(0), (3000, rounds))
    slopes = jnp.linspace(0.0, 1.0, 12)

    def draw(key):
        return sample_masks(key, 10, 1, grid=(3, 4), design="balanced")

    def effect(masks):
        drops = 1.0 - masks.reshape(*masks.shape[:-3], 12).astype(jnp.float32)
        pairs = drops[..., 0] * drops[..., 5] - 0.5 * drops[..., 3] * drops[..., 11]
        return drops @ slopes + pairs

    @jax.jit
    @jax.vmap
    def one(keys):
        masks = jax.vmap(draw)(keys)
        alone = jax.vmap(lambda m: estimators.estimate(m, effect(m), design="balanced").scores)
        masks_together = masks.reshape(-1, *masks.shape[2:])
        whole = estimators.estimate(masks_together, effect(masks_together), design="balanced")
        return whole, alone(masks)

    whole, alone = one(keys)
    np.testing.assert_allclose(whole.scores, alone.mean(1), rtol=1e-4)
    true = np.asarray(whole.scores).var(0, ddof=1).mean()
    assert 0.95 < np.square(whole.stderr).mean() / true < most
    between = np.asarray(alone).var(1, ddof=1).mean() / rounds
    assert between == pytest.approx(true, rel=0.05)


def test_pi05_rounds_share_noise_and_leave_absent_views_out(params):
    obs = tiny_pi05.observation(
        image_masks={
            "base_0_rgb": np.array([True, True]),
            "left_wrist_0_rgb": np.array([True, False]),
            "right_wrist_0_rgb": np.array([False, False]),
        }
    )
    config = ISSConfig(num_masks=10, grid=(2, 2), micro_batch=11)
    key = jax.random.key(5)
    options = {"action_horizon": tiny_pi05.HORIZON, "sampling": Sampling(2)}
    options |= {"key": key, "config": config}
    found = saliency_until(params, obs, target_stderr=1e-3, most_masks=49, **options)
    masks = found.saliency.masks[30:40]
    last = iss_jax.saliency(params, obs, masks=masks, **options)
    np.testing.assert_array_equal(found.saliency.actions, last.actions)
    np.testing.assert_array_equal(found.saliency.effects[:, 30:], last.effects)
    np.testing.assert_array_equal(found.rounds[3], last.cells)
    whole = found.saliency
    for view, inside in last.valid.items():
        index = list(last.valid).index(view)
        pixels = upsample(whole.cells[:, index], inside.shape[1:])
        np.testing.assert_allclose(whole.maps[view], np.where(inside, pixels, 0.0), rtol=1e-5)
    active = np.zeros((2, 3, 2, 2), bool)
    active[:, 0] = active[0, 1] = True
    np.testing.assert_array_equal(np.asarray(whole.cells) != 0.0, active)
    assert found.error.shape == (2,) and not found.reached.any()
    error, spread = contrast_error(found.rounds, active)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(found.error, error / spread)
