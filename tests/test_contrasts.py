"""Contrasts, shares and fading against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from iss_jax import contrasts


def test_contrast_is_the_difference_to_the_mean_of_the_active_cells_of_all_views():
    cells = jnp.asarray([[[[1.0, 2.0]], [[6.0, 99.0]]], [[[0.0, 0.0]], [[3.0, 5.0]]]])
    active = jnp.asarray([[[[True, True]], [[True, False]]], [[[False, False]], [[True, True]]]])
    found = contrasts.contrast(cells, active)
    np.testing.assert_allclose(found[0], [[[-2.0, -1.0]], [[3.0, 0.0]]])
    np.testing.assert_allclose(found[1], [[[0.0, 0.0]], [[-1.0, 1.0]]])
    assert not np.any(contrasts.contrast(cells, jnp.zeros_like(active)))


def test_told_apart_counts_active_cells_beyond_two_errors():
    contrast = jnp.asarray([[[2.0, -2.1, 5.0, 9.0, 9.0]]])
    stderr = jnp.asarray([[[1.0, 1.0, jnp.inf, 1.0, 1.0]]])
    active = jnp.asarray([[[True, True, True, True, False]]])
    # Exactly two errors are not beyond two; an infinite error tells nothing.
    assert float(contrasts.told_apart(contrast, stderr, active)) == 0.5
    unknown = stderr.at[0, 0, 0].set(jnp.nan)
    assert float(contrasts.told_apart(contrast, unknown, active)) == np.float32(2 / 3)
    assert np.isnan(contrasts.told_apart(contrast, jnp.full_like(stderr, jnp.nan), active))


def test_a_map_of_noise_has_the_chance_level():
    """40,000 Gaussian cells: 4.55 % beyond two errors, known to 0.1 %."""
    noise = jax.random.normal(jax.random.key(0), (1, 200, 200))
    share = contrasts.told_apart(noise, jnp.ones_like(noise), jnp.ones(noise.shape, bool))
    assert abs(float(share) - 0.0455) < 0.004
    assert abs(float(share) - contrasts.CHANCE) < 0.01


def test_support_rises_from_one_error_to_two():
    contrast = jnp.asarray([0.0, 1.0, -1.25, 2.0, 3.0, 3.0, 3.0, 0.0, 0.0])
    stderr = jnp.asarray([1.0, 1.0, 1.0, 1.0, 1.0, jnp.inf, jnp.nan, 0.0, jnp.nan])
    found = contrasts.support(contrast, stderr)
    np.testing.assert_allclose(found, [0, 0, 0.25, 1, 1, 0, 1, 0, 1], atol=1e-6)
    assert float(contrasts.support(jnp.asarray(1e-9), jnp.asarray(0.0))) == 1.0


def test_what_is_shown_has_a_gradient_where_errors_are_zero_or_unknown():
    contrast = jnp.asarray([0.0, 1.5, -1.5, 0.5, 3.0, 0.0, 2.0])
    stderr = jnp.asarray([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, jnp.nan])
    found = jax.grad(lambda contrast: contrasts.support(contrast, stderr).sum())(contrast)
    np.testing.assert_allclose(found, [0, 1, -1, 0, 0, 0, 0], atol=1e-6)
