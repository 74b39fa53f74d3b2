"""What a policy that draws noise of its own adds to effects, and effects without it.

With A_k the actions of a run and A_0 those of its draw's baseline, one call each,

    E |A_k - A_0|^2 = |mu_k - mu|^2 + sigma_k^2 + sigma^2,

mu and sigma^2 the mean and variance of the actions over the noise. Twice the sample variance of R
unmasked calls is subtracted from every effect: exact in expectation where replacing a player does
not change the variance. Against the mean of the R calls, as maps are measured, it is 1 + 1/R times.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from iss_jax import divergence
from iss_jax.effect_reasons import SILENT
from iss_jax.effects import Effects

__all__ = ["less_noise", "spread"]


def spread(baselines: Float[np.ndarray, "calls horizon dims"], **chosen: Any) -> float:
    """Sample variance of unmasked calls, as an effect; zero where all are equal.

    >>> import numpy as np
    >>> spread(np.array([[[0.0]], [[2.0]]], np.float32)), spread(np.ones((3, 1, 1), np.float32))
    (2.0, 0.0)

    Args:
        baselines: Actions of each call, two at least.
        chosen: Of `iss_jax.divergence.effects`: reduction, action_dims, horizon, weights.
    """
    # A mean of equal numbers is not always that number; equal answers have no noise.
    if (baselines == baselines[0]).all():
        return 0.0
    around = divergence.effects(jnp.asarray(baselines), jnp.asarray(baselines.mean(0)), **chosen)
    return float(around.sum()) / (len(baselines) - 1)


def less_noise(found: Effects, noise: float) -> Effects:
    """Effects of players of one frame less what the policy's own noise gives.

    Args:
        found: Without a batch axis.
        noise: Twice the policy's variance, as an effect.

    Returns:
        Effects whose `floor` is what was subtracted; where nothing but noise is left they have no
        shares.
    """
    by_draw = found.by_draw - noise
    totals = np.asarray(by_draw.sum(-1), np.float64)
    # Of noise alone the effects sum up to nothing, give or take their error.
    beyond = 2.0 * totals.std(ddof=1) / len(totals) ** 0.5 if len(totals) > 1 else np.inf
    lost = noise > 0.0 and not totals.mean() > beyond
    # Whether effects exceed the noise is asked here; other reasons stand.
    other = jnp.asarray(found.reason) > SILENT
    known = SILENT if lost else found.reason * int(noise == 0.0)
    return dataclasses.replace(
        found,
        by_draw=by_draw,
        beside={name: effect - noise for name, effect in found.beside.items()},
        floor=jnp.asarray(noise, jnp.float32),
        reason=jnp.where(other, found.reason, known).astype(jnp.int32),
    )
