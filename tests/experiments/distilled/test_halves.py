"""What the runs of halves are drawn from."""

import jax
import numpy as np
import pytest
import scipy.stats

from experiments.distilled.halves import donors_and_noise


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_donors_says_nothing_of_the_noise(seed):
    # As many donors as numbers of the noise: drawn from one key, both have the same order.
    shape = (20, 5, 4)
    numbers, noise = donors_and_noise(jax.random.key(seed), 400, shape)
    assert numbers.shape == (1, 20) and noise.shape == shape
    ranks = scipy.stats.rankdata(np.asarray(noise))
    drawn = ranks[np.asarray(numbers[0])]
    # Of one key these are the 20 lowest ranks; of two, any 20 of 400: mean 200.5, error 26.
    assert 90 < drawn.mean() < 310
    assert len(set(np.asarray(numbers[0]).tolist())) == 20
