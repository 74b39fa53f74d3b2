"""Paths are where the hand was, coloured by outcome or by value."""

import numpy as np
import pytest
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from iss_jax.viz.trajectories import OUTCOMES, Path, trajectories_figure


def walk(seed, frames=6):
    return np.random.default_rng(seed).normal(size=(frames, 3)).cumsum(0) / 10


def test_paths_by_outcome():
    tasks = {"milk": [Path(walk(0), True), Path(walk(1), False)], "soup": [Path(walk(2), True)]}
    figure = trajectories_figure(tasks)
    milk, soup = figure.axes
    assert milk.get_title() == "milk\n1 of 2 succeed" and soup.get_title() == "soup\n1 of 1 succeed"
    for line, path in zip(milk.lines, tasks["milk"], strict=False):
        np.testing.assert_allclose(np.stack(line.get_data_3d(), 1), path.position)
        assert line.get_color() == OUTCOMES[path.success][0]
    for name, column in zip("xyz", range(3), strict=True):
        low, high = getattr(milk, f"get_{name}lim")()
        points = np.concatenate([path.position for path in tasks["milk"]])[:, column]
        assert low < points.min() and points.max() < high
        assert getattr(milk, f"get_{name}label")() == f"{name} (m)"


def test_an_outcome_that_nobody_says_is_not_counted():
    tasks = {"milk": [Path(walk(0), True), Path(walk(1), None)], "soup": [Path(walk(2), None)]}
    figure = trajectories_figure(tasks)
    milk, soup = figure.axes
    assert milk.get_title() == "milk\n1 of 1 succeed, 1 not known" and soup.get_title() == "soup"
    assert soup.lines[0].get_color() == OUTCOMES[None][0]
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["success", "failure", "outcome not known"]
    alone = trajectories_figure({"soup": [Path(walk(2), None)]})
    assert [text.get_text() for text in alone.legends[0].get_texts()] == ["outcome not known"]


def test_paths_by_value_share_one_scale():
    values = np.linspace(0.1, 0.6, 6)
    tasks = {"milk": [Path(walk(0), True, values)], "soup": [Path(walk(1), False, values + 0.3)]}
    figure = trajectories_figure(tasks, label="nmr@10")
    found = [c for a in figure.axes for c in a.collections if isinstance(c, Line3DCollection)]
    np.testing.assert_allclose(found[0].get_array(), (values[1:] + values[:-1]) / 2)
    np.testing.assert_allclose([c.get_clim() for c in found], [(0.1, 0.9)] * 2)
    assert figure.axes[-1].get_ylabel() == "nmr@10"


def test_a_path_of_one_position_is_a_point():
    one = Path(walk(0, frames=1), False, np.array([0.5]))
    figure = trajectories_figure({"milk": [one]})
    figure.canvas.draw()
    assert not [c for c in figure.axes[0].collections if isinstance(c, Line3DCollection)]
    assert figure.axes[0].get_title() == "milk\n0 of 1 succeed"


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match=r"a path, got \[1, 0\]"):
        trajectories_figure({"a": [Path(walk(0), True)], "b": []})
    with pytest.raises(ValueError, match="a path"):
        trajectories_figure({})
