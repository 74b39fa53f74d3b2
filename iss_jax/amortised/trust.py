"""When to distrust a predicted map: a few fresh runs say."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from iss_jax.estimators import matmul


def agreement_with_runs(
    cells: Float[Array, "*cells"], masks: Bool[Array, "n *cells"], effects: Float[Array, " n"]
) -> Float[Array, ""]:
    """Correlation of a few runs' effects with what a predicted map says they are.

    Interactions of cells, which no map holds, keep it below one even for the converged map.

    >>> import jax.numpy as jnp
    >>> cells = jnp.asarray([1.0, 0.0])
    >>> masks = jnp.asarray([[True, True], [False, True], [True, False]])
    >>> round(float(agreement_with_runs(cells, masks, jnp.asarray([0.0, 2.0, 0.0]))), 3)
    1.0

    Args:
        cells: Contrasts, as `predict` gives them for one example.
        masks: Keep bits of the runs.
        effects: Their effects, as `Saliency.effects` has them.
    """
    drops = (~masks).reshape(len(effects), -1).astype(effects.dtype)
    said = matmul(drops, cells.reshape(-1))
    a, b = said - said.mean(), effects - effects.mean()
    size = jnp.sqrt(jnp.square(a).sum() * jnp.square(b).sum())
    return jnp.where(size > 0, (a * b).sum() / jnp.where(size > 0, size, 1.0), 0.0)
