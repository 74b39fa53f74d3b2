"""How a few runs judge a predicted map."""

import jax
import jax.numpy as jnp
import numpy as np

from iss_jax.amortised import agreement_with_runs
from iss_jax.masks import sample_masks


def test_it_is_the_correlation_with_what_the_map_says_of_each_run():
    keys = jax.random.split(jax.random.key(0), 3)
    masks = sample_masks(keys[0], 12, 2, grid=(2, 3), keep_prob=0.3, design="bernoulli")
    cells = jax.random.normal(keys[1], (2, 2, 3))
    effects = jax.random.normal(keys[2], (12,))
    said = (~np.asarray(masks)).reshape(12, -1) @ np.asarray(cells).ravel()
    wanted = np.corrcoef(said, effects)[0, 1]
    assert abs(float(agreement_with_runs(cells, masks, effects)) - wanted) < 1e-5
    scaled = agreement_with_runs(7.0 * cells, masks, 3.0 * effects + 1.0)
    assert abs(float(scaled) - wanted) < 1e-5


def test_a_map_or_runs_that_say_nothing_agree_with_nothing():
    masks = sample_masks(jax.random.key(0), 5, 1, grid=(2, 2), keep_prob=0.3, design="bernoulli")
    ramp = jnp.arange(4.0).reshape(1, 2, 2)
    assert float(agreement_with_runs(jnp.zeros((1, 2, 2)), masks, jnp.arange(5.0))) == 0.0
    assert float(agreement_with_runs(ramp, masks, jnp.ones(5))) == 0.0
