"""Segments of one look: clusters, and that every piece can be pointed at."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from iss_jax import appearance
from tests.embedded_scene import scene


def pieces(labels):
    """Number of pixels in each connected piece of one label."""
    found = []
    for number in np.unique(labels[labels >= 0]):
        numbered, count = ndimage.label(labels == number)
        found += [int((numbered == i + 1).sum()) for i in range(count)]
    return np.array(found)


def test_ninety_per_cent_of_real_frames_lie_in_pieces_of_twenty_pixels():
    """The measure of coherence, and that plain k-means does not pass it."""
    images = scene().images
    labels, centres = appearance.segments(images, count=12)
    shares, plain = [], []
    for view, image in images.items():
        own = np.asarray(labels[view][0])
        assert own.min() >= 0
        found = pieces(own)
        shares.append(found[found >= 20].sum() / own.size)
        colour = image[0].astype(jnp.float32) / 255.0
        near = appearance.nearest(colour.reshape(-1, 3), centres[0, :, :3]).reshape(own.shape)
        rough = pieces(np.asarray(near))
        plain.append(rough[rough >= 20].sum() / own.size)
        # Every piece holds a square of a twenty-fifth of the frame.
        assert found.min() >= 9
    assert min(shares) > 0.95 and np.mean(plain) < np.mean(shares) - 0.05


def test_centres_are_means_of_well_parted_points():
    rng = np.random.default_rng(0)
    middles = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    points = np.concatenate([m + 0.02 * rng.normal(size=(50, 2)) for m in middles])
    # A far point without weight starts no cluster.
    points = np.concatenate([points, [[9.0, 9.0]]]).astype(np.float32)
    weights = np.arange(151) < 150
    found = appearance.fitted_centres(jnp.asarray(points), jnp.asarray(weights), 3)
    wanted = points[:150].reshape(3, 50, 2).mean(1)
    order = np.lexsort(np.asarray(found).round(1).T)
    np.testing.assert_allclose(
        np.asarray(found)[order], wanted[np.lexsort(wanted.round(1).T)], atol=1e-5
    )


def test_specks_and_thin_lines_go_to_their_neighbours():
    labels = np.zeros((20, 20), np.int32)
    labels[:, 10:] = 1
    labels[:, 9] = 2  # a line one pixel wide, as along an edge
    labels[3, 3] = 1  # a speck
    labels[12:16, 0:4] = 2  # wide enough
    inside = np.ones((20, 20), bool)
    found = np.asarray(appearance.made_coherent(jnp.asarray(labels), jnp.asarray(inside), 3, 4))
    assert found[3, 3] == 0
    assert set(found[:, 9]) <= {0, 1}
    np.testing.assert_array_equal(found[12:16, 0:4], 2)
    assert (found == 2).sum() == 16


def test_pixels_outside_the_picture_are_nobodys_and_change_nothing():
    images = scene().images
    view = next(iter(images))
    inside = np.zeros(images[view].shape[:3], bool)
    inside[:, 10:70] = True
    valid = {view: jnp.asarray(inside)}
    labels, centres = appearance.segments(images, count=6, valid=valid)
    changed = images | {view: jnp.where(inside[..., None], images[view], jnp.uint8(255))}
    again, same = appearance.segments(changed, count=6, valid=valid)
    assert (np.asarray(labels[view])[~inside] == -1).all()
    assert (np.asarray(labels[view])[inside] >= 0).all()
    np.testing.assert_array_equal(labels[view], again[view])
    np.testing.assert_array_equal(centres, same)


def test_batches_equal_single_frames_and_ranges_are_told_apart():
    images = scene(frames=2).images
    labels, centres = appearance.segments(images, count=5)
    for row in range(2):
        alone, own = appearance.segments({v: i[row] for v, i in images.items()}, count=5)
        np.testing.assert_allclose(centres[row], own, atol=1e-6)
        for view in images:
            np.testing.assert_array_equal(labels[view][row], alone[view])
    floats = {v: i.astype(jnp.float32) / 127.5 - 1.0 for v, i in images.items()}
    again, _ = jax.jit(lambda f: appearance.segments(f, count=5))(floats)
    for view in images:
        assert (np.asarray(again[view]) == np.asarray(labels[view])).mean() > 0.999
