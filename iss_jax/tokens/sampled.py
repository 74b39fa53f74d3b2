r"""The exact significance of every token, estimated from runs of some of them.

Single-token scores are one number a run, so a token that is not run is known only through
something that predicts it. Here that is the first-order score g, from a few gradients, and the
design is a difference estimator (Särndal, Swensson and Wretman 1992, section 6.3):

- the prompt's tokens and the `num_top` visual tokens of the largest g are run, and so exact;
- of the M others, m are drawn without replacement and run. A token's estimate is b g_i, and for
  those drawn (M / m) (f_i - b g_i) more, f_i being the exact score. Over draws its mean is f_i,
  whatever g is.

The scale b is fitted to the tokens of the first kind, which no draw decides. What g predicts well
needs no runs; what it does not shows in the standard error.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from iss_jax.pi05.observation import VIEWS
from iss_jax.records import Record, record
from iss_jax.tokens.gradient import slopes
from iss_jax.tokens.means import TokenMeans
from iss_jax.tokens.prefix import (
    Example,
    Layout,
    Options,
    RunOptions,
    TokenSignificance,
    checked_call,
    each_example,
    replaced_effects,
    significance,
    split,
)


@record
class SampledSignificance(Record):
    """Estimates of `token_significance`; the prompt's scores are exact in both.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> from iss_jax import tokens
    >>> means = tokens.mean_embeddings(policy.params, [obs])
    >>> found = tokens.sampled_token_significance(
    ...     policy.params, obs, means, num_top=0, num_drawn=8, num_probes=0, action_horizon=16
    ... )
    >>> run = found.measured["base_0_rgb"]
    >>> exact, known = found.estimate.views["base_0_rgb"], found.predicted.views["base_0_rgb"]
    >>> run.shape == exact.shape == known.shape
    True

    Attributes:
        estimate: Unbiased for every token, and so are sums over tokens (`significance_total`).
            Tokens that were drawn stand for all that were not, so as a picture it is rough.
        predicted: Exact where a token was run, b g elsewhere with b fitted to those drawn: nearer
            to the exact scores token by token, but biased. For pictures and rankings.
        stderr: View -> standard error of `estimate`; zero where a token is run for certain. Of the
            other tokens it is the same for all: that of their mean square.
        measured: View -> tokens that were run.
        drawn: View -> of these, the ones that were drawn.
        residuals: View -> exact score less b g of those drawn, zero elsewhere.
        population: M, how many tokens there were to draw from.
    """

    estimate: TokenSignificance
    predicted: TokenSignificance
    stderr: dict[str, Float[Array, "b t"]]
    measured: dict[str, Bool[Array, "b t"]]
    drawn: dict[str, Bool[Array, "b t"]]
    residuals: dict[str, Float[Array, "b t"]]
    population: Int[Array, " b"]

    def plot(
        self, index: int | tuple[int, ...] = 0, *, frames: Mapping[str, Any] | None = None
    ) -> Any:
        """The predicted scores' maps, as `TokenSignificance.plot`."""
        return self.predicted.plot(index, frames=frames)


class Combined(NamedTuple):
    """What a draw says about each of t tokens, see `SampledSignificance`."""

    estimate: Float[Array, " t"]
    predicted: Float[Array, " t"]
    stderr: Float[Array, " t"]
    residuals: Float[Array, " t"]


