"""The figures show the points, the fit and the numbers they were given."""

import numpy as np
import pytest

from iss_jax.stats import correlation as stats
from iss_jax.viz.figures import correlation_figure, correlation_grid


@pytest.fixture
def points():
    x = np.linspace(0.2, 0.8, 12)
    y = 0.9 - x + 0.05 * np.sin(np.arange(12) * 2.0)
    return x, y, [f"task {i // 4}" for i in range(12)]


def _correlate(x, y):
    return stats.correlate(x, y, clusters=np.arange(x.size) // 2, resamples=50, permutations=50)


def test_scatter(points, tmp_path):
    x, y, groups = points
    correlation = _correlate(x, y)
    figure = correlation_figure(x, y, groups, correlation, xlabel="nmr@10")
    (axes,) = figure.axes
    shown = np.concatenate([collection.get_offsets() for collection in axes.collections])
    np.testing.assert_allclose(np.sort(shown[:, 0]), np.sort(x))
    assert [c.get_label() for c in axes.collections] == ["task 0", "task 1", "task 2"]
    slope, intercept = np.polyfit(x, y, 1)
    line = axes.lines[0].get_xydata()
    np.testing.assert_allclose(line[:, 1], slope * line[:, 0] + intercept)
    text = axes.get_title("left")
    assert f"r = {correlation.r:.2f}" in text
    assert "6 tasks, n = 12" in text
    assert axes.get_xlabel() == "nmr@10"
    figure.savefig(tmp_path / "scatter.png")
    assert (tmp_path / "scatter.png").read_bytes().startswith(b"\x89PNG")


def test_grid_has_a_panel_per_measure(points, tmp_path):
    x, y, groups = points
    panels = {f"nmr@{k}": (x + k / 100, _correlate(x + k / 100, y)) for k in (1, 5, 15)}
    figure = correlation_grid(panels, y, groups)
    visible = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in visible] == ["nmr@1", "nmr@5", "nmr@15"]
    assert [axes.get_ylabel() for axes in visible] == ["success rate", "", "success rate"]
    figure.savefig(tmp_path / "grid.png")


def test_a_constant_measure_has_no_fit(points):
    _, y, groups = points
    x = np.full(12, 0.5)
    figure = correlation_figure(x, y, groups, _correlate(x, y), xlabel="constant")
    assert not figure.axes[0].lines
    title = figure.axes[0].get_title("left")
    assert title.startswith("no correlation: x does not vary") and "nan" not in title
