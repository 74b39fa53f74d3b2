"""Overlays blend by the stated weights and outline the regions."""

import matplotlib
import numpy as np
import pytest

from iss_jax.viz.overlays import (
    CRITICAL_OUTLINE,
    OUTLINES,
    magnify,
    outline,
    overlay,
    overlay_figure,
)


def test_blend_is_the_weighted_mean_of_frame_and_colours():
    image = np.full((2, 3, 3), 100, np.uint8)
    saliency = np.array([[0.0, 0.5, 1.0], [2.0, -1.0, 0.25]])
    found = overlay(image, saliency, limits=(0.0, 1.0), opacity=0.25, colormap="viridis")
    colours = matplotlib.colormaps["viridis"](np.clip(saliency, 0, 1))[..., :3] * 255
    np.testing.assert_allclose(found, 75 + 0.25 * colours, atol=0.5)
    np.testing.assert_array_equal(overlay(image, saliency, opacity=0.0), image)


def test_limits_default_to_the_maps_extremes_and_a_flat_map_is_one_colour():
    image = np.zeros((2, 2, 3), np.uint8)
    saliency = np.array([[3.0, 5.0], [4.0, 3.0]])
    np.testing.assert_array_equal(
        overlay(image, saliency), overlay(image, saliency, limits=(3.0, 5.0))
    )
    assert len(np.unique(overlay(image, np.full((2, 2), 7.0)).reshape(-1, 3), axis=0)) == 1


def test_outline_of_a_block():
    inside = np.zeros((6, 6), bool)
    inside[1:5, 2:6] = True
    expected = inside.copy()
    expected[2:4, 3:6] = False
    np.testing.assert_array_equal(outline(inside), expected)
    assert not outline(np.ones((3, 3), bool)).any()


def test_regions_are_outlined_in_their_colours():
    regions = np.zeros((5, 5), np.uint8)
    regions[:2], regions[3:] = 1, 2
    found = overlay(np.zeros((5, 5, 3), np.uint8), np.zeros((5, 5)), regions)
    np.testing.assert_array_equal(found[1, 2], OUTLINES[1])
    np.testing.assert_array_equal(found[3, 2], OUTLINES[2])
    np.testing.assert_array_equal(found[0, 0], found[2, 2])


def test_sizes_that_differ_are_named():
    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match=r"saliency is \[3, 4\], the image is \[4, 4\]"):
        overlay(image, np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"regions is \[2, 2\]"):
        overlay(image, np.zeros((4, 4)), np.zeros((2, 2), np.uint8))


def test_figure_has_a_row_per_observation_and_a_column_per_view():
    frames = {"front": np.zeros((4, 4, 3), np.uint8), "wrist": np.full((4, 4, 3), 9, np.uint8)}
    figure = overlay_figure([frames, frames, frames], ["a", "b", "c"])
    assert [axes.get_title() for axes in figure.axes[:2]] == ["front", "wrist"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["a", "", "b", "", "c", ""]
    np.testing.assert_array_equal(figure.axes[5].images[0].get_array(), frames["wrist"])


def test_critical_pixels_are_outlined_in_white():
    critical = np.zeros((5, 5), bool)
    critical[1:4, 1:4] = True
    found = overlay(np.zeros((5, 5, 3), np.uint8), np.zeros((5, 5)), critical=critical)
    white = (found == CRITICAL_OUTLINE).all(-1)
    np.testing.assert_array_equal(white, outline(critical))
    with pytest.raises(ValueError, match=r"critical is \[2, 2\]"):
        overlay(np.zeros((5, 5, 3), np.uint8), np.zeros((5, 5)), critical=critical[:2, :2])


def test_magnified_pixels_are_squares():
    array = np.arange(12).reshape(2, 2, 3)
    found = magnify(array, 3)
    assert found.shape == (6, 6, 3)
    for y, x in np.ndindex(6, 6):
        np.testing.assert_array_equal(found[y, x], array[y // 3, x // 3])
    with pytest.raises(ValueError, match="at least 1, got 0"):
        magnify(array, 0)
