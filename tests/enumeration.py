"""All masks of a small grid, and the estimators' target by summing over them."""

import itertools

import numpy as np

CELLS = np.array(list(itertools.product([False, True], repeat=4))).reshape(16, 2, 2)


def target(keep_prob, effect, cells=CELLS):
    """Psi_i = E[delta | m_i = 0] by full enumeration (Eq. 11)."""
    flat = cells.reshape(len(cells), -1)
    weight = np.where(flat, keep_prob, 1 - keep_prob).prod(1)
    dropped = weight[:, None] * ~flat
    return ((effect[:, None] * dropped).sum(0) / dropped.sum(0)).reshape(cells.shape[1:])
