"""Several chunks of one prefix, and their entropy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from embedded_scene import scene

from iss_jax import Sampling
from iss_jax.monitoring.sampled import action_chunk_entropy, sampled
from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS, preprocess

STEPS = Sampling(num_steps=2)


def test_each_chunk_is_the_policys_own_under_its_noise_and_features_are_means_of_tokens():
    known = scene()
    params = known.policy.params
    noise = jax.random.normal(jax.random.key(0), (3, 16, 7))
    found, chunks, pooled, velocity = _both(params, known.obs, noise)
    np.testing.assert_allclose(found.actions, chunks, atol=2e-5)
    np.testing.assert_allclose(found.image, pooled, atol=2e-5)
    # The expert's tokens give the velocity at the chunk of the first draw.
    out = params["action_out_proj"]
    np.testing.assert_allclose(found.hidden @ out["kernel"] + out["bias"], velocity, atol=2e-5)


@jax.jit
def _both(params, obs, noise):
    """What is to be tested and what it should be, in one program: half the compilation."""
    found = sampled(params, obs, noise, STEPS)
    seen = preprocess(obs, 80)
    prefix = model.embed_prefix(params, seen)
    cache = model.prefill(params, prefix)
    rows = jax.tree.map(lambda own: jnp.repeat(own, len(noise), axis=1), cache)
    mask = jnp.repeat(prefix.mask, len(noise), axis=0)
    chunks = model.denoise(params, rows, mask, noise, STEPS)
    pooled = [model.embed_images(params, seen.images[view])[0].mean(0) for view in VIEWS]
    velocity = model.velocity(params, cache, prefix.mask, found.actions[:1], jnp.full((1,), 0.5))
    return found, chunks, jnp.concatenate(pooled), velocity[0].mean(0)


def test_a_batch_is_refused():
    known = scene(2)
    with pytest.raises(ValueError, match="a batch of 2 given, of one wanted"):
        sampled(known.policy.params, known.obs, jnp.zeros((1, 16, 7)))


def test_the_entropy_is_that_of_each_dimensions_bins():
    rng = np.random.default_rng(0)
    actions = rng.normal(size=(9, 4, 3))
    bins = np.floor(actions / 0.5).reshape(9, -1)
    wanted = [scipy.stats.entropy(np.unique(own, return_counts=True)[1]) for own in bins.T]
    assert action_chunk_entropy(actions, 0.5) == pytest.approx(np.mean(wanted))


def test_what_cannot_be_is_refused():
    for actions, width in (
        (np.zeros((1, 4, 3)), 0.1),
        (np.zeros((4, 3)), 0.1),
        (np.zeros((2, 4, 3)), 0),
    ):
        with pytest.raises(ValueError, match="at least 2 draws"):
            action_chunk_entropy(actions, width)
