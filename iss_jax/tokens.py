"""Interventions on single tokens: exact significance of every visual and every language token.

Sec. 4.1: the embedding of one token is replaced by the mean embedding of its modality (Eq. 4, 5),
and the token scores by how far the action chunk moves (Eq. 6, with the action error of Eq. 18 or,
under the Gaussian policy, the divergence of Eq. 14-16). Nothing is sampled but the flow noise: one
run a token, where `saliency` estimates from masks on frames.
"""

import dataclasses
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from iss_jax import divergence
from iss_jax.attribution import micro_batch_rows
from iss_jax.interventions import replace_tokens
from iss_jax.masks import upsample
from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.pi05.params import as_params, sizes_of
from iss_jax.pi05.prepare import flow_noise, trim_prompt


class TokenMeans(NamedTuple):
    """Mean embedding of each modality (Eq. 5), in float32.

    Attributes:
        visual: Of image tokens.
        language: Of prompt tokens.
    """

    visual: Float[Array, " w"]
    language: Float[Array, " w"]


class TokenSignificance(NamedTuple):
    """Significance of every token of a batch of observations.

    Attributes:
        maps: View -> scores in pixels of the policy's input, bilinear; zero in absent views.
        views: View -> score of each image token, row by row.
        prompt: Score of each prompt token, zero at padding; as long as the prompt given.
        actions: The chunk that scores compare with, normalised.
    """

    maps: dict[str, Float[Array, "b h w"]]
    views: dict[str, Float[Array, "b t"]]
    prompt: Float[Array, "b l"]
    actions: Float[Array, "b horizon dims"]


def mean_embeddings(params: Any, observations: Iterable[Any]) -> TokenMeans:
    """Mean embedding of the visual and of the language tokens of a dataset, in one pass.

    Args:
        params: openpi's parameter tree, as for `saliency`.
        observations: Batches with openpi's `Observation` attributes. Tokens of absent views and of
            prompt padding do not count.

    Raises:
        ValueError: No visual or no language token in all of them.
    """
    params = as_params(params)
    image_size = sizes_of(params).image.image_size
    sums, counts = np.zeros((2, sizes_of(params).vlm.width)), np.zeros(2)
    for obs in observations:
        batch, count = _embedding_sums(params, preprocess(obs, image_size))
        sums, counts = sums + np.asarray(batch, np.float64), counts + np.asarray(count)
    if not counts.all():
        raise ValueError(
            f"mean_embeddings: {counts[0]:.0f} visual and {counts[1]:.0f} language tokens given, "
            "at least one of each wanted"
        )
    visual, language = (jnp.asarray(s / n, jnp.float32) for s, n in zip(sums, counts, strict=True))
    return TokenMeans(visual, language)


@jax.jit
def _embedding_sums(params: Any, obs: Observation) -> tuple[Array, Array]:
    prefix = model.embed_prefix(params, obs)
    visual = _visual_tokens(prefix, obs)
    weights = prefix.mask.astype(jnp.float32)
    sums, counts = [], []
    for part in (slice(None, visual), slice(visual, None)):
        tokens, weight = prefix.tokens[:, part].astype(jnp.float32), weights[:, part]
        sums.append(jnp.einsum("bsw,bs->w", tokens, weight, precision="highest"))
        counts.append(weight.sum())
    return jnp.stack(sums), jnp.stack(counts)


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
    num_steps: int = model.NUM_STEPS,
    action_horizon: int | None = None,
    dtype: Any = None,
) -> TokenSignificance:
    """Exact interventional significance of each visual and each language token (Eq. 4-6).

    Costs one run of the language model and the action expert for each token; the image encoder runs
    once. Prompt padding is trimmed when it is known. Scores of tokens that are not there (absent
    views, padding) are zero.

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
        num_steps: Denoising steps.
        action_horizon: H of the drawn noise; openpi's default of 50 when None.
        dtype: Compute dtype; that of the embedding table when None.

    Raises:
        ValueError: A leaf or array that is missing or of the wrong shape, by name, or a sigma that
            is not positive.
    """
    params = as_params(params)
    sizes = sizes_of(params)
    for name, mean in zip(TokenMeans._fields, means, strict=True):
        if jnp.shape(mean) != (sizes.vlm.width,):
            raise ValueError(f"means.{name} must be [{sizes.vlm.width}], got {jnp.shape(mean)}")
    if sigma is not None and not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    obs = preprocess(obs, sizes.image.image_size)
    prompt, mask = trim_prompt(obs.tokenized_prompt, obs.tokenized_prompt_mask)
    padding = obs.tokenized_prompt.shape[1] - prompt.shape[1]
    obs = dataclasses.replace(obs, tokenized_prompt=prompt, tokenized_prompt_mask=mask)
    # The noise that `saliency` draws from the same key.
    _, noise_key = jax.random.split(jax.random.key(0) if key is None else key)
    noise = flow_noise(noise, noise_key, prompt.shape[0], 1, action_horizon, sizes.action_dim)[:, 0]
    scores, actions = _significance(
        params,
        obs,
        means,
        noise,
        sigma=sigma,
        action_dims=action_dims,
        horizon=horizon,
        micro_batch=micro_batch,
        num_steps=num_steps,
        dtype=model.compute_dtype(params) if dtype is None else jnp.dtype(dtype),
    )
    count, side = sizes.image.tokens, sizes.image.image_size
    views = {view: scores[:, i * count : (i + 1) * count] for i, view in enumerate(VIEWS)}
    grid = round(count**0.5)
    maps = {
        view: upsample(score.reshape(-1, grid, grid), (side, side)) for view, score in views.items()
    }
    words = jnp.pad(scores[:, count * len(views) :], ((0, 0), (0, padding)))
    return TokenSignificance(maps, views, words, actions)


