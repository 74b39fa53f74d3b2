"""Image tokens of a trained policy replaced by their mean, as `iss_jax.tokens` replaces them.

The policy's tokens come out of its image encoder, so that each of them has seen its whole view.
Only image tokens are replaced here, for the cue is in the picture:

- `single tokens`: each alone, one run a token.
- `single tokens, predicted`: some of them, the others predicted from gradients.
- `masks over tokens`: random sets of them, Algorithm 1 in token space.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange, repeat
from jaxtyping import Array, Float

from experiments.causes.attributions import Attribution
from experiments.distilled.measured import HORIZON, facts_of, rows_of
from experiments.distilled.scenes import CuedScene
from experiments.distilled.teacher import observe
from iss_jax import Sampling, estimators
from iss_jax.masks import sample_masks, upsample
from iss_jax.pi05.observation import Observation
from iss_jax.policies.restored import Policy
from iss_jax.tokens.gradient import slopes
from iss_jax.tokens.means import TokenMeans, mean_embeddings
from iss_jax.tokens.prefix import (
    Example,
    Layout,
    Options,
    checked_call,
    each_example,
    replaced_effects,
)
from iss_jax.tokens.sampled import combine, draw_tokens

SINGLE, PREDICTED, MASKED = "single tokens", "single tokens, predicted", "masks over tokens"

KEEP = 0.9
"""Of masks over tokens: the probability that one is kept, as `masked_token_significance` has it."""

PROBES = 4
GRADIENT = 1.2
"""What a gradient costs in runs, on this policy (`docs/results/tokens.md`)."""


class Predicted(NamedTuple):
    """How a budget is spent where some tokens are run and the others predicted.

    Attributes:
        top: Tokens of the largest first-order scores, which are run for certain.
        drawn: Tokens that are drawn from the others.
    """

    top: int
    drawn: int


def predicted(runs: int) -> Predicted:
    """So many runs, less the baseline, the gradients and their run, in two halves.

    >>> predicted(30)
    Predicted(top=11, drawn=12)

    Args:
        runs: The budget.

    Raises:
        ValueError: Too few runs to draw two tokens beside the gradients.
    """
    left = int(runs - 2 - PROBES * GRADIENT)
    if left < 3:
        raise ValueError(f"tokens: {runs} runs given, {3 + int(2 + PROBES * GRADIENT)} wanted")
    return Predicted(left // 2, left - left // 2)


def measured_by_tokens(
    scene: CuedScene,
    policy: Policy,
    *,
    key: Array,
    num_steps: int,
    longest: int,
    budgets: Sequence[int],
) -> list[dict[str, Any]]:
    """A row a method and budget.

    Args:
        scene: What is explained.
        policy: Whose actions.
        key: Of everything drawn.
        num_steps: Euler steps.
        longest: Prompts are padded or cut to this.
        budgets: Runs, baselines included. A budget has the methods that it pays for.
    """
    sampling = Sampling(num_steps=num_steps)
    obs = observe(policy, [scene.images], [scene.frame.state], [scene.named], longest)
    facts = facts_of(scene, policy, key, sampling, longest)
    means = donors_means(scene, policy, longest)
    return rows_of(scene, facts, by_tokens(policy, obs, means, key, sampling, budgets))


def donors_means(scene: CuedScene, policy: Policy, longest: int) -> TokenMeans:
    """Mean embeddings of the frames that other methods take their donors from."""
    views = list(scene.images)
    donors = [
        {view: np.asarray(scene.bank.images[view][i]) for view in views}
        for i in range(len(scene.bank))
    ]
    count = len(donors)
    obs = observe(policy, donors, [scene.frame.state] * count, [scene.named] * count, longest)
    return mean_embeddings(policy.params, [obs])


def by_tokens(
    policy: Policy,
    obs: Observation,
    means: TokenMeans,
    key: Array,
    sampling: Sampling,
    budgets: Sequence[int],
) -> Iterator[tuple[str, int, Attribution]]:
    """Name, runs and scores of every method that a budget pays for.

    Args:
        policy: Whose actions.
        obs: The scene as the policy sees it, a batch of one.
        means: What stands in a token's place.
        key: Split among flow noise, probes, draws and masks.
        sampling: How the policy is run.
        budgets: Runs, baselines included.
    """
    # The flow noise that `token_significance` draws from the same key.
    own_key, noise_key = jax.random.split(key)
    call = checked_call(
        policy.params, obs, means, noise_key, action_horizon=HORIZON, sampling=sampling
    )
    visual, largest = call.layout.visual, max(budgets)
    spent = {
        runs: predicted(runs)
        for runs in budgets
        if runs >= 3 + int(2 + PROBES * GRADIENT) and runs < visual
    }
    found = _scores(*call, own_key, spent=tuple(spent.values()), masks=tuple(budgets))
    exact, guessed, masked = jax.tree.map(lambda own: np.asarray(own)[0], found)
    per_view, size = call.layout.per_view, call.layout.image_size
    views = len(call.layout.views)
    if largest > visual:
        yield SINGLE, largest, of_patches(exact, views, per_view, size)
    for runs, scores in zip(spent, guessed, strict=True):
        yield PREDICTED, runs, of_patches(scores, views, per_view, size)
    for runs, scores in zip(budgets, masked, strict=True):
        cells = rearrange(scores, "(v r c) -> v r c", v=views, r=round(per_view**0.5))
        yield MASKED, runs, Attribution(np.asarray(upsample(jnp.asarray(cells), (size, size))))


def of_patches(
    scores: Float[np.ndarray, " tokens"], views: int, per_view: int, size: int
) -> Attribution:
    """Scores of tokens as effects of players: each is the patch of picture that it stands for.

    >>> found = of_patches(np.arange(8.0), views=2, per_view=4, size=4)
    >>> found.pixels[1].tolist()[0], found.labels[0].tolist()[3]
    ([4.0, 4.0, 5.0, 5.0], [2, 2, 3, 3])

    Args:
        scores: Of every token, view after view, row by row.
        views: How many.
        per_view: Tokens of one.
        size: Of the picture's side, pixels.
    """
    side = round(per_view**0.5)
    numbers = np.arange(views * per_view).reshape(views, side, side)
    labels = repeat(numbers, "v r c -> v (r h) (c w)", h=size // side, w=size // side)
    return Attribution(scores[labels], scores, None, labels)


@partial(jax.jit, static_argnames=("layout", "options", "spent", "masks"))
def _scores(
    params: Any,
    obs: Any,
    means: TokenMeans,
    noise: Array,
    layout: Layout,
    options: Options,
    key: Array,
    *,
    spent: tuple[Predicted, ...],
    masks: tuple[int, ...],
) -> tuple[Array, tuple[Array, ...], tuple[Array, ...]]:
    visual = layout.visual

    def analyse(example: Example, key: Array) -> tuple[Array, tuple[Array, ...], tuple[Array, ...]]:
        probe_key, draw_key, mask_key = jax.random.split(key, 3)
        tokens = example.mask.shape[0]
        keep = jnp.arange(visual)[:, None] != jnp.arange(tokens)[None]
        exact, _ = replaced_effects(params, example, keep, options)
        guess, _ = slopes(params, example, probe_key, PROBES, options)
        guess = guess[:visual]

        def partly(number: int, one: Predicted) -> Array:
            own = jax.random.fold_in(draw_key, number)
            chosen = draw_tokens(own, guess, one.top, one.drawn)
            top, drawn = (jnp.zeros(visual, bool).at[part].set(True) for part in chosen)
            return combine(guess, exact, top, drawn).predicted

        def under(number: int, count: int) -> Array:
            own = jax.random.fold_in(mask_key, number)
            bits = sample_masks(
                own, count, 1, grid=(1, visual), keep_prob=KEEP, design="balanced"
            ).reshape(count, visual)
            rows = jnp.pad(bits, ((0, 0), (0, tokens - visual)), constant_values=True)
            effects, _ = replaced_effects(params, example, rows, options)
            return estimators.estimate(
                bits, effects, estimator="centred", design="balanced", keep_prob=KEEP
            ).scores

        return (
            exact,
            tuple(partly(*one) for one in enumerate(spent)),
            tuple(under(*one) for one in enumerate(masks)),
        )

    keys = jax.random.split(key, noise.shape[0])
    return each_example(analyse, params, obs, means, noise, layout, options.sampling, keys)
