"""The policy's own pass, and a map beside its actions."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from iss_jax.amortised.head import Features, Head, contrasts_of_members
from iss_jax.checks import check_observation
from iss_jax.keys import batch_key, split_two
from iss_jax.pi0_fast.params import is_fast
from iss_jax.pi05 import gemma, model
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.pi05.params import as_params, sizes_of
from iss_jax.pi05.prepare import flow_noise, policy_observation
from iss_jax.sampling import Sampling


class Predicted(NamedTuple):
    """Actions of one pass and the map that a head predicts of it.

    Attributes:
        cells: Predicted contrast of each cell, E[delta | dropped] - E[delta | kept], in the unit
            that the head was taught in; zero in views that are absent. As `control` of
            `iss_jax.saliency` it is exact whatever it is worth.
        doubt: How far the members lie apart, as a share of the map's own spread over cells.
        actions: The action chunk, normalised.
    """

    cells: Float[Array, "b views gh gw"]
    doubt: Float[Array, " b"]
    actions: Float[Array, "b horizon dims"]


def predict(
    params: Any,
    obs: Any,
    head: Head,
    *,
    key: Key[Array, ""] | Key[Array, " b"] | None = None,
    noise: Float[Array, "b horizon dims"] | None = None,
    action_horizon: int | None = None,
    sampling: Sampling = Sampling(),
) -> Predicted:
    """A map in one pass: the policy's actions and, of its features, the contrast of every cell.

    >>> import numpy as np
    >>> import iss_jax
    >>> from iss_jax import amortised, embedded
    >>> policy = iss_jax.from_checkpoint(embedded.checkpoint_path(), "embedded", dtype=None)
    >>> frame = np.linspace(0, 255, 80 * 80 * 3).astype(np.uint8).reshape(80, 80, 3)
    >>> frames = {camera: frame for camera in policy.config.cameras.values()}
    >>> obs = policy.observation(frames, np.zeros(8), "pick up the milk")
    >>> head = amortised.load_head(embedded.head_path())
    >>> found = amortised.predict(policy.params, obs, head, action_horizon=16)
    >>> found.cells.shape, found.actions.shape
    ((1, 3, 7, 7), (1, 16, 7))

    Args:
        params: openpi's tree of the policy that the head was taught on.
        obs: Batched object with openpi's `Observation` attributes.
        head: Of `load_head`.
        key: Of the flow noise, split as `iss_jax.saliency` splits its own: the same key, the same
            noise.
        noise: Flow noise; drawn from the key when None.
        action_horizon: H of the drawn noise; openpi's default of 50 when None.
        sampling: Denoising steps, compute dtype, savings.

    Raises:
        ValueError: A head of other sizes than this policy's features, or what `iss_jax.saliency`
            refuses of params and obs.
    """
    check_observation(obs)
    params = as_params(params)
    if is_fast(params):
        raise ValueError("params: a π0-FAST given, a π0.5 or π0 wanted; heads read their prefix")
    sizes = sizes_of(params)
    obs = policy_observation(obs, sizes.vocab, trim=sampling.savings.trim_prompt)
    assert obs.tokenized_prompt is not None
    batch = obs.tokenized_prompt.shape[0]
    _, noise_key = split_two(batch_key(key, batch))
    noise = flow_noise(noise, noise_key, batch, 1, action_horizon, sizes.action_dim)[:, 0]
    sampling = sampling.resolved(model.compute_dtype(params))
    return _predict(params, obs, head, noise, sizes.image.image_size, sampling)


@partial(jax.jit, static_argnames=("image_size", "sampling"))
def _predict(
    params: Any, obs: Observation, head: Head, noise: Array, image_size: int, sampling: Sampling
) -> Predicted:
    obs = preprocess(obs, image_size)
    features, actions = features_of(params, obs, noise, sampling)
    check_features(head, features)
    each = contrasts_of_members(head, features)
    present = jnp.stack([obs.image_masks[view] for view in VIEWS], axis=1)
    each = jnp.where(present[None, :, :, None, None], each, 0.0)
    cells = each.mean(0)
    apart = jnp.sqrt(each.var(0, ddof=1).mean((1, 2, 3))) if head.members > 1 else jnp.inf
    spread = cells.std((1, 2, 3))
    return Predicted(cells, apart / jnp.maximum(spread, 1e-30), actions)


def features_of(
    params: Any, obs: Observation, noise: Float[Array, "b horizon dims"], sampling: Sampling
) -> tuple[Features, Float[Array, "b horizon dims"]]:
    """What a head reads of a pass, and the pass's actions.

    Args:
        params: Nested dict.
        obs: Preprocessed, with all views.
        noise: Flow noise.
        sampling: How the policy is run, its dtype resolved.
    """
    prefix = model.embed_prefix(params, obs, sampling)
    cache, hidden = gemma.prefill_with_hidden(
        params["PaliGemma"]["llm"],
        prefix.tokens,
        prefix.mask,
        last_layer_keys_only=sampling.savings.last_layer_keys_only,
    )
    cache = model.with_state(params, cache, prefix)
    actions = model.denoise(params, cache, prefix.mask, noise, sampling)
    prompt = obs.tokenized_prompt_mask
    assert prompt is not None
    batch, length = prompt.shape
    pictures = prefix.tokens.shape[1] - length
    read = hidden[-1].astype(jnp.float32)
    images = jnp.concatenate([prefix.tokens.astype(jnp.float32), read], axis=-1)[:, :pictures]
    weight = prompt.astype(jnp.float32)
    words = (read[:, pictures:] * weight[..., None]).sum(1)
    words = words / jnp.maximum(weight.sum(1), 1.0)[:, None]
    tokens = images.reshape(batch, len(VIEWS), -1, images.shape[-1])
    return Features(tokens, jnp.concatenate([words, actions.reshape(batch, -1)], axis=1)), actions


def check_features(head: Head, features: Features) -> None:
    """Says where a head is of another policy.

    Raises:
        ValueError: Its features have other sizes.
    """
    for name, own, given in zip(Features._fields, head.mean, features, strict=True):
        if own.shape != given.shape[1:]:
            raise ValueError(
                f"head: taught on {name} of shape {list(own.shape)}, this policy and its action "
                f"horizon give {list(given.shape[1:])}"
            )
