"""Stored runs back as arrays, with the features of their frames."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from experiments.accuracy.frames import USUAL, Frame
from experiments.amortising.samples import observed
from iss_jax.amortised import features_of
from iss_jax.amortised.head import Features
from iss_jax.data.dataset import Dataset
from iss_jax.pi05 import model
from iss_jax.pi05.observation import preprocess
from iss_jax.policies.restored import Policy
from iss_jax.sampling import Sampling


class Samples(NamedTuple):
    """All variations of all frames in a row, cells flattened.

    Attributes:
        features: Of each.
        masks: Keep bits of its runs.
        effects: Of the runs.
        gradients: With respect to the masks.
        groups: The seed of the frame's episode.
    """

    features: Features
    masks: Bool[np.ndarray, "s n cells"]
    effects: Float[np.ndarray, "s n"]
    gradients: Float[np.ndarray, "s n cells"]
    groups: list[str]


def read_samples(
    items: Sequence[Mapping[str, Any]],
    results: Sequence[Mapping[str, Any]],
    dataset: Dataset,
    policy: Policy,
    prompts: Sequence[str],
) -> Samples:
    """Samples of work items and of what `samples.measure` found."""
    parts: list[tuple[Features, np.ndarray, np.ndarray, np.ndarray]] = []
    groups: list[str] = []
    for item, result in zip(items, results, strict=True):
        obs, noise, masks = observed(item, dataset, policy, prompts)
        features = read_features(policy, obs, noise, item.get("num_steps", USUAL["num_steps"]))
        effects = np.asarray(result["effects"], np.float32)
        gradients = np.asarray(result["gradients"], np.float32)
        flat = (*effects.shape, -1)
        parts.append((features, np.asarray(masks).reshape(flat), effects, gradients.reshape(flat)))
        groups += [str(item["seed"])] * len(effects)
    features, masks, effects, gradients = jax.tree.map(
        lambda *leaves: np.concatenate(leaves), *parts
    )
    return Samples(features, masks, effects, gradients, groups)


def read_features(policy: Policy, obs: Any, noise: jax.Array, num_steps: int) -> Features:
    """Features of a batch, as arrays of the host."""
    sampling = Sampling(num_steps=num_steps)
    found = _features(policy.params, preprocess(obs, policy.image_size), noise, sampling)
    return jax.tree.map(np.asarray, found)


def features_of_frame(policy: Policy, frame: Frame) -> Features:
    """Features of one held-out frame, under its own flow noise."""
    return read_features(policy, frame.obs, jnp.asarray(frame.noise), frame.sampling.num_steps)


@functools.partial(jax.jit, static_argnames="sampling")
def _features(params: Any, obs: Any, noise: jax.Array, sampling: Sampling) -> Features:
    return features_of(params, obs, noise, sampling.resolved(model.compute_dtype(params)))[0]
