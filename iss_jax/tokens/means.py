"""Mean embedding of each modality over a dataset (Eq. 5)."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from iss_jax.pi05 import model
from iss_jax.pi05.observation import Observation, preprocess
from iss_jax.pi05.params import as_params, sizes_of
from iss_jax.records import Record, record


@record
class TokenMeans(Record):
    """Mean embedding of each modality (Eq. 5), in float32.

    >>> import jax.numpy as jnp
    >>> from iss_jax.tokens import TokenMeans
    >>> TokenMeans(visual=jnp.zeros(8), language=jnp.ones(8))
    TokenMeans
      visual:   float32 [8]
      language: float32 [8]

    Attributes:
        visual: Of image tokens.
        language: Of prompt tokens.
    """

    visual: Float[Array, " w"]
    language: Float[Array, " w"]


def mean_embeddings(params: Any, observations: Iterable[Any]) -> TokenMeans:
    """Mean embedding of the visual and of the language tokens of a dataset, in one pass.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> from iss_jax import tokens
    >>> means = tokens.mean_embeddings(policy.params, [obs])
    >>> means.visual.shape == means.language.shape
    True

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
    assert obs.tokenized_prompt is not None  # `preprocess` has checked it
    prefix = model.embed_prefix(params, obs)
    visual = prefix.tokens.shape[1] - obs.tokenized_prompt.shape[1]
    weights = prefix.mask.astype(jnp.float32)
    sums, counts = [], []
    for part in (slice(None, visual), slice(visual, None)):
        tokens, weight = prefix.tokens[:, part].astype(jnp.float32), weights[:, part]
        sums.append(jnp.einsum("bsw,bs->w", tokens, weight, precision="highest"))
        counts.append(weight.sum())
    return jnp.stack(sums), jnp.stack(counts)
