"""Regions are tinted in their colours, and the curves are the shares that were given."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from iss_jax import Region
from iss_jax.viz.regions import COLOURS, NAMES, masks_figure, paint_regions, regions_figure


def test_each_label_has_its_tint():
    regions = np.array([[0, 1, 2]], np.uint8)
    image = np.full((1, 3, 3), 100, np.uint8)
    found = paint_regions(image, regions, opacity=0.5)
    for region in Region:
        tint = 255 * np.array(to_rgb(COLOURS[region]))
        np.testing.assert_allclose(found[0, region], 50 + tint / 2, atol=0.51)
    np.testing.assert_array_equal(paint_regions(image, regions, opacity=0.0), image)
    with pytest.raises(ValueError, match=r"regions is \[1, 3\], the image is \[2, 2\]"):
        paint_regions(np.zeros((2, 2, 3), np.uint8), regions)


def test_masks_have_a_panel_a_frame():
    images = [np.zeros((4, 4, 3), np.uint8)] * 3
    labels = [np.full((4, 4), i, np.uint8) for i in range(3)]
    figure = masks_figure(images, labels, [0.0, 0.2, 0.4], title="milk")
    assert [axes.get_xlabel() for axes in figure.axes] == ["0.0 s", "0.2 s", "0.4 s"]
    for axes, image, regions in zip(figure.axes, images, labels, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), paint_regions(image, regions))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(NAMES)


def test_shares_over_time():
    times = np.arange(4.0)
    above, critical, area = np.random.default_rng(0).dirichlet(np.ones(3), (3, 4))
    computed = np.array([True, False, False, True])
    figure = regions_figure(times, above, critical, area, computed, percent=10, title="milk")
    for axes, shares in zip(figure.axes, (critical, above), strict=True):
        shown = {line.get_label(): line for line in axes.lines}
        for region, name in enumerate(NAMES):
            np.testing.assert_allclose(shown[name].get_ydata(), shares[:, region])
            dots, dotted = axes.lines[3 * region + 1 : 3 * region + 3]
            np.testing.assert_allclose(dots.get_ydata(), shares[computed, region])
            np.testing.assert_allclose(dotted.get_ydata(), area[:, region])
            assert dotted.get_color() == shown[name].get_color() == COLOURS[region]
