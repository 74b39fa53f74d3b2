"""One frame by two divergences: the KL of action tokens, and the squared error of the actions."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from experiments.fast_student.tokens import ActionTokens, decode
from iss_jax import (
    EffectsConfig,
    ISSConfig,
    Players,
    Sampling,
    attribute,
    attribute_players,
    player_effects,
    saliency,
)
from iss_jax.background import Background
from iss_jax.masked_runs import draw_masks
from iss_jax.pi0_fast.observation import FastInputs, FastObservation, fast_inputs, fitted_frames
from iss_jax.pi0_fast.params import fast_sizes_of
from iss_jax.pi0_fast.saliency import greedy_answer


def both(
    params: Any,
    obs: FastObservation,
    players: Players,
    bank: Background,
    act: Callable[..., Array],
    sampling: Sampling,
    *,
    key: Array,
    masks: int,
    draws: int,
) -> dict[str, Any]:
    """Effects of the same masks and of the same replaced players by either divergence.

    Args:
        params: A π0-FAST.
        obs: A batch of one, frames at the model's size in [-1, 1].
        players: Labels, a batch of one.
        bank: Donors.
        act: `actions` of its tokens, one function for all frames, which is compiled once.
        sampling: With the length of its answers.
        key: Of masks and donors.
        masks: Of each of two independent halves.
        draws: Of each player.

    Returns:
        `kl` and `error`: `effects` [2, masks] and `cells` [2, v, gh, gw] of the halves, `players`
        [p] and `shares` [p].
    """
    policy = jax.tree_util.Partial(act, params, fast_inputs(obs, fast_sizes_of(params).vocab))
    config = ISSConfig(num_masks=masks, estimator="centred")
    found: dict[str, Any] = {"kl": {}, "error": {}}
    halves: dict[str, list[Any]] = {"kl": [], "error": []}
    for half in jax.random.split(jax.random.fold_in(key, 0)):
        drawn = draw_masks(half[None], len(obs.images), config)
        by_kl = saliency(params, obs, config=config, masks=drawn, sampling=sampling)
        by_error = attribute(policy, obs.images, config=config, masks=drawn)
        halves["kl"].append(by_kl)
        halves["error"].append(by_error)
    for name, maps in halves.items():
        found[name]["effects"] = np.stack([np.asarray(one.effects)[0] for one in maps]).tolist()
        found[name]["cells"] = np.stack([np.asarray(one.cells)[0] for one in maps]).tolist()
    options = {"key": jax.random.fold_in(key, 1), "config": EffectsConfig(draws=draws)}
    acted = {
        "kl": player_effects(params, obs, players, bank, sampling=sampling, **options),
        "error": attribute_players(policy, obs.images, players, bank, **options),
    }
    for name, effects in acted.items():
        found[name]["players"] = np.asarray(effects.effects)[0].tolist()
        found[name]["shares"] = np.asarray(effects.share)[0].tolist()
    return found


def actions(
    params: Any,
    inputs: FastInputs,
    images: dict[str, Float[Array, "n h w 3"]],
    *,
    tokens: ActionTokens,
    sampling: Sampling,
) -> Float[Array, "n horizon dims"]:
    """The chunks of the greedy answers to other frames."""
    answer = greedy(params, inputs, images, sampling)
    return decode(tokens, answer[:, : tokens.length])


def greedy(
    params: Any,
    inputs: FastInputs,
    images: dict[str, Float[Array, "n h w 3"]],
    sampling: Sampling,
) -> Int[Array, "n t"]:
    """The greedy answers to other frames with an observation's prompt."""
    count = len(next(iter(images.values())))
    rows = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape[1:])), inputs._replace(images={})
    )
    size = next(iter(images.values())).shape[1]
    frames = fitted_frames(images, size)
    return greedy_answer(params, rows._replace(images=frames), size, sampling)
