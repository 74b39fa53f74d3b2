"""Intervals from resampled clusters in closed form."""

import math

import numpy as np
import pytest

from iss_jax.stats import resampling


def test_the_expanded_interval_of_three_clusters_in_closed_form():
    """Student's t with two degrees of freedom has its quartiles at plus and minus √(2/3).

    Times √(C/(C − 1)) = √(3/2) that is one, so half of the probability lies between Φ(−1) and Φ(1).
    """
    draws = np.concatenate([np.linspace(0.0, 1.0, 10_001), [np.nan, np.inf]])
    low = (1 - math.erf(math.sqrt(0.5))) / 2
    found = resampling.expanded_interval(draws, 3, 0.5)
    assert found == pytest.approx((low, 1 - low), abs=1e-9)


def test_orders_are_shared_and_cannot_be_written():
    _, orders = resampling.cluster_orders((0, 1, 2), 6, 0, ())
    with pytest.raises(ValueError, match="read-only"):
        orders[0, 0] = 7


@pytest.mark.parametrize(("permutations", "total"), [(6, 6), (5, 0)])
def test_all_orders_are_listed_where_there_are_no_more_than_asked_for(permutations, total):
    found, orders = resampling.cluster_orders((0, 0, 1, 1, 2, 2), permutations, 0, ())
    assert found == total and len(orders) == permutations
    blocks = orders.reshape(-1, 3, 2)
    assert np.array_equal(blocks[..., 1], blocks[..., 0] + 1)
    if total:
        assert len({tuple(row) for row in orders.tolist()}) == 6
