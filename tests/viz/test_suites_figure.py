"""Measures against success, suite by suite."""

import numpy as np

from iss_jax.viz.suites_figure import suites_figure


def test_rows_lie_under_the_mean_of_their_suite_best_suite_first():
    success = np.array([0.0, 0.2, 1.0, 0.8])
    measure = np.array([0.6, 0.4, 0.1, 0.3])
    panels = {"shown": (measure, "r = -1"), "other": (success, "r = 1")}
    figure = suites_figure(panels, success, ["low", "low", "high", "high"])
    assert [axes.get_xlabel() for axes in figure.axes] == ["shown", "other"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["r = -1", "r = 1"]
    rows, mean, *rest = figure.axes[0].collections
    np.testing.assert_allclose(rows.get_offsets(), [[0.1, 1.0], [0.3, 0.8]])
    np.testing.assert_allclose(mean.get_offsets(), [[0.2, 0.9]])
    np.testing.assert_allclose(rest[1].get_offsets(), [[0.5, 0.1]])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["high", "low"]


def test_rows_of_no_suite_have_no_mean():
    success = np.array([0.0, 0.2, 1.0])
    figure = suites_figure({"shown": (success, "")}, success, ["", "", ""])
    (rows,) = figure.axes[0].collections
    assert len(rows.get_offsets()) == 3
