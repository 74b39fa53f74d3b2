"""Scores from some of the tokens: against every possible draw, and against the exact scores."""

import itertools

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import estimators
from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS, preprocess
from iss_jax.pi05.params import sizes_of
from iss_jax.sampling import Sampling
from iss_jax.tokens import (
    SampledSignificance,
    TokenMeans,
    linear_token_significance,
    masked_token_significance,
    mean_embeddings,
    sampled_token_significance,
    significance_total,
    token_significance,
)
from iss_jax.tokens.prefix import checked_call, each_example, replaced_effects
from iss_jax.tokens.sampled import combine, draw_tokens

TOKENS, TOP, DRAWN = 8, 2, 3
GUESS = jnp.asarray([0.9, 0.1, 0.4, 0.0, 0.3, 0.2, 1.1, 0.3])
EXACT = jnp.asarray([1.5, 0.3, 0.1, 0.2, 0.9, 0.0, 1.2, 0.4])


def every_draw() -> list[tuple[np.ndarray, np.ndarray]]:
    """(top, drawn) of all draws of three from the six tokens that are not the top two."""
    top = np.isin(np.arange(TOKENS), np.argsort(-np.asarray(GUESS), kind="stable")[:TOP])
    others = np.flatnonzero(~top)
    return [
        (top, np.isin(np.arange(TOKENS), chosen))
        for chosen in itertools.combinations(others.tolist(), DRAWN)
    ]


def results() -> list:
    hide = lambda known: jnp.where(jnp.asarray(known), EXACT, jnp.nan)  # noqa: E731
    return [
        combine(GUESS, hide(top | drawn), jnp.asarray(top), jnp.asarray(drawn))
        for top, drawn in every_draw()
    ]


def test_over_all_draws_the_mean_is_the_exact_score_and_the_variance_that_of_the_draws():
    found = results()
    assert len(found) == 20
    estimates = np.stack([np.asarray(one.estimate, np.float64) for one in found])
    np.testing.assert_allclose(estimates.mean(0), EXACT, atol=1e-6)
    # One standard error stands for all tokens that may be drawn: its square is unbiased for the
    # mean of their variances.
    variances = estimates.var(0)
    stderr = np.stack([np.asarray(one.stderr, np.float64) for one in found])
    top = every_draw()[0][0]
    assert not variances[top].any() and not stderr[:, top].any()
    assert np.square(stderr)[:, ~top].mean() == pytest.approx(variances[~top].mean(), rel=1e-5)


def test_the_guess_decides_the_variance_and_never_the_mean():
    exact_guess = [
        combine(2.0 * EXACT, EXACT, jnp.asarray(top), jnp.asarray(drawn))
        for top, drawn in every_draw()
    ]
    for one in exact_guess:
        # Proportional to the scores, the guess leaves nothing to sample.
        np.testing.assert_allclose(one.estimate, EXACT, atol=1e-6)
        np.testing.assert_allclose(one.predicted, EXACT, atol=1e-6)
        assert float(one.stderr.max()) < 1e-6
    nothing = jnp.zeros(TOKENS, bool)
    none = combine(jnp.zeros(TOKENS), EXACT, nothing, jnp.asarray(every_draw()[0][1]))
    drawn = every_draw()[0][1]
    np.testing.assert_allclose(none.estimate, np.where(drawn, EXACT * TOKENS / DRAWN, 0), rtol=1e-6)


def test_totals_and_their_variances_are_unbiased_over_all_draws():
    weights = jnp.asarray([0.0, 1.0, 0.5, 0.0, 1.0, 2.0, 1.0, 0.0])
    totals, variances = [], []
    for (_, drawn), one in zip(every_draw(), results(), strict=True):
        empty = {view: jnp.zeros((1, 4)) for view in VIEWS}
        halves = lambda x: {VIEWS[0]: x[None, :4], VIEWS[2]: x[None, 4:]}  # noqa: E731
        estimate = type("Estimate", (), {"views": empty | halves(one.estimate)})()
        found = SampledSignificance(
            estimate,
            estimate,
            *2 * (empty,),
            {view: v.astype(bool) for view, v in (empty | halves(jnp.asarray(drawn))).items()},
            empty | halves(one.residuals),
            jnp.asarray([TOKENS - TOP]),
        )
        total, stderr = significance_total(found, halves(weights))
        totals.append(float(total[0]))
        variances.append(float(stderr[0]) ** 2)
    assert np.mean(totals) == pytest.approx(float((weights * EXACT).sum()), rel=1e-6)
    assert np.mean(variances) == pytest.approx(np.var(totals), rel=1e-4)


def test_every_other_token_is_drawn_equally_often():
    keys = jax.random.split(jax.random.key(0), 3000)
    top, drawn = jax.vmap(lambda key: draw_tokens(key, GUESS, TOP, DRAWN))(keys)
    assert np.unique(top).tolist() == [0, 6]
    counts = np.bincount(np.asarray(drawn).ravel(), minlength=TOKENS)
    others = [1, 2, 3, 4, 5, 7]
    assert counts[others].sum() == 3 * 3000 and counts[[0, 6]].sum() == 0
    # Each count is binomial with 3000 draws of probability 1/2: 5 standard deviations are 137.
    assert np.abs(counts[others] - 1500).max() < 137


@pytest.fixture(scope="module")
def case():
    params, obs = goldens.params("tiny_b"), goldens.observation("tiny_b", slice(0, 2))
    means = mean_embeddings(params, [obs])
    options = {"action_horizon": 3, "sampling": Sampling(1), "key": jax.random.key(5)}
    return params, obs, means, options


@pytest.fixture(scope="module")
def exact(case):
    params, obs, means, options = case
    return token_significance(params, obs, means, **options)


