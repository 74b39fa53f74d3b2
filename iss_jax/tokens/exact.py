"""Exact significance of every visual and every language token, one run each."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from iss_jax.sampling import Sampling
from iss_jax.tokens.means import TokenMeans
from iss_jax.tokens.prefix import (
    Example,
    Layout,
    Options,
    TokenSignificance,
    checked_call,
    each_example,
    replaced_effects,
    significance,
)


def token_significance(
    params: Any,
    obs: Any,
    means: TokenMeans,
    *,
    key: Key[Array, ""] | None = None,
    noise: Float[Array, "b horizon dims"] | None = None,
    sigma: float | None = None,
    action_dims: int | tuple[int, ...] | None = None,
    horizon: int | None = None,
    micro_batch: int | None = None,
    action_horizon: int | None = None,
    sampling: Sampling = Sampling(),
) -> TokenSignificance:
    """Exact interventional significance of each visual and each language token (Eq. 4-6).

    The embedding of one token is replaced by the mean embedding of its modality, and the token
    scores by how far the action chunk moves. Costs one run of the language model and the action
    expert for each token; the image encoder runs once. Prompt padding and absent views are left out
    when they are known. Scores of tokens that are not there (absent views, padding) are zero.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> from iss_jax import Sampling, tokens
    >>> means = tokens.mean_embeddings(policy.params, [obs])
    >>> found = tokens.token_significance(
    ...     policy.params, obs, means, action_horizon=16, sampling=Sampling(num_steps=1)
    ... )
    >>> found.maps["base_0_rgb"].shape, found.prompt.shape == obs.tokenized_prompt.shape
    ((1, 80, 80), True)

    Args:
        params: openpi's parameter tree, as for `saliency`.
        obs: Batched object with openpi's `Observation` attributes.
        means: Replacements, from `mean_embeddings`.
        key: Key of the flow noise, `jax.random.key(0)` when None.
        noise: Flow noise, shared by all runs of an example; drawn from the key when None.
        sigma: Standard deviation of the Gaussian policy in normalised action units: scores are then
            KL divergences in nats (Eq. 14-16), over the chosen steps and dimensions. None scores
            with the mean squared action error.
        action_dims: The first k action dimensions, or their indices; all when None.
        horizon: The first steps of the chunk that count; all when None.
        micro_batch: Runs of an example at once; chosen when None.
        action_horizon: H of the drawn noise; openpi's default of 50 when None.
        sampling: Denoising steps, compute dtype, rematerialisation, savings.

    Raises:
        ValueError: A leaf or array that is missing or of the wrong shape, by name, or a sigma that
            is not positive.
    """
    # The noise that `saliency` draws from the same key.
    _, noise_key = jax.random.split(jax.random.key(0) if key is None else key)
    call = checked_call(
        params,
        obs,
        means,
        noise_key,
        noise=noise,
        sigma=sigma,
        action_dims=action_dims,
        horizon=horizon,
        micro_batch=micro_batch,
        action_horizon=action_horizon,
        sampling=sampling,
    )
    return _significance(*call)


@partial(jax.jit, static_argnames=("layout", "options"))
def _significance(
    params: Any, obs: Any, means: TokenMeans, noise: Array, layout: Layout, options: Options
) -> TokenSignificance:
    def analyse(example: Example, _: None) -> tuple[Array, Array]:
        keep = ~jnp.eye(example.mask.shape[0], dtype=bool)
        scores, baseline = replaced_effects(params, example, keep, options)
        return jnp.where(example.mask, scores, 0.0), baseline

    scores, actions = each_example(analyse, params, obs, means, noise, layout, options.sampling)
    return significance(scores, actions, layout, options)
