"""What of a map can be told from its noise: each cell against the mean of its map.

All cells share the mean effect, and most of its error. What ranks cells is the difference of a cell
to the mean over the map, and the error of that difference (`Saliency.contrast_stderr`).
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# A cell counts as told from the mean when it lies beyond this many errors of its own ...
ERRORS = 2.0
# ... where this share of cells lies by chance (Gaussian errors: 0.046).
CHANCE = 0.05

_MAP = (-3, -2, -1)


def contrast(
    cells: Float[Array, "*b views gh gw"], active: Bool[Array, "*b views gh gw"]
) -> Float[Array, "*b views gh gw"]:
    """Scores less their mean over the active cells of all views; zero elsewhere.

    >>> import jax.numpy as jnp
    >>> active = jnp.array([[[True, True], [True, False]]])
    >>> contrast(jnp.array([[[3.0, 2.0], [1.0, 9.0]]]), active).tolist()
    [[[1.0, 0.0], [-1.0, 0.0]]]

    Args:
        cells: Scores on the mask grid.
        active: Cells that mask something.
    """
    count = jnp.maximum(active.sum(_MAP, keepdims=True), 1).astype(cells.dtype)
    mean = jnp.where(active, cells, 0.0).sum(_MAP, keepdims=True) / count
    return jnp.where(active, cells - mean, 0.0)


def told_apart(
    contrast: Float[Array, "*b views gh gw"],
    stderr: Float[Array, "*b views gh gw"],
    active: Bool[Array, "*b views gh gw"],
) -> Float[Array, "*b"]:
    """Share of the active cells that differ from the mean by more than `ERRORS` of their errors.

    A map without information has about `CHANCE`. NaN where no active cell's error is known.

    >>> import jax.numpy as jnp
    >>> active = jnp.array([[[True, True], [True, False]]])
    >>> difference = jnp.array([[[1.0, 0.0], [-1.0, 0.0]]])
    >>> round(float(told_apart(difference, jnp.full((1, 2, 2), 0.4), active)), 2)
    0.67

    Args:
        contrast: Of each cell, see `contrast`.
        stderr: Its standard error; infinite where it is too large to say, NaN where unknown.
        active: Cells that mask something.
    """
    known = active & ~jnp.isnan(stderr)
    beyond = known & (jnp.abs(contrast) > ERRORS * stderr)
    count = known.sum(_MAP).astype(contrast.dtype)
    share = beyond.sum(_MAP).astype(contrast.dtype) / jnp.maximum(count, 1.0)
    return jnp.where(count > 0, share, jnp.nan)


def support(
    contrast: Float[Array, "*cells"], stderr: Float[Array, "*cells"]
) -> Float[Array, "*cells"]:
    """How far a picture may show a cell: 0 within one error of the mean, 1 beyond `ERRORS`.

    Linear in between. Cells of unknown error (NaN) are shown.

    >>> import jax.numpy as jnp
    >>> support(jnp.array([0.5, -1.5, 9.0, 9.0]), jnp.array([1.0, 1.0, 1.0, jnp.inf])).tolist()
    [0.0, 0.5, 1.0, 0.0]

    Args:
        contrast: Of each cell, see `contrast`.
        stderr: Its standard error.
    """
    size = jnp.abs(contrast)
    # An error of zero: what differs at all is beyond it.
    beyond = jnp.where(size > 0, jnp.inf, 0.0)
    ratio = jnp.where(stderr > 0, size / jnp.where(stderr > 0, stderr, 1.0), beyond)
    shown = jnp.clip((ratio - 1.0) / (ERRORS - 1.0), 0.0, 1.0)
    return jnp.where(jnp.isnan(stderr), 1.0, shown)
