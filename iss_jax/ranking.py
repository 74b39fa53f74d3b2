"""Pixels in the order of their saliency, and how many of them are critical."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

# Saliency is summed in float32: a sum this close to k % is k %.
ROUNDING = 1e-6


class Ranked(NamedTuple):
    """Pixels of each observation, most salient first.

    Attributes:
        order: Flat indices, unusable pixels last.
        score: In that order, 0 where unusable.
        usable: Number of usable pixels.
    """

    order: Int[Array, "*b p"]
    score: Float[Array, "*b p"]
    usable: Int[Array, "*b"]


def rank(score: Array, usable: Array, critical: str) -> Ranked:
    """The pixels [*b, p] by their score; those of equal score keep their place."""
    score = ranked_score(score, critical)
    order = jnp.argsort(jnp.where(usable, -score, jnp.inf), axis=-1, stable=True)
    ranked = jnp.take_along_axis(jnp.where(usable, score, 0.0), order, axis=-1)
    return Ranked(order, ranked, usable.sum(-1))


def ranked_score(score: Array, critical: str) -> Array:
    """The score that orders: by mass a negative one counts as zero."""
    return jnp.maximum(score, 0.0) if critical == "mass" else score


def set_size(ranked: Ranked, k: float, critical: str) -> Array:
    """Pixels in the critical set: k % of the usable ones, or the fewest that hold k %."""
    if critical == "count":
        # ceil(usable * k / 100) in integers below 2^31: a rounded quotient could add a pixel.
        milli = round(k * 1000)
        hundredths, rest = (ranked.usable // 1000) * milli, (ranked.usable % 1000) * milli
        return hundredths // 100 - (-((hundredths % 100) * 1000 + rest) // 100_000)
    held = jnp.cumsum(ranked.score, axis=-1)
    wanted = held[..., -1:] * (k / 100.0 * (1.0 - ROUNDING))
    return jnp.where(held[..., -1] > 0.0, (held < wanted).sum(-1) + 1, 0)


def share_of(part: Array, whole: Array) -> Array:
    """part / whole, 0 of nothing."""
    return jnp.where(whole > 0.0, part / jnp.where(whole > 0.0, whole, 1.0), 0.0)
