"""First-order significance of every token, from gradients of the action chunk."""

from functools import partial
from typing import Any, Unpack

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from iss_jax import divergence
from iss_jax.tokens.means import TokenMeans
from iss_jax.tokens.prefix import (
    Example,
    Layout,
    Options,
    RunOptions,
    TokenSignificance,
    checked_call,
    each_example,
    sample,
    significance,
)


def linear_token_significance(
    params: Any,
    obs: Any,
    means: TokenMeans,
    *,
    num_probes: int = 8,
    key: Key[Array, ""] | None = None,
    **run: Unpack[RunOptions],
) -> TokenSignificance:
    """`token_significance` to first order in the replacement, all tokens from a few gradients.

    The action chunk moves by J_i (mu_i - x_i) when token i moves a little of its way to the mean.
    The squared norm of that is estimated with random signs v (Hutchinson 1990): v · a has one
    gradient, whose product with mu_i - x_i has the right mean square. The paper's future work names
    such one-pass scores (Sec. 6). A replacement is no small step, so the scores are a surrogate of
    the exact ones, not an estimate: `sampled_token_significance` makes one of them.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> from iss_jax import tokens
    >>> means = tokens.mean_embeddings(policy.params, [obs])
    >>> found = tokens.linear_token_significance(
    ...     policy.params, obs, means, num_probes=2, action_horizon=16
    ... )
    >>> found.maps["base_0_rgb"].shape
    (1, 80, 80)

    Args:
        params: openpi's parameter tree, as for `saliency`.
        obs: Batched object with openpi's `Observation` attributes.
        means: Replacements, from `mean_embeddings`.
        num_probes: Backward passes; the relative standard error is at most sqrt(2 / num_probes).
        key: Key of flow noise and probes, `jax.random.key(0)` when None. The flow noise is that of
            `token_significance` with the same key.
        **run: The other options of `token_significance`.

    Raises:
        ValueError: As `token_significance`, or no probe.
    """
    if num_probes < 1:
        raise ValueError(f"num_probes must be at least 1, got {num_probes}")
    probe_key, noise_key = jax.random.split(jax.random.key(0) if key is None else key)
    call = checked_call(params, obs, means, noise_key, **run)
    return _linear(*call, probe_key, num_probes=num_probes)


@partial(jax.jit, static_argnames=("layout", "options", "num_probes"))
def _linear(
    params: Any,
    obs: Any,
    means: TokenMeans,
    noise: Array,
    layout: Layout,
    options: Options,
    key: Array,
    *,
    num_probes: int,
) -> TokenSignificance:
    def analyse(example: Example, key: Array) -> tuple[Array, Array]:
        return slopes(params, example, key, num_probes, options)

    keys = jax.random.split(key, noise.shape[0])
    scores, actions = each_example(
        analyse, params, obs, means, noise, layout, options.sampling, keys
    )
    return significance(scores, actions, layout, options)


def slopes(
    params: Any, example: Example, key: Array, num_probes: int, options: Options
) -> tuple[Float[Array, " s"], Float[Array, "horizon dims"]]:
    """First-order scores of an example's tokens, zero where none is, and its action chunk."""

    def chosen(tokens: Array) -> tuple[Array, Array]:
        actions = sample(params, example, tokens[None], options)[0]
        return divergence.select(actions, options.action_dims, options.horizon).ravel(), actions

    entries, pull, actions = jax.vjp(chosen, example.tokens, has_aux=True)
    step_to_mean = example.mean.astype(jnp.float32) - example.tokens.astype(jnp.float32)
    probes = jax.random.rademacher(key, (num_probes, *entries.shape), entries.dtype)

    def add(total: Array, probe: Array) -> tuple[Array, None]:
        (gradient,) = pull(probe)
        return total + jnp.square((gradient.astype(jnp.float32) * step_to_mean).sum(-1)), None

    total, _ = jax.lax.scan(add, jnp.zeros(example.mask.shape, jnp.float32), probes)
    squared = total / num_probes
    sigma = options.sigma
    scores = squared / entries.size if sigma is None else squared / (2 * sigma**2)
    return jnp.where(example.mask, scores, 0.0), actions
