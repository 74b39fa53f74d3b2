import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from iss_jax.interventions import (
    blend,
    blur,
    blur_matrix,
    gaussian_kernel,
    replace_tokens,
)


@pytest.mark.parametrize(
    ("height", "radius"), [(224, 30), (448, 60), (112, 15), (80, 11), (56, 8), (1, 1)]
)
def test_kernel_radius_is_three_sigma_rounded(height, radius):
    taps = gaussian_kernel(10.0 * height / 224)
    assert len(taps) == 2 * radius + 1
    assert taps.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("size", [(224, 224), (80, 80), (112, 60), (40, 9), (28, 3)])
def test_blur_equals_scipy_with_mirrored_border(size):
    images = np.random.default_rng(0).random((2, *size, 3), np.float32)
    sigma = 10.0 * size[0] / 224
    expected = ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="mirror", truncate=3.0)
    np.testing.assert_allclose(blur(jnp.asarray(images)), expected, atol=2e-6)


def test_blur_equals_the_golden_frame(golden):
    obs = np.load(golden / "obs.npz", allow_pickle=False)
    views = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")
    images = np.stack([obs[f"image/{view}"][0] for view in views]).astype(np.float32)
    blurred = blur(jnp.asarray(images / 255.0 * 2.0 - 1.0))[:, ::8, ::8]
    expected = np.load(golden / "iss_tiny_b.npz", allow_pickle=False)["blurred_stride8"]
    np.testing.assert_allclose(blurred, expected, atol=2e-6)


def test_blur_matrix_keeps_a_constant_and_folds_long_kernels():
    for pixels in (1, 2, 5, 61):
        np.testing.assert_allclose(blur_matrix(pixels, 10.0).sum(1), 1.0, atol=1e-6)
    # With a kernel far longer than the image, two reflected pixels average evenly.
    np.testing.assert_allclose(blur_matrix(2, 50.0), 0.5, atol=1e-2)


def test_blur_leaves_padding_out():
    valid = np.zeros((32, 32), bool)
    valid[8:24] = True
    image = np.random.default_rng(1).random((32, 32, 3), np.float32)
    black = jnp.asarray(np.where(valid[..., None], image, -1.0))
    bright = jnp.asarray(np.where(valid[..., None], image, 50.0))
    mask = jnp.asarray(valid)
    first, second = (blur(x, sigma=40.0, valid=mask) for x in (black, bright))
    np.testing.assert_allclose(first[8:24], second[8:24], atol=1e-6)
    assert jnp.array_equal(first[:8], black[:8]) and jnp.array_equal(first[24:], black[24:])
    constant = jnp.where(mask[..., None], 0.25, -1.0) * jnp.ones((1, 1, 3))
    np.testing.assert_allclose(blur(constant, valid=mask), constant, atol=1e-6)


def test_blur_with_padding_has_a_gradient_that_sums_to_its_weights():
    """Each blurred pixel is an average with weights that sum to one, and padding is itself."""
    valid = jnp.arange(12)[:, None] < jnp.full((1, 8), 9)
    gradient = jax.grad(lambda x: blur(x, sigma=20.0, valid=valid).sum())(jnp.ones((12, 8, 3)))
    assert float(gradient.sum()) == pytest.approx(12 * 8 * 3, rel=1e-5)
    np.testing.assert_array_equal(gradient[9:], 1.0)


def test_blur_without_padding_ignores_the_mask():
    image = jax.random.uniform(jax.random.key(0), (20, 24, 3))
    everything = jnp.ones((20, 24), bool)
    np.testing.assert_allclose(blur(image, valid=everything), blur(image), atol=1e-6)


def test_blend_is_a_convex_mix():
    key = jax.random.split(jax.random.key(0), 3)
    image, blurred = (jax.random.normal(k, (6, 5, 3)) for k in key[:2])
    keep = jax.random.uniform(key[2], (4, 6, 5)).at[0].set(1.0).at[1].set(0.0)
    mixed = blend(image, blurred, keep)
    weight = np.asarray(keep)[..., None]
    expected = np.asarray(image) * weight + np.asarray(blurred) * (1 - weight)
    np.testing.assert_allclose(mixed, expected, atol=1e-6)
    assert jnp.array_equal(mixed[0], image)


def test_tokens_are_replaced_by_their_modality_mean():
    tokens = jnp.arange(24.0).reshape(2, 4, 3)
    mean = jnp.array([5.0, 6.0, 7.0])
    keep = jnp.array([[True, False, True, True], [False, True, True, True]])
    replaced = np.asarray(replace_tokens(tokens, keep, mean))
    assert np.array_equal(replaced[~np.asarray(keep)], np.tile([5.0, 6.0, 7.0], (2, 1)))
    assert np.array_equal(replaced[np.asarray(keep)], np.asarray(tokens)[np.asarray(keep)])