def sampled_token_significance(
    params: Any,
    obs: Any,
    means: TokenMeans,
    *,
    num_top: int,
    num_drawn: int,
    num_probes: int = 8,
    key: Key[Array, ""] | None = None,
    **run: Unpack[RunOptions],
) -> SampledSignificance:
    """`token_significance` from fewer runs, unbiased, with standard errors.

    Costs a run for each prompt token, `num_top` + `num_drawn` more, and for the first-order scores
    one run and `num_probes` gradients. Without those of the parameters, a gradient is counted as
    1.2 runs on the embedded policy.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> from iss_jax import tokens
    >>> means = tokens.mean_embeddings(policy.params, [obs])
    >>> found = tokens.sampled_token_significance(
    ...     policy.params, obs, means, num_top=0, num_drawn=8, num_probes=0, action_horizon=16
    ... )
    >>> sum(int(run.sum()) for run in found.measured.values())
    8

    Args:
        params: openpi's parameter tree, as for `saliency`.
        obs: Batched object with openpi's `Observation` attributes.
        means: Replacements, from `mean_embeddings`.
        num_top: Visual tokens that are run for certain, those of the largest first-order scores.
        num_drawn: Visual tokens that are drawn from the others; at least two.
        num_probes: Gradients behind the first-order scores. 0 does without (`num_top` must be 0,
            too): a policy need not be differentiable then.
        key: Key of flow noise, probes and draw, `jax.random.key(0)` when None. The flow noise is
            that of `token_significance` with the same key.
        **run: The other options of `token_significance`.

    Raises:
        ValueError: As `token_significance`, or more tokens wanted than there are, or too few.
    """
    own_key, noise_key = jax.random.split(jax.random.key(0) if key is None else key)
    call = checked_call(params, obs, means, noise_key, **run)
    visual = call.layout.visual
    if num_top < 0 or num_drawn < 2 or num_top + num_drawn > visual:
        raise ValueError(
            f"num_top {num_top} and num_drawn {num_drawn} given, at least 0 and 2 and together at "
            f"most the {visual} visual tokens wanted"
        )
    if num_probes < 0 or (num_probes == 0 and num_top):
        raise ValueError(
            f"num_probes {num_probes} with num_top {num_top} given: without gradients nothing says "
            "which tokens are the top ones"
        )
    return _sampled(*call, own_key, num_top=num_top, num_drawn=num_drawn, num_probes=num_probes)


@partial(jax.jit, static_argnames=("layout", "options", "num_top", "num_drawn", "num_probes"))
def _sampled(
    params: Any,
    obs: Any,
    means: TokenMeans,
    noise: Array,
    layout: Layout,
    options: Options,
    key: Array,
    *,
    num_top: int,
    num_drawn: int,
    num_probes: int,
) -> SampledSignificance:
    visual = layout.visual

    def analyse(example: Example, key: Array) -> tuple[Combined, Array, Array, Array, Array]:
        probe_key, draw_key = jax.random.split(key)
        tokens = example.mask.shape[0]
        guess = jnp.zeros(tokens, jnp.float32)
        if num_probes:
            guess, _ = slopes(params, example, probe_key, num_probes, options)
        top, drawn = draw_tokens(draw_key, guess[:visual], num_top, num_drawn)
        run = jnp.concatenate([top, drawn, jnp.arange(visual, tokens)])
        keep = run[:, None] != jnp.arange(tokens)[None]
        found, baseline = replaced_effects(params, example, keep, options)
        scores = jnp.zeros(tokens, jnp.float32).at[run].set(found)
        scores = jnp.where(example.mask, scores, 0.0)
        is_top, is_drawn = (jnp.zeros(visual, bool).at[part].set(True) for part in (top, drawn))
        combined = combine(guess[:visual], scores[:visual], is_top, is_drawn)
        return combined, is_top | is_drawn, is_drawn, scores[visual:], baseline

    keys = jax.random.split(key, noise.shape[0])
    combined, measured, drawn, prompt, actions = each_example(
        analyse, params, obs, means, noise, layout, options.sampling, keys
    )

    def by_view(values: Array) -> dict[str, Array]:
        return split(values, layout)[0]

    def whole(values: Array) -> TokenSignificance:
        every = jnp.concatenate([values, prompt], axis=1)
        return significance(every, actions, layout, options)

    return SampledSignificance(
        whole(combined.estimate),
        whole(combined.predicted),
        by_view(combined.stderr),
        by_view(measured),
        by_view(drawn),
        by_view(combined.residuals),
        jnp.full(noise.shape[0], visual - num_top),
    )


