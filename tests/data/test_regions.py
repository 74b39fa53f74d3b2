"""Labels follow the images into the policy's frame."""

import jax.numpy as jnp
import numpy as np

from iss_jax.data.regions import fit_regions
from iss_jax.pi05.observation import resize_with_pad


def test_same_size_is_unchanged():
    labels = np.random.default_rng(0).integers(0, 3, (2, 8, 8), np.uint8)
    fitted, valid = fit_regions(labels, 8, 8)
    np.testing.assert_array_equal(fitted, labels)
    assert valid.all()


def test_numbers_of_things_have_a_padding_of_their_own():
    numbers = np.full((1, 10, 20), 70_000, np.int32)
    fitted, valid = fit_regions(numbers, 20, 20, padding=-1)
    assert fitted.dtype == np.int32
    np.testing.assert_array_equal(fitted[0], np.where(valid, 70_000, -1))
    assert valid.sum() == 200


def test_halves_of_a_wide_frame():
    labels = np.zeros((1, 10, 20), np.uint8)
    labels[:, :, 10:] = 2
    labels[:, 8:] = 1
    fitted, valid = fit_regions(labels, 20, 20)
    assert valid[5:15].all()
    assert not valid[:5].any()
    assert not valid[15:].any()
    np.testing.assert_array_equal(fitted[0, 5:13, :10], 0)
    np.testing.assert_array_equal(fitted[0, 5:13, 10:], 2)
    np.testing.assert_array_equal(fitted[0, 13:15], 1)
    assert not fitted[0, ~valid].any()


def test_labels_lie_where_the_resized_image_puts_their_pixels():
    # Blocks of 12 pixels stay apart under any of these resizings, so rounding an image that holds
    # the label recovers it away from the blocks' borders.
    blocks = np.random.default_rng(1).integers(0, 3, (3, 4)).astype(np.uint8)
    labels = np.kron(blocks, np.ones((12, 12), np.uint8))[None]
    for size in (24, 48, 96):
        fitted, valid = fit_regions(labels, size, size)
        image = np.repeat(labels[..., None].astype(np.float32) / 2, 3, -1)
        resized = np.asarray(resize_with_pad(jnp.asarray(image), size, size))[0, ..., 0] * 2
        sure = valid & (np.abs(resized - np.round(resized)) < 1e-3)
        assert sure.mean() > 0.3
        np.testing.assert_array_equal(fitted[0][sure], np.round(resized[sure]))
