"""Errors of masks: against scipy's morphology, shifts by hand, and counts."""

import jax
import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings, strategies as st

from iss_jax.mask_error import dilate, drop_objects, erode, jitter, overlap, pieces, shift


def _labels(seed=0, frames=3, size=(20, 24)):
    """Blobs rather than noise, so that regions have an inside."""
    rng = np.random.default_rng(seed)
    smooth = scipy.ndimage.gaussian_filter(rng.normal(size=(frames, *size)), (0, 3, 3))
    return np.digitize(smooth, np.quantile(smooth, [0.6, 0.85])).astype(np.uint8)


def _disk(radius):
    reach = int(radius)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return rows**2 + columns**2 <= radius**2


@pytest.mark.parametrize("radius", [1.0, 1.5, 2.0, 4.3])
def test_dilation_and_erosion_are_scipys_with_a_disk(radius):
    labels = _labels()
    grown, shrunk = dilate(labels, radius), erode(labels, radius)
    for frame, more, less in zip(labels, grown, shrunk, strict=True):
        relevant = frame != 0
        np.testing.assert_array_equal(
            more != 0, scipy.ndimage.binary_dilation(relevant, _disk(radius))
        )
        np.testing.assert_array_equal(
            less != 0, scipy.ndimage.binary_erosion(relevant, _disk(radius), border_value=True)
        )
        # What was relevant keeps its label, what stays relevant too.
        np.testing.assert_array_equal(more[relevant], frame[relevant])
        np.testing.assert_array_equal(less[less != 0], frame[less != 0])


def test_a_dilated_pixel_takes_the_nearest_label():
    labels = np.array([[[1, 0, 0, 0, 0, 2]]], np.uint8)
    np.testing.assert_array_equal(dilate(labels, 2), [[[1, 1, 1, 2, 2, 2]]])
    np.testing.assert_array_equal(dilate(labels, 1), [[[1, 1, 0, 0, 2, 2]]])


@given(st.integers(0, 50), st.floats(0, 5))
@settings(max_examples=20, deadline=None)
def test_errors_of_size_zero_change_nothing_and_grow_with_it(seed, radius):
    labels = _labels(seed, 1)
    for error in (dilate, erode):
        np.testing.assert_array_equal(error(labels, 0.0), labels)
        assert (
            overlap(labels, error(labels, radius))[0]
            >= overlap(labels, error(labels, radius + 1))[0]
        )
    assert ((dilate(labels, radius) != 0) >= (labels != 0)).all()
    assert ((erode(labels, radius) != 0) <= (labels != 0)).all()


def test_frames_without_either_region():
    for value in (0, 2):
        labels = np.full((1, 4, 4), value, np.uint8)
        for error in (dilate, erode):
            np.testing.assert_array_equal(error(labels, 3.0), labels)
    assert overlap(np.zeros((1, 4, 4), np.uint8), np.zeros((1, 4, 4), np.uint8)) == 1.0


def test_shift_moves_down_and_right_and_repeats_the_border():
    labels = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    np.testing.assert_array_equal(shift(labels, 1, 0), [[[0, 1, 2], [0, 1, 2]]])
    np.testing.assert_array_equal(shift(labels, 0, -1), [[[1, 2, 2], [4, 5, 5]]])
    np.testing.assert_array_equal(shift(labels, 9, 9), np.zeros((1, 2, 3)))


def test_jitter_is_a_shift_by_that_distance_in_every_direction():
    labels = np.zeros((64, 31, 31), np.uint8)
    labels[:, 15, 15] = 1
    moved = jitter(jax.random.key(0), labels, 8.0)
    _, rows, columns = np.nonzero(moved)
    offsets = np.stack([rows, columns], axis=1) - 15
    assert len(offsets) == 64
    # Rounding moves each coordinate by at most half a pixel.
    assert np.abs(np.linalg.norm(offsets, axis=1) - 8).max() <= np.sqrt(0.5) + 1e-6
    # 64 uniform directions: all quadrants but with probability 4 · 0.75^64 < 1e-7.
    assert len({(row > 0, column > 0) for row, column in offsets.tolist()}) == 4
    np.testing.assert_array_equal(moved, jitter(jax.random.key(0), labels, 8.0))
    np.testing.assert_array_equal(jitter(jax.random.key(0), labels, 0.0), labels)


def _objects():
    labels = np.zeros((1, 12, 12), np.uint8)
    labels[0, 1:4, 1:4] = 1
    labels[0, 6:9, 1:4] = 1
    labels[0, 6:9, 4:7] = 2
    labels[0, 11, 11] = 2
    return labels


def test_pieces_are_connected_sets_of_one_label():
    assert sorted(int(mask.sum()) for mask in pieces(_objects()[0])) == [1, 9, 9, 9]
    assert len(pieces(_objects()[0], smallest=2)) == 3


def test_dropped_objects_vanish_whole_and_the_rest_stays():
    labels = np.repeat(_objects(), 60, axis=0)
    seen = {}
    for count in (0, 1, 2, 3, 9):
        dropped = drop_objects(jax.random.key(1), labels, count)
        gone = (labels != 0).sum((1, 2)) - (dropped != 0).sum((1, 2))
        np.testing.assert_array_equal(gone, 9 * min(count, 3))
        np.testing.assert_array_equal(dropped[dropped != 0], labels[dropped != 0])
        seen[count] = {(frame != 0).tobytes() for frame in dropped}
    # Each of three pieces is missed by 60 uniform draws with probability (2/3)^60 < 1e-10.
    assert [len(seen[count]) for count in (0, 1, 2, 3)] == [1, 3, 3, 1]


def test_overlap_by_hand():
    labels = np.array([[[1, 2, 0, 0]]], np.uint8)
    other = np.array([[[0, 1, 1, 0]]], np.uint8)
    assert overlap(labels, other)[0] == pytest.approx(1 / 3)


def test_negative_sizes_are_refused():
    labels = _labels(frames=1)
    for call in (
        lambda: dilate(labels, -1),
        lambda: erode(labels, float("nan")),
        lambda: jitter(jax.random.key(0), labels, -2),
        lambda: drop_objects(jax.random.key(0), labels, -1),
    ):
        with pytest.raises(ValueError, match="at least 0 wanted"):
            call()
