"""The grid of explanations has the frame above and a row a method."""

import numpy as np

from iss_jax.viz.methods import Panel, methods_figure
from iss_jax.viz.overlays import CRITICAL_OUTLINE, magnify, overlay


def test_rows_columns_and_what_stands_beneath():
    rng = np.random.default_rng(0)
    images = {v: rng.integers(0, 255, (80, 80, 3), np.uint8) for v in ("front", "wrist")}
    regions = {v: rng.integers(0, 3, (80, 80), np.uint8) for v in images}
    critical = np.zeros((80, 80), bool)
    critical[20:40, 20:40] = True
    methods = {
        name: {v: Panel(rng.random((80, 80)), critical, nmr) for v in images}
        for name, nmr in (("ATT", 0.25), ("ISS", 0.5))
    }
    figure = methods_figure(
        images, regions, methods, {"front": 0.3, "wrist": 0.4}, percent=10, title="milk"
    )
    grid = np.array(figure.axes).reshape(3, 2)
    assert [axes.get_ylabel() for axes in grid[:, 0]] == ["frame", "ATT", "ISS"]
    assert [axes.get_title() for axes in grid[0]] == ["front", "wrist"]
    assert [axes.get_xlabel() for axes in grid[0]] == ["nuisance area 0.30", "nuisance area 0.40"]
    assert grid[2, 1].get_xlabel() == "nmr@10 0.50"
    panel = methods["ISS"]["front"]
    expected = overlay(
        magnify(images["front"], 4),
        magnify(panel.saliency, 4),
        magnify(regions["front"], 4),
        limits=tuple(np.quantile(panel.saliency, (0.01, 0.99))),
        critical=magnify(critical, 4),
    )
    np.testing.assert_array_equal(grid[2, 0].images[0].get_array(), expected)
    np.testing.assert_array_equal(expected[80, 100], CRITICAL_OUTLINE)  # its upper edge
