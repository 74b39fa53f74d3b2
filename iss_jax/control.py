"""Plain masked runs with a predicted map as control variate: unbiased, whatever the map is worth.

A map says that a run's effect is x = sum over the dropped cells of their contrasts, up to a factor.
The mean of x over masks is known, and so is what x adds to every cell. Only the effects less
beta x are left to the runs. The factor beta is taken, for every run, from the other runs alone: a
run's own luck does not enter it, so that nothing is biased. With a factor that is fixed beforehand
a map of the wrong scale would add variance (`estimators.estimate_with_surrogate` trusts its map).

What is left is the interactions of cells, which no map explains: they bound the gain.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from iss_jax import estimators
from iss_jax.config import ISSConfig
from iss_jax.estimators import Estimate, matmul


def estimate_with_control(
    masks: Bool[Array, "n *cells"],
    effects: Float[Array, " n"],
    control: Float[Array, "*cells"],
    *,
    keep_prob: float = 0.3,
    active: Bool[Array, "*cells"] | None = None,
) -> Estimate:
    """Scores as `centred` gives them, less what the control explains of their noise.

    >>> import jax
    >>> from iss_jax.masks import sample_masks
    >>> masks = sample_masks(jax.random.key(0), 20, 1, grid=(2, 2), keep_prob=0.5,
    ...     design="bernoulli")
    >>> effects = jnp.where(masks[:, 0, 0, 0], 0.0, 3.0)
    >>> control = jnp.zeros((1, 2, 2)).at[0, 0, 0].set(1.0)
    >>> found = estimate_with_control(masks, effects, control, keep_prob=0.5)
    >>> [round(score, 3) for score in found.scores.ravel().tolist()]
    [3.0, 1.5, 1.5, 1.5]

    Args:
        masks: Keep bits of the Bernoulli design, 3 at least.
        effects: delta of each mask.
        control: Guess of E[delta | cell dropped] - E[delta | cell kept] up to a factor, made
            without these runs.
        keep_prob: p.
        active: Cells that masked anything; the others get zeros.

    Returns:
        Scores and standard errors.

    Raises:
        ValueError: Fewer than 3 runs, or shapes that do not match.
    """
    runs, cells = masks.shape[0], masks.shape[1:]
    if runs < 3:
        raise ValueError(f"masks: {runs} given, a control variate wants 3 at least")
    if effects.shape != (runs,):
        raise ValueError(f"effects must be [{runs}] like the masks, got {list(effects.shape)}")
    if control.shape != cells:
        raise ValueError(f"control must be {list(cells)} like a mask, got {list(control.shape)}")
    used = jnp.ones(cells, bool) if active is None else jnp.broadcast_to(active, cells)
    return _estimate(masks, effects, control, used, keep_prob)


@partial(jax.jit)
def _estimate(
    masks: Array, effects: Array, control: Array, used: Array, keep_prob: Array
) -> Estimate:
    runs, *cells = masks.shape
    drop_prob = jnp.asarray(1.0 - keep_prob, effects.dtype)
    flat = jnp.where(used, control, 0.0).reshape(-1).astype(effects.dtype)
    drops = (~masks & used[None]).reshape(runs, -1).astype(effects.dtype)
    inside = used.reshape(-1)
    said = matmul(drops, flat) - drop_prob * flat.sum()
    others = runs - 1

    def without(x: Array) -> Array:
        """Mean over the other runs, for every run."""
        return (x.sum() - x) / others

    mean, level = without(effects), without(said)
    both = without(said * effects) - level * mean
    square = without(jnp.square(said)) - jnp.square(level)
    # Rounding aside, a control that is constant over the others explains nothing.
    known = square > 1e-6 * jnp.square(said).mean()
    factor = jnp.where(known, jnp.maximum(both, 0.0) / jnp.where(known, square, 1.0), 0.0)
    rest = effects - factor * said
    deviation = rest - (mean - factor * level)
    luck = jnp.where(inside[None], drops - drop_prob, 0.0) / drop_prob
    terms = deviation[:, None] * luck
    scores = rest.mean() + terms.mean(0) + keep_prob * factor.mean() * flat
    influence = deviation[:, None] * drops / drop_prob
    errors = (
        estimators.standard_error(influence),
        estimators.contrast_error(influence, inside),
    )
    dropped = drops.sum(0) > 0
    errors = (jnp.where(dropped, error, jnp.inf) for error in errors)
    return Estimate(*(jnp.where(inside, x, 0.0).reshape(cells) for x in (scores, *errors)))


def check_control(control: Array, batch: int, views: int, config: ISSConfig) -> None:
    """Says where a control fits neither frames nor options.

    Args:
        control: As `iss_jax.saliency` gets it.
        batch: Frames.
        views: Of a frame.
        config: Options, the estimator resolved.

    Raises:
        ValueError: Another shape, or a design or an estimator that has none.
    """
    wanted = (batch, views, *config.grid)
    if jnp.shape(control) != wanted:
        raise ValueError(
            f"control: got shape {list(jnp.shape(control))}, wanted {list(wanted)}: frames, views, "
            "rows, columns"
        )
    if (config.estimator, config.design) != ("centred", "bernoulli"):
        raise ValueError(
            f"control: wants estimator 'centred' with design 'bernoulli', got "
            f"{config.estimator!r} with {config.design!r}"
        )
    assert config.num_masks is not None
    if config.num_masks < 3:
        raise ValueError(f"control: num_masks is {config.num_masks}, 3 at least wanted")
