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
