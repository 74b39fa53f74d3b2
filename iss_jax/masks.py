"""Random keep masks on a coarse grid, and their bilinear upsampling to pixels.

Masks are drawn jointly for all camera views and upsampled per view, so that neighbouring views stay
independent (Algorithm 1, line 5; App. F.1; RISE, Petsiuk et al. 2018).
"""

import functools
import logging

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from iss_jax.checks import check_count, check_number

_LOG = logging.getLogger(__name__)

DESIGNS = ("bernoulli", "balanced")


def kept_masks(num_masks: int, keep_prob: float) -> int:
    """Number of masks in which the balanced design keeps each cell: round(p N), half to even."""
    return round(keep_prob * num_masks)


def balanced_keep_prob(num_masks: int, keep_prob: float) -> float:
    """The p that balanced masks have: round(p N) / N, which is p where p N is an integer.

    >>> from iss_jax.masks import balanced_keep_prob
    >>> balanced_keep_prob(100, 0.3), balanced_keep_prob(16, 0.3)
    (0.3, 0.3125)
    """
    return kept_masks(num_masks, keep_prob) / num_masks


def sample_masks(
    key: Key[Array, ""],
    num_masks: int,
    num_views: int,
    *,
    grid: tuple[int, int] = (7, 7),
    keep_prob: float = 0.3,
    design: str = "bernoulli",
) -> Bool[Array, "n views gh gw"]:
    """Draws keep bits for every cell of every view; True leaves the cell as it is.

    `bernoulli` keeps each cell independently with probability `keep_prob` (Eq. 12). `balanced`
    keeps every cell in exactly round(p N) of the N masks, in an order drawn independently for each
    cell: a single mask still has independent Bernoulli(round(p N) / N) cells, while the number of
    times a cell is dropped no longer varies. Where p N is no integer, the log says which p that is.

    The masks are those of the key, whether or not JAX computes in 64 bits.

    Args:
        key: PRNG key.
        num_masks: N.
        num_views: Camera views that are masked jointly.
        grid: Cells per view, (rows, columns).
        keep_prob: p, the probability that a cell is kept.
        design: `bernoulli` or `balanced`.

    Raises:
        ValueError: An unknown design, p outside (0, 1), or no mask, view or cell to draw.
    """
    if design not in DESIGNS:
        raise ValueError(f"mask design must be one of {DESIGNS}, got {design!r}")
    check_number("keep_prob", keep_prob, above=0.0)
    if not keep_prob < 1.0:
        raise ValueError(f"keep_prob must lie strictly between 0 and 1, got {keep_prob}")
    shape = (num_masks, num_views, *np.atleast_1d(np.asarray(grid, object)))
    if len(shape) != 4:
        raise ValueError(f"masks need [n, views, rows, columns] all >= 1, got {shape}")
    for name, size in zip(("num_masks", "num_views", "rows", "columns"), shape, strict=True):
        check_count(f"masks: {name}", size)
    if design == "bernoulli":
        return jax.random.bernoulli(key, jnp.float32(keep_prob), shape)
    _say_which_p(num_masks, float(keep_prob))
    order = jnp.argsort(jax.random.bits(key, shape, jnp.uint32), axis=0)
    return order < kept_masks(num_masks, keep_prob)


@functools.cache
def _say_which_p(num_masks: int, keep_prob: float) -> None:
    """Says once of each N and p that balanced masks have another p."""
    found = balanced_keep_prob(num_masks, keep_prob)
    if abs(found - keep_prob) > 1e-6:
        _LOG.warning(
            "balanced masks: p N = %.4g is no whole number; each cell is kept in %d of %d masks, "
            "so that p is %.4g, not %.4g",
            keep_prob * num_masks,
            kept_masks(num_masks, keep_prob),
            num_masks,
            found,
            keep_prob,
        )


def upsample(
    cells: Float[Array, "*batch gh gw"], size: tuple[int, int]
) -> Float[Array, "*batch h w"]:
    """Bilinear upsampling U with half-pixel centres, equal to OpenCV's INTER_LINEAR.

    U is linear and its weights sum to one, hence 1 - U(g) = U(1 - g): a weighted sum of upsampled
    masks is the upsampled sum of their cells, which is why scores are accumulated in cells.

    Args:
        cells: Values on the grid.
        size: (height, width) in pixels.
    """
    shape = (*cells.shape[:-2], *size)
    return jax.image.resize(cells, shape, method="linear", antialias=False)


def touched_cells(
    valid: Bool[Array, "*batch h w"], grid: tuple[int, int]
) -> Bool[Array, "*batch gh gw"]:
    """Cells whose bilinear weights reach at least one valid pixel; the others mask nothing.

    Args:
        valid: True where a pixel belongs to the picture, False in letterbox padding.
        grid: Cells per view, (rows, columns).
    """
    height, width = valid.shape[-2:]
    rows = _support(grid[0], height)
    columns = _support(grid[1], width)
    weight = jnp.einsum("...hw,hi,wj->...ij", valid.astype(jnp.float32), rows, columns)
    return weight > 0.5


def _support(cells: int, pixels: int) -> Float[np.ndarray, "pixels cells"]:
    """1 where a pixel's interpolation uses a cell, however small the weight."""
    centre = (np.arange(pixels, dtype=np.float64) + 0.5) * cells / pixels - 0.5
    low = np.floor(centre)
    support = np.zeros((pixels, cells), np.float32)
    for offset in (0, 1):
        index = np.clip(low + offset, 0, cells - 1).astype(np.int64)
        weight = 1.0 - np.abs(centre - (low + offset))
        support[np.arange(pixels), index] += weight > 0
    return np.minimum(support, 1.0)
