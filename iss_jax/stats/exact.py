"""Rank correlation of a few units, tested against every order of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Float

# 9! = 362,880 orders.
MOST_ENUMERATED = 9


class RankCorrelation(NamedTuple):
    """Spearman's rank correlation of n units.

    Attributes:
        r: the coefficient; nan where x or y is constant or there are fewer than three units.
        n: units.
        p_value: two-sided: share of the orders of y whose coefficient is as far from 0.
        orders: how many orders were looked at.
        exact: whether these are all.
    """

    r: float
    n: int
    p_value: float
    orders: int
    exact: bool


def rank_correlation(
    x: Float[np.ndarray, " n"] | Sequence[float],
    y: Float[np.ndarray, " n"] | Sequence[float],
    *,
    permutations: int = 99_999,
    seed: int = 0,
) -> RankCorrelation:
    """Spearman's coefficient with its permutation test, exact up to nine units.

    >>> rank_correlation([1, 2, 3, 4], [4, 3, 2, 1])
    RankCorrelation(r=-1.0, n=4, p_value=0.08333333333333333, orders=24, exact=True)

    Args:
        x: one value a unit.
        y: one value a unit.
        permutations: random orders where there are too many units for all of them.
        seed: of those.

    Raises:
        ValueError: x and y differ in length, or a value is not finite.
    """
    for name, value in (("x", x), ("y", y)):
        finite = np.isfinite(np.asarray(value, np.float64))
        if not finite.all():
            raise ValueError(f"{name}: unit {int(np.argmin(finite))} is not finite")
    a, b = (scipy.stats.rankdata(np.asarray(value, np.float64)) for value in (x, y))
    if a.shape != b.shape:
        raise ValueError(f"x and y must be as long, got {a.shape} and {b.shape}")
    n = len(a)
    if n < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return RankCorrelation(math.nan, n, 1.0, 0, n <= MOST_ENUMERATED)
    a, b = ((value - value.mean()) / value.std() for value in (a, b))
    exact = n <= MOST_ENUMERATED
    if exact:
        orders = np.array(list(itertools.permutations(range(n))))
    else:
        rng = np.random.default_rng(seed)
        orders = rng.permuted(np.tile(np.arange(n), (permutations, 1)), axis=1)
    r = float(a @ b / n)
    others = b[orders] @ a / n
    # Equal coefficients differ by rounding.
    hits = int((np.abs(others) >= abs(r) - 1e-9).sum())
    count = len(orders)
    p = hits / count if exact else (hits + 1) / (count + 1)
    return RankCorrelation(r, n, p, count, exact)
