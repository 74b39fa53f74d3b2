"""From effects of copies to what a method says of a frame: a map, players, errors."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from experiments.causes.copies import Copies, MaskFamily, PlayerFamily
from iss_jax import masks as mask_designs
from iss_jax.effect_estimators import effects_by_draw, mean_and_covariance
from iss_jax.estimators import estimate


class Attribution(NamedTuple):
    """What one method says of one frame.

    Attributes:
        pixels: Score of every pixel.
        effects: Of players; None for masks.
        stderr: Their errors.
        labels: Player of every pixel.
        tint: Effect of the tint, where it was asked.
        wholes: What the part that holds each pixel does as a whole, where a method without players
            has parts: on the scale of players' effects.
    """

    pixels: Float[np.ndarray, "v h w"]
    effects: Float[np.ndarray, " players"] | None = None
    stderr: Float[np.ndarray, " players"] | None = None
    labels: Int[np.ndarray, "v h w"] | None = None
    tint: float | None = None
    wholes: Float[np.ndarray, "v h w"] | None = None


def of_players(
    family: PlayerFamily, copies: Copies, effects: Float[np.ndarray, " n"], draws: int
) -> Attribution:
    """Effects of players from the first draws of their copies.

    Args:
        family: Whose copies these are.
        copies: Of all draws.
        effects: Of each copy.
        draws: How many draws count.
    """
    assert copies.sets is not None and copies.players is not None
    all_draws, sets, _ = copies.sets.shape
    by_copy = effects.reshape(all_draws, -1)[:draws]
    mean, stderr = _means(
        jnp.asarray(by_copy[:, :sets], jnp.float32),
        jnp.asarray(copies.sets[:draws]),
        estimator=family.estimator,
    )
    labels = np.stack([np.asarray(own) for own in copies.players.labels.values()])
    values = np.asarray(mean)
    tint = float(by_copy[:, sets].mean()) if family.with_tint else None
    return Attribution(
        pixels=np.where(labels >= 0, values[labels], 0.0),
        effects=values,
        stderr=np.asarray(stderr),
        labels=labels,
        tint=tint,
    )


@partial(jax.jit, static_argnames=("estimator",))
def _means(values: Array, sets: Array, *, estimator: str) -> tuple[Array, Array]:
    mean, covariance = mean_and_covariance(effects_by_draw(values, sets, estimator))
    return mean, jnp.sqrt(jnp.diagonal(covariance))


def of_masks(
    family: MaskFamily, copies: Copies, effects: Float[np.ndarray, " n"], shape: tuple[int, int]
) -> Attribution:
    """A map from masks: the paper's estimator or another of the library's, or RISE's own.

    RISE weighs masks by a score that is high where the policy acts as before; here it is one less
    the effect over the largest one.
    """
    assert copies.masks is not None
    if family.config is None:
        score = 1.0 - effects / max(float(effects.max()), 1e-12)
        kept = np.einsum("n,nvhw->vhw", score, copies.masks)
        return Attribution(kept / (0.5 * len(effects)))
    cells = _cells(jnp.asarray(copies.masks), jnp.asarray(effects, jnp.float32), family)
    return Attribution(np.asarray(mask_designs.upsample(cells, shape)))


def _cells(masks: Array, effects: Array, family: MaskFamily) -> Array:
    config = family.config
    assert config is not None
    found = estimate(
        masks,
        effects,
        estimator=config.estimator,
        design=config.design,
        keep_prob=config.keep_prob,
    )
    return found.scores


def random_pixels(key: Array, like: Float[np.ndarray, "v h w"]) -> Attribution:
    """Scores of random cells on the paper's grid."""
    cells = jax.random.uniform(key, (like.shape[0], 7, 7))
    return Attribution(np.asarray(mask_designs.upsample(cells, like.shape[1:])))