def draw_tokens(
    key: Key[Array, ""], guess: Float[Array, " t"], num_top: int, num_drawn: int
) -> tuple[Int[Array, " top"], Int[Array, " drawn"]]:
    """The tokens of the largest guesses, and some of the others, drawn without replacement."""
    order = jnp.argsort(-guess, stable=True)
    others = jax.random.permutation(key, order[num_top:])
    return order[:num_top], others[:num_drawn]


def combine(
    guess: Float[Array, " t"],
    scores: Float[Array, " t"],
    top: Bool[Array, " t"],
    drawn: Bool[Array, " t"],
) -> Combined:
    """Estimates of all tokens' scores from those of the top ones and those drawn.

    Args:
        guess: First-order scores g, of all tokens.
        scores: Exact scores f; only those of `top` and `drawn` are read.
        top: Tokens that are run for certain.
        drawn: Tokens drawn from the others, without replacement.
    """
    others, m = ~top, drawn.sum(dtype=jnp.float32)
    population = others.sum(dtype=jnp.float32)
    scale = _ratio(scores, guess, top)
    residuals = jnp.where(drawn, scores - scale * guess, 0.0)
    weight = population / m
    estimate = jnp.where(top, scores, scale * guess + weight * residuals)
    # Each token's variance is (f - b g)² (1 - π) / π with π = m / M; those drawn tell the mean of
    # the squares.
    variance = jnp.square(residuals).sum() / m * (weight - 1.0)
    stderr = jnp.where(others, jnp.sqrt(variance), 0.0)
    predicted = jnp.where(top | drawn, scores, _ratio(scores, guess, drawn) * guess)
    return Combined(estimate, predicted, stderr, residuals)


def _ratio(scores: Array, guess: Array, chosen: Array) -> Array:
    total = jnp.where(chosen, guess, 0.0).sum()
    ratio = jnp.where(chosen, scores, 0.0).sum() / jnp.where(total > 0, total, 1.0)
    return jnp.where(total > 0, ratio, 1.0)


def significance_total(
    found: SampledSignificance, weights: dict[str, Float[Array, "b t"]]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Unbiased weighted sum of exact scores over visual tokens, and its standard error.

    With the nuisance share of each token's pixels as weights it is the significance of nuisance.
    The variance estimate is unbiased, too, as is that of any total under simple random sampling.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> from iss_jax import tokens
    >>> means = tokens.mean_embeddings(policy.params, [obs])
    >>> found = tokens.sampled_token_significance(
    ...     policy.params, obs, means, num_top=0, num_drawn=8, num_probes=0, action_horizon=16
    ... )
    >>> weights = {view: scores > 0 for view, scores in found.estimate.views.items()}
    >>> total, error = tokens.significance_total(found, weights)
    >>> total.shape, error.shape
    ((1,), (1,))

    Args:
        found: From `sampled_token_significance`.
        weights: View -> weight of each token; a view without an entry does not count.

    Raises:
        ValueError: An unknown view, or weights of another shape.
    """
    scores = found.estimate.views
    for view, weight in weights.items():
        if view not in scores or jnp.shape(weight) != scores[view].shape:
            wanted = {name: s.shape for name, s in scores.items()}
            raise ValueError(f"weights[{view!r}]: {jnp.shape(weight)} given, of {wanted} wanted")

    def joined(values: dict[str, Array]) -> Array:
        return jnp.concatenate([values[view] for view in VIEWS if view in weights], axis=1)

    weight = joined({view: jnp.asarray(w, jnp.float32) for view, w in weights.items()})
    # Of tokens drawn in views without weights the terms are zero, and count.
    m = jnp.stack(list(found.drawn.values())).sum((0, 2), dtype=jnp.float32)
    population = found.population.astype(jnp.float32)
    terms = weight * joined(found.residuals)
    mean = terms.sum(1) / m
    squares = jnp.square(terms).sum(1) - m * jnp.square(mean)
    variance = squares / (m - 1.0) * population**2 * (1.0 / m - 1.0 / population)
    return (weight * joined(scores)).sum(1), jnp.sqrt(jnp.maximum(variance, 0.0))
