"""A dollar in a task is a dollar, in every figure and format."""

import io

import numpy as np
import pytest

from iss_jax.stats.correlation import correlate
from iss_jax.viz.figures import correlation_figure, correlation_grid
from iss_jax.viz.picture import Figure, Picture, pixels
from iss_jax.viz.suites_figure import suites_figure

NAMES = ("pay $5", "x$_y^$", "$\\frac{1$", "a $b$ c $", "\\$1")


def drawn(figure, kind="png"):
    """The figure as a file; formulae that cannot be read end this."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
@pytest.mark.parametrize("name", NAMES)
def test_texts_with_dollars_are_drawn_wherever_they_stand(name, kind):
    figure = Picture(figsize=(3, 2), dpi=40, layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label=name)
    axes.set_xticks([0, 1], [name, "b"])
    axes.set(xlabel=name, ylabel=name, title=name)
    axes.text(0, 0, name)
    axes.annotate(name, (0.5, 0.5))
    axes.legend(title=name)
    figure.suptitle(name)
    figure.legend()
    assert len(drawn(figure, kind)) > 500
    assert pixels(figure).shape == (80, 120, 3)


def test_a_pair_of_dollars_is_no_formula():
    """`$5$` is two characters more than `5`, and so it is wider than the formula 5."""

    def width(text, cls):
        figure = cls(figsize=(3, 1), dpi=100)
        shown = figure.text(0.1, 0.5, text)
        drawn(figure)
        return shown.get_window_extent().width

    assert width("$5$", Figure) > 2 * width("5", Figure)


def test_powers_of_ten_at_an_axis_stay_formulae():
    figure = Figure(figsize=(3, 2), dpi=40)
    axes = figure.subplots()
    axes.set_yscale("log")
    axes.plot([1, 2], [1e-3, 1e3])
    assert drawn(figure) == drawn(figure)
    labels = [text for text in axes.get_yticklabels() if "mathdefault" in text.get_text()]
    assert labels and all(text.get_parse_math() for text in labels)


def test_figures_of_the_study_take_any_task():
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 10))
    groups = list(NAMES) * 2
    found = correlate(x, y, resamples=9, permutations=9)
    for figure in (
        correlation_figure(x, y, groups, found, xlabel="$k"),
        correlation_grid({"$": (x, found), "$$$": (x, found)}, y, groups),
        suites_figure({"a$": (x, "r = $")}, y, groups),
    ):
        assert isinstance(figure, Figure) and drawn(figure)[:4] == b"\x89PNG"