@partial(
    jax.jit,
    static_argnames=(
        "sigma",
        "action_dims",
        "horizon",
        "micro_batch",
        "num_steps",
        "dtype",
    ),
)
def _significance(
    params: Any,
    obs: Observation,
    means: TokenMeans,
    noise: Float[Array, "b horizon dims"],
    *,
    sigma: float | None,
    action_dims: int | tuple[int, ...] | None,
    horizon: int | None,
    micro_batch: int | None,
    num_steps: int,
    dtype: jnp.dtype,
) -> tuple[Float[Array, "b s"], Float[Array, "b horizon dims"]]:
    prefix = model.embed_prefix(params, obs, dtype)
    tokens = prefix.tokens.shape[1]
    is_visual = (jnp.arange(tokens) < _visual_tokens(prefix, obs))[:, None]
    mean = jnp.where(is_visual, means.visual[None], means.language[None]).astype(dtype)
    # The run that replaces nothing is the first row of the first micro-batch.
    rows = micro_batch_rows(tokens + 1, micro_batch)
    steps = -(-(tokens + 1) // rows)
    replaced = jnp.concatenate([jnp.full(1, -1), jnp.arange(steps * rows - 1)])
    replaced = replaced.reshape(steps, rows)

    def one(example: Any) -> tuple[Array, Array]:
        embedded, mask, noise = example

        def step(baseline: Array, args: tuple[Array, Array]) -> tuple[Array, Array]:
            first, chosen = args
            keep = chosen[:, None] != jnp.arange(tokens)[None]
            copies = replace_tokens(
                jnp.broadcast_to(embedded[None], (rows, *embedded.shape)), keep, mean[None]
            )
            masks = jnp.broadcast_to(mask[None], (rows, tokens))
            cache = model.prefill(params, model.Prefix(copies, masks))
            draws = jnp.broadcast_to(noise[None], (rows, *noise.shape))
            actions = model.denoise(params, cache, masks, draws, num_steps)
            baseline = jnp.where(first, actions[0], baseline)
            error = divergence.effects(
                actions,
                baseline,
                reduction="mean" if sigma is None else "sum",
                action_dims=action_dims,
                horizon=horizon,
            )
            return baseline, error if sigma is None else error / (2 * sigma**2)

        baseline, scores = jax.lax.scan(
            step, jnp.zeros_like(noise), (jnp.arange(steps) == 0, replaced)
        )
        scores = scores.reshape(-1)[1 : tokens + 1]
        return jnp.where(mask, scores, 0.0), baseline

    return jax.lax.map(one, (prefix.tokens, prefix.mask, noise))


def _visual_tokens(prefix: model.Prefix, obs: Observation) -> int:
    assert obs.tokenized_prompt is not None  # embedding the prefix has checked it
    return prefix.tokens.shape[1] - obs.tokenized_prompt.shape[1]
