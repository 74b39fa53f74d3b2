"""The picture of two policies' shares."""

import math

import numpy as np

from iss_jax.viz.compared_figure import compared_figure


def _row(player, difference, low, high):
    return {
        "player": player,
        "share_a": 0.2,
        "share_b": 0.2 + difference,
        "difference": difference,
        "low": low,
        "high": high,
        "stderr_of_draws": 0.0,
    }


def test_a_difference_that_is_constant_up_to_rounding_is_drawn():
    """The resampled means of one value may all lie on one side of it."""
    value = 0.1
    above, below = np.nextafter(value, 1), np.nextafter(value, 0)
    rows = [_row("bowl", value, above, above), _row("lamp", -value, -above, -above)]
    rows += [_row("plate", value, below, below), _row("robot", 0.3, math.nan, math.nan)]
    figure = compared_figure(rows, ("a", "b"))
    lines = figure.axes[1].lines
    drawn = {float(x) for line in lines for x in np.ravel(line.get_xdata())}
    assert {100 * value, -100 * value} <= {round(x, 9) for x in drawn}
