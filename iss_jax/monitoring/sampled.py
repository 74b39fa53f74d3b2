"""Several action chunks of one frame, and the policy's own features: what other detectors read."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from iss_jax.pi05 import gemma, model
from iss_jax.pi05.observation import VIEWS, preprocess
from iss_jax.pi05.params import as_params, sizes_of
from iss_jax.sampling import Sampling

__all__ = ["Sampled", "action_chunk_entropy", "sampled"]


class Sampled(NamedTuple):
    """What one pass over the prefix and a few over the action expert give.

    Attributes:
        actions: One chunk a draw of noise, normalised.
        image: Image tokens before the language model, a mean over each view's tokens, views joined.
        hidden: The action expert's last tokens at the chunk of the first draw, a mean over the
            horizon.
    """

    actions: Float[Array, "draws horizon dims"]
    image: Float[Array, " i"]
    hidden: Float[Array, " w"]


def sampled(
    params: Any,
    obs: Any,
    noise: Float[Array, "draws horizon dims"],
    sampling: Sampling = Sampling(),
) -> Sampled:
    """Chunks of one observation under several draws of noise, and the policy's features.

    The prefix is computed once. Works inside `jit`.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> import jax
    >>> from iss_jax.monitoring.sampled import sampled
    >>> noise = jax.random.normal(jax.random.key(0), (4, 16, 7))
    >>> found = sampled(policy.params, obs, noise)
    >>> found.actions.shape, found.image.shape, found.hidden.shape
    ((4, 16, 7), (384,), (96,))

    Args:
        params: openpi's parameter tree, of a π0.5 or π0.
        obs: Batch of one with openpi's `Observation` attributes.
        noise: Flow noise.
        sampling: How the policy is run.

    Raises:
        ValueError: A batch of another size than one.
    """
    params = as_params(params)
    if jnp.shape(obs.state)[0] != 1:
        raise ValueError(f"obs: a batch of {jnp.shape(obs.state)[0]} given, of one wanted")
    sampling = sampling.resolved(model.compute_dtype(params))
    size = sizes_of(params).image.image_size
    return _sampled(params, obs, jnp.asarray(noise, jnp.float32), size=size, sampling=sampling)


@partial(jax.jit, static_argnames=("size", "sampling"))
def _sampled(params: Any, obs: Any, noise: Array, *, size: int, sampling: Sampling) -> Sampled:
    seen = preprocess(obs, size)
    prefix = model.embed_prefix(params, seen, sampling)
    cache = model.prefill(params, prefix, sampling)
    draws = noise.shape[0]
    cache = jax.tree.map(lambda own: jnp.repeat(own, draws, axis=1), cache)
    mask = jnp.repeat(prefix.mask, draws, axis=0)
    actions = model.denoise(params, cache, mask, noise, sampling)
    views = sum(view in seen.images for view in VIEWS)
    assert seen.tokenized_prompt is not None
    images = prefix.tokens[0, : prefix.tokens.shape[1] - seen.tokenized_prompt.shape[1]]
    pooled = images.reshape(views, -1, images.shape[-1]).astype(jnp.float32).mean(1)
    # The expert as it looks at the chunk that it has decided on, at the flow's last step.
    time = jnp.full((1,), 1.0 / sampling.num_steps, jnp.float32)
    tokens, condition = model.embed_actions(params, actions[:1], time)
    first = jax.tree.map(lambda own: own[:, :1], cache)
    out = gemma.suffix(
        params["PaliGemma"]["llm"], first, mask[:1], tokens.astype(cache.k.dtype), condition
    )
    return Sampled(actions, pooled.reshape(-1), out[0].astype(jnp.float32).mean(0))


def action_chunk_entropy(
    actions: Float[np.ndarray, "draws horizon dims"], width: float = 0.1
) -> float:
    """How far several chunks of one frame disagree: entropy of the actions' bins, in nats.

    Every step and dimension is cut into bins of one width. The entropy of the draws over the bins
    is averaged over steps and dimensions: 0 where all draws share a bin, ln(draws) where no two do.
    The idea of FIPER's action-chunk entropy (Römer et al. 2025); the bins are our own.

    >>> import numpy as np
    >>> from iss_jax.monitoring.sampled import action_chunk_entropy
    >>> action_chunk_entropy(np.zeros((4, 16, 7)))
    0.0
    >>> apart = np.arange(4.0)[:, None, None] * np.ones((4, 16, 7))
    >>> round(float(action_chunk_entropy(apart) / np.log(4)), 6)
    1.0

    Args:
        actions: Normalised, of dimensions that are alike in scale.
        width: Of a bin.

    Raises:
        ValueError: No two draws, or a width that is not positive.
    """
    actions = np.asarray(actions, np.float64)
    if actions.ndim != 3 or len(actions) < 2 or not width > 0:
        raise ValueError(
            f"actions: shape {list(actions.shape)} and bins of {width:g} given, at least 2 draws "
            "[draws, horizon, dims] and a positive width wanted"
        )
    bins = np.floor(actions.reshape(len(actions), -1) / width)
    same = (bins[:, None] == bins[None]).mean(1)  # [draws, n]: share of the draws in one's bin
    # Each draw counts its bin's −ln p; the mean over draws is the bins' entropy.
    return float(np.log(1.0 / same).mean())
