"""Token interventions against one hand-made run a token, on a model with openpi's goldens."""

import dataclasses

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax.divergence import gaussian_kl
from iss_jax.masks import upsample
from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS, preprocess
from iss_jax.pi05.params import sizes_of
from iss_jax.sampling import Sampling
from iss_jax.tokens import TokenMeans, mean_embeddings, token_significance

SAMPLING = Sampling(2)


@pytest.fixture(scope="module")
def case():
    params, obs = goldens.params("tiny_b"), goldens.observation("tiny_b")
    sizes = sizes_of(params)
    noise = jax.random.normal(jax.random.key(3), (obs.state.shape[0], 4, sizes.action_dim))
    return params, preprocess(obs, sizes.image.image_size), noise, sizes


@pytest.fixture(scope="module")
def found(case):
    params, obs, noise, _ = case
    means = mean_embeddings(params, [obs])
    return token_significance(params, obs, means, noise=noise, sampling=SAMPLING), means


@jax.jit
def run_prefix(params, obs, noise, token, mean):
    """Actions of the whole, untrimmed prefix with one token replaced; none past its end."""
    prefix = model.embed_prefix(params, obs)
    replaced = model.Prefix(prefix.tokens.at[:, token].set(mean[None], mode="drop"), prefix.mask)
    cache = model.prefill(params, replaced)
    return model.denoise(params, cache, replaced.mask, noise, SAMPLING)


def by_hand(case, means, example, token):
    """One run with one token replaced."""
    params, obs, noise, sizes = case
    visual = 3 * sizes.image.tokens
    token = np.iinfo(np.int32).max if token is None else token
    mean = means.visual if token < visual else means.language
    return run_prefix(params, obs, noise, token, mean)[example]


def test_scores_are_the_runs_with_one_token_replaced(case, found):
    result, means = found
    sizes = case[3]
    baseline = by_hand(case, means, 0, None)
    np.testing.assert_allclose(result.actions[0], baseline, atol=1e-5)
    largest = max(float(score.max()) for score in result.views.values())
    count = sizes.image.tokens
    for token in (0, count - 1, count, 3 * count - 1):
        wanted = jnp.square(by_hand(case, means, 0, token) - baseline).mean()
        score = result.views[VIEWS[token // count]][0, token % count]
        np.testing.assert_allclose(score, wanted, rtol=2e-3, atol=1e-5 * largest)
    for word in (0, 1):
        wanted = jnp.square(by_hand(case, means, 0, 3 * count + word) - baseline).mean()
        np.testing.assert_allclose(result.prompt[0, word], wanted, rtol=2e-3, atol=1e-5 * largest)


def test_tokens_that_are_not_there_score_zero_and_maps_are_upsampled(case, found):
    result, _ = found
    _, obs, _, sizes = case
    mask = np.asarray(obs.tokenized_prompt_mask)
    assert result.prompt.shape == mask.shape
    assert not np.asarray(result.prompt)[~mask].any() and np.asarray(result.prompt)[mask].any()
    side = sizes.image.image_size
    for view in VIEWS:
        there = np.asarray(obs.image_masks[view])
        scores = np.asarray(result.views[view])
        assert not scores[~there].any() and (scores[there] > 0).all()
        grid = result.views[view].reshape(len(there), *2 * (round(sizes.image.tokens**0.5),))
        np.testing.assert_array_equal(result.maps[view], upsample(grid, (side, side)))
    assert not all(np.asarray(obs.image_masks[view]).all() for view in VIEWS)


@pytest.mark.parametrize("micro_batch", [pytest.param(1, marks=pytest.mark.slow), 7])
def test_micro_batches_and_jit_change_rounding_only(case, found, micro_batch):
    params, obs, noise, _ = case
    result, means = found
    call = jax.jit(
        lambda params, obs: token_significance(
            params, obs, means, noise=noise, sampling=SAMPLING, micro_batch=micro_batch
        )
    )
    other = call(params, obs)
    for view in VIEWS:
        largest = float(jnp.max(result.views[view]))
        np.testing.assert_allclose(
            other.views[view], result.views[view], rtol=1e-3, atol=1e-5 * largest
        )
    np.testing.assert_allclose(other.actions, result.actions, atol=1e-5)


def test_sigma_scores_in_nats_of_the_chosen_steps(case, found):
    params, obs, noise, sizes = case
    _, means = found
    options = {"noise": noise, "sampling": SAMPLING, "action_dims": 2, "horizon": 3}
    nats = token_significance(params, obs, means, sigma=0.5, **options)
    count = sizes.image.tokens
    baseline = by_hand(case, means, 0, None)[:3, :2]
    for token, score in (
        (count, nats.views[VIEWS[1]][0, 0]),
        (2 * count - 1, nats.views[VIEWS[1]][0, count - 1]),
        (3 * count, nats.prompt[0, 0]),
        (3 * count + 1, nats.prompt[0, 1]),
    ):
        moved = by_hand(case, means, 0, token)[:3, :2]
        np.testing.assert_allclose(score, gaussian_kl(moved, baseline, 0.5), rtol=2e-3, atol=1e-7)
        # Of six numbers, each by half the square over the variance.
        wanted = 6 / (2 * 0.25) * jnp.square(moved - baseline).mean()
        np.testing.assert_allclose(score, wanted, rtol=2e-3, atol=1e-7)


def test_means_are_those_of_all_tokens_that_are_there(case):
    params, obs, _, sizes = case
    half = [jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], obs) for i in range(len(obs.state))]
    means = mean_embeddings(params, half)
    prefix = model.embed_prefix(params, obs)
    tokens, mask = np.asarray(prefix.tokens, np.float64), np.asarray(prefix.mask)
    visual = 3 * sizes.image.tokens
    np.testing.assert_allclose(
        means.visual, tokens[:, :visual][mask[:, :visual]].mean(0), atol=1e-5
    )
    np.testing.assert_allclose(
        means.language, tokens[:, visual:][mask[:, visual:]].mean(0), atol=1e-5
    )


def test_bad_input_is_named(case, found):
    params, obs, noise, sizes = case
    _, means = found
    with pytest.raises(ValueError, match=rf"means.language must be \[{sizes.vlm.width}\]"):
        token_significance(params, obs, TokenMeans(means.visual, jnp.zeros(3)), noise=noise)
    with pytest.raises(ValueError, match="sigma must be positive, got 0"):
        token_significance(params, obs, means, noise=noise, sigma=0)
    with pytest.raises(ValueError, match="0 visual and 0 language tokens"):
        mean_embeddings(params, [])
    with pytest.raises(ValueError, match="tokenized_prompt"):
        token_significance(
            params, dataclasses.replace(obs, tokenized_prompt=None), means, noise=noise
        )
