"""Derivatives of an estimate's errors, beside finite differences of them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from iss_jax.estimators import Estimate

# Of effects of the order of one: large enough for float32, small enough for kinks and curvature.
STEP = 0.005


def same_as_differences(
    found: Callable[[Float[Array, " n"]], Estimate],
    effects: Float[Array, " n"],
    active: Bool[Array, "*cells"],
) -> None:
    """Asserts it of both errors, summed over the active cells."""

    @jax.jit
    def errors(effects: Array) -> Array:
        estimate = found(effects)
        return jnp.stack(
            [jnp.where(active, e, 0.0).sum() for e in (estimate.stderr, estimate.contrast_stderr)]
        )

    gradient = np.asarray(jax.jit(jax.jacrev(errors))(effects))
    moves = STEP * jnp.eye(len(effects))
    ends = [np.asarray(jax.vmap(errors)(effects[None] + s * moves), np.float64) for s in (1, -1)]
    wanted = (ends[0] - ends[1]).T / (2 * STEP)
    assert np.abs(wanted).max(1).min() > 0.01
    np.testing.assert_allclose(gradient, wanted, rtol=5e-3, atol=5e-3)