def test_what_is_run_is_exact_and_the_rest_follows_from_it(case, exact):
    params, obs, means, options = case
    sampled = sampled_token_significance(
        params, obs, means, num_top=2, num_drawn=3, num_probes=2, **options
    )
    np.testing.assert_allclose(sampled.estimate.prompt, exact.prompt, rtol=2e-3, atol=1e-7)
    np.testing.assert_allclose(sampled.estimate.actions, exact.actions, atol=1e-5)
    present = np.concatenate([np.asarray(obs.image_masks[v])[:, None] for v in VIEWS], axis=1)
    measured = np.stack([np.asarray(sampled.measured[view]) for view in VIEWS], axis=1)
    drawn = np.stack([np.asarray(sampled.drawn[view]) for view in VIEWS], axis=1)
    assert measured.sum((1, 2)).tolist() == [5, 5] and drawn.sum((1, 2)).tolist() == [3, 3]
    scores, estimate, predicted = (
        np.stack([np.asarray(one.views[view]) for view in VIEWS], axis=1)
        for one in (exact, sampled.estimate, sampled.predicted)
    )
    scale = scores.max()
    np.testing.assert_allclose(predicted[measured], scores[measured], rtol=2e-3, atol=1e-5 * scale)
    top = measured & ~drawn
    np.testing.assert_allclose(estimate[top], scores[top], rtol=2e-3, atol=1e-5 * scale)
    residuals = np.stack([np.asarray(sampled.residuals[view]) for view in VIEWS], axis=1)
    weight = (np.asarray(sampled.population) / 3.0)[:, None, None]
    by_hand = np.where(drawn, scores - residuals + weight * residuals, estimate)
    np.testing.assert_allclose(estimate, by_hand, rtol=2e-3, atol=1e-5 * scale)
    assert not estimate[~present].any()


def test_first_order_scores_are_norms_of_jacobian_vector_products(case):
    params, _, means, options = case
    obs = goldens.observation("tiny_b", slice(0, 1))
    linear = linear_token_significance(params, obs, means, num_probes=400, **options)
    sizes = sizes_of(params)
    prefix = model.embed_prefix(params, preprocess(obs, sizes.image.image_size))
    noise = jax.random.normal(jax.random.split(options["key"])[1], (1, 1, 3, sizes.action_dim))

    def actions(tokens):
        cache = model.prefill(params, model.Prefix(tokens, prefix.mask))
        return model.denoise(params, cache, prefix.mask, noise[:, 0], Sampling(1))

    moved = jax.jit(lambda step: jax.jvp(actions, (prefix.tokens,), (step,))[1])
    for view, token in ((0, 0), (0, 3), (2, 1)):
        place = view * sizes.image.tokens + token
        step = (
            jnp.zeros_like(prefix.tokens).at[0, place].set(means.visual - prefix.tokens[0, place])
        )
        wanted = float(jnp.square(moved(step)[0]).mean())
        # 400 random signs leave a relative standard error of at most 0.071.
        assert float(linear.views[VIEWS[view]][0, token]) == pytest.approx(wanted, rel=0.29)


def test_masks_over_tokens_are_the_estimators_on_the_effects_of_whole_sets(case, exact):
    params, obs, means, options = case
    found = masked_token_significance(
        params, obs, means, keep_prob=0.8, num_masks=20, design="bernoulli", **options
    )
    tokens = found.masks.shape[1]
    visual = exact.views[VIEWS[0]].shape[1] * len(VIEWS)
    lengths = exact.prompt.shape[1]
    assert found.masks.shape == (20, tokens) and visual < tokens <= visual + lengths
    present = [np.repeat(np.asarray(obs.image_masks[v])[0], visual // 3) for v in VIEWS]
    prompt = np.asarray(obs.tokenized_prompt_mask)[0, : tokens - visual]
    wanted = estimators.estimate(
        found.masks,
        found.effects[0],
        keep_prob=0.8,
        active=jnp.asarray(np.concatenate([*present, prompt])),
    )
    own = jnp.concatenate([*(found.scores.views[v][0] for v in VIEWS), found.scores.prompt[0]])
    np.testing.assert_allclose(own[:tokens], wanted.scores, rtol=1e-5)
    # A set's effect, by hand: the mask that keeps all but one token has that token's exact score.
    everything_else = jnp.ones((2, tokens), bool).at[0, 0].set(False)
    noise_key = jax.random.split(options["key"])[1]
    call = checked_call(params, obs, means, noise_key, sampling=Sampling(1), action_horizon=3)
    effects, _ = each_example(
        lambda example, _: replaced_effects(params, example, everything_else, call.options),
        params,
        call.obs,
        call.means,
        call.noise,
        call.layout,
        call.options.sampling,
    )
    np.testing.assert_allclose(effects[:, 0], exact.views[VIEWS[0]][:, 0], rtol=2e-3)
    np.testing.assert_allclose(effects[:, 1], 0, atol=1e-9)


def test_bad_counts_are_named(case):
    params, obs, means, options = case
    with pytest.raises(ValueError, match="num_top 0 and num_drawn 1 given"):
        sampled_token_significance(params, obs, means, num_top=0, num_drawn=1, **options)
    with pytest.raises(ValueError, match="without gradients nothing says"):
        sampled_token_significance(
            params, obs, means, num_top=1, num_drawn=2, num_probes=0, **options
        )
    with pytest.raises(ValueError, match="num_probes must be at least 1, got 0"):
        linear_token_significance(params, obs, means, num_probes=0, **options)
    assert isinstance(means, TokenMeans)
    with pytest.raises(ValueError, match="keep_prob must lie strictly between"):
        masked_token_significance(params, obs, means, keep_prob=1.0, **options)
