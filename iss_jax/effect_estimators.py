"""From runs with sets of players replaced to each player's effect, draw by draw.

v(S) is how far the action chunk moves when the players in S are replaced. A draw has its own donor
and flow noise, so that draws are independent and their spread is the error.

- `one_at_a_time`: v({i}).
- `shapley`: the mean of v(S + i) - v(S) over all orders; the effects of a draw add up to v(all).
- `banzhaf`: the mean of v(S + i) - v(S) over random halves S, each run with its complement.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from iss_jax.effects_config import MOST_SHAPLEY_PLAYERS, EffectsConfig


def replaced_sets(
    key: Key[Array, ""], players: int, config: EffectsConfig
) -> Bool[Array, "draws sets players"]:
    """The sets of players that each draw replaces.

    Raises:
        ValueError: More players than exact Shapley values can be had of, or one to halve.
    """
    if config.estimator == "one_at_a_time":
        return jnp.broadcast_to(jnp.eye(players, dtype=bool), (config.draws, players, players))
    if config.estimator == "shapley":
        if players > MOST_SHAPLEY_PLAYERS:
            raise ValueError(
                f"estimator 'shapley' runs all sets of at most {MOST_SHAPLEY_PLAYERS} players, got "
                f"{players}: use 'banzhaf'"
            )
        sets = _all_sets(players)[1:]
        return jnp.broadcast_to(sets, (config.draws, *sets.shape))
    if players < 2:
        raise ValueError(f"estimator 'banzhaf' halves the players, got {players}")
    halves = jax.random.bernoulli(key, 0.5, (config.draws, config.pairs, players))
    return jnp.concatenate([halves, ~halves], axis=1)


def _all_sets(players: int) -> Bool[np.ndarray, "sets players"]:
    return np.array(list(itertools.product([False, True], repeat=players)), bool)


def effects_by_draw(
    values: Float[Array, "draws sets"], sets: Bool[Array, "draws sets players"], estimator: str
) -> Float[Array, "draws players"]:
    """Each draw's estimate of every player's effect.

    >>> import jax.numpy as jnp
    >>> sets = jnp.asarray([[[False, True], [True, False], [True, True]]])
    >>> effects_by_draw(jnp.array([[2.0, 1.0, 5.0]]), sets, "shapley").tolist()
    [[2.0, 3.0]]

    Args:
        values: v of each set.
        sets: As `replaced_sets` gives them.
        estimator: Of `EffectsConfig`.
    """
    players = sets.shape[-1]
    if estimator == "one_at_a_time":
        return values
    if estimator == "shapley":
        return jnp.einsum("ds,sp->dp", values, shapley_weights(players)[1:], precision="highest")
    dropped = sets.astype(values.dtype)
    # Each half has its complement, so that a player is in half of a draw's sets.
    return jnp.einsum("ds,dsp->dp", values, 2.0 * dropped - 1.0, precision="highest") / (
        values.shape[1] / 2
    )


def shapley_weights(players: int) -> Float[np.ndarray, "sets players"]:
    """Weight of v(S) in each player's Shapley value; sets in the order of `itertools.product`.

    >>> shapley_weights(2).tolist()
    [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]
    """
    sets = _all_sets(players)
    weights = np.zeros(sets.shape)
    for row, members in enumerate(sets):
        size = int(members.sum())
        for player, is_in in enumerate(members):
            before = size - 1 if is_in else size
            share = math.factorial(before) * math.factorial(players - before - 1)
            weights[row, player] = (1 if is_in else -1) * share / math.factorial(players)
    return weights


@jax.jit
def mean_and_covariance(
    by_draw: Float[Array, "*b draws players"],
) -> tuple[Float[Array, "*b players"], Float[Array, "*b players players"]]:
    """The mean over draws and its covariance; infinite variances of a single draw."""
    draws, players = by_draw.shape[-2:]
    mean = by_draw.mean(-2)
    if draws < 2:
        unknown = jnp.where(jnp.eye(players, dtype=bool), jnp.inf, 0.0).astype(by_draw.dtype)
        return mean, jnp.broadcast_to(unknown, (*mean.shape, players))
    rest = by_draw - mean[..., None, :]
    squares = jnp.einsum("...di,...dj->...ij", rest, rest, precision="highest")
    return mean, squares / (draws * (draws - 1))


def shares(
    effects: Float[Array, "*b players"], covariance: Float[Array, "*b players players"]
) -> tuple[Float[Array, "*b players"], Float[Array, "*b players"]]:
    """Each player's share of the sum of the effects, and its standard error by the delta method.

    The share of i is e_i / T, its gradient (1{i = j} - share_i) / T: errors that all players share,
    such as those of a donor that changes everything more, cancel.

    Args:
        effects: Means over draws.
        covariance: Of those means.

    Returns:
        Shares and errors; 0 and infinity where the effects sum up to nothing.
    """
    players = effects.shape[-1]
    weights = jnp.broadcast_to(
        jnp.eye(players, dtype=effects.dtype), (*effects.shape[:-1], players, players)
    )
    return weighted_share(effects, covariance, weights)


@jax.jit
def weighted_share(
    effects: Float[Array, "*b players"],
    covariance: Float[Array, "*b players players"],
    weights: Float[Array, "*b w players"],
) -> tuple[Float[Array, "*b w"], Float[Array, "*b w"]]:
    """Σ w_i e_i / Σ e_i for each row of weights, and its standard error.

    Args:
        effects: Means over draws.
        covariance: Of those means.
        weights: Such as the part of each player that is nuisance.
    """
    total = effects.sum(-1, keepdims=True)
    there = total > 0
    safe = jnp.where(there, total, 1.0)
    share = jnp.einsum("...wp,...p->...w", weights, effects, precision="highest") / safe
    slope = (weights - share[..., None]) / safe[..., None]
    # One draw's infinite variance times a slope of zero is no error that anybody knows.
    known = jnp.isfinite(jnp.diagonal(covariance, axis1=-2, axis2=-1)).all(-1)[..., None]
    finite = jnp.where(jnp.isfinite(covariance), covariance, 0.0)
    variance = jnp.einsum("...wi,...ij,...wj->...w", slope, finite, slope, precision="highest")
    positive = variance > 0
    error = jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1.0)), 0.0)
    return jnp.where(there, share, 0.0), jnp.where(there & known, error, jnp.inf)
