"""Mask designs that only `estimator_accuracy` compares: paired, low-discrepancy, orthogonal, path.

All but the last draw keep bits [n, views, rows, columns] of which each is kept with probability p.
"""

from collections.abc import Sequence

import numpy as np
import scipy.stats

PLAIN = ("antithetic", "sobol", "orthogonal")


def plain_masks(design: str, seed: int, num_masks: int, cells: Sequence[int], keep_prob: float):
    """Keep bits [num_masks, *cells] of one of the `PLAIN` designs.

    - `antithetic`: masks 2k and 2k + 1 keep a cell where one uniform number lies in its lowest, or
      its highest, share p. For p below one half no cell is kept by both.
    - `sobol`: a scrambled Sobol sequence, thresholded.
    - `orthogonal`: each cell is kept in exactly round(p N) masks, as in the balanced design, those
      of the lowest entries of a Gaussian column; at most N - 1 columns at a time are orthogonal to
      one another and to the constant, so that pairs of cells are nearly balanced as well.
    """
    rng = np.random.default_rng(seed)
    count = int(np.prod(cells))
    if design == "antithetic":
        uniform = rng.random((-(-num_masks // 2), 1, count))
        kept = np.concatenate([uniform < keep_prob, uniform > 1.0 - keep_prob], 1)
        kept = kept.reshape(-1, count)[:num_masks]
    elif design == "sobol":
        draws = scipy.stats.qmc.Sobol(count, rng=rng).random_base2(int(num_masks - 1).bit_length())
        kept = draws[:num_masks] < keep_prob
    elif design == "orthogonal":
        blocks = np.array_split(rng.permutation(count), -(-count // (num_masks - 1)))
        values = np.empty((num_masks, count))
        for block in blocks:
            gaussian = rng.normal(size=(num_masks, len(block)))
            # LAPACK fixes the columns' signs by their first entry.
            signs = rng.choice([-1.0, 1.0], len(block))
            values[:, block] = signs * np.linalg.qr(gaussian - gaussian.mean(0))[0]
        kept = values.argsort(0).argsort(0) < round(keep_prob * num_masks)
    else:
        raise ValueError(f"mask design must be one of {PLAIN}, got {design!r}")
    return kept.reshape(num_masks, *cells)


def path_masks(
    seed: int, num_masks: int, block: int, cells: Sequence[int], keep_prob: float
) -> tuple[np.ndarray, np.ndarray]:
    """Soft masks whose random block of cells lies anywhere between dropped and kept.

    Returns:
        Masks, in [0, 1], and which cells are in each run's block, both [num_masks, *cells]. The
        blocks of a pass share no cell; blocks of several passes follow one another.
    """
    rng = np.random.default_rng(seed)
    count = int(np.prod(cells))
    if count % block:
        raise ValueError(f"a path block must divide the {count} cells, got {block}")
    passes = -(-num_masks * block // count)
    order = np.concatenate([rng.permutation(count) for _ in range(passes)]).reshape(-1, block)
    member = np.zeros((num_masks, count), bool)
    member[np.arange(num_masks)[:, None], order[:num_masks]] = True
    soft = np.where(
        member, rng.random((num_masks, count)), rng.random((num_masks, count)) < keep_prob
    )
    return soft.reshape(num_masks, *cells), member.reshape(num_masks, *cells)


def path_contrast(gradients: np.ndarray, member: np.ndarray) -> np.ndarray:
    """E[delta | m_i = 0] - E[delta | m_i = 1], each cell from the runs whose block holds it.

    Exact in expectation for blocks of one cell: minus the derivative is then integrated over that
    cell alone, all others being random masks. In a larger block the cell's neighbours in the block
    are uniform where they should be kept with probability p, which is a bias even where actions are
    affine in every cell: their mean is 1/2 and not p, and their square's mean 1/3 and not p.
    """
    return -(gradients * member).sum(0) / np.maximum(member.sum(0), 1)
