"""The suite as the unit."""

import numpy as np
import pytest

from iss_jax.against_success.rows import Row, by_suite
from iss_jax.data.success import Success


def row(suite, successes, nmr):
    success = Success("task", suite, "seen", 0, 0, 10, successes)
    return Row(success, 1, 1, {"nmr_effect": nmr}, np.zeros((1, 1)))


def test_means_of_suites_are_ranked_and_every_order_is_looked_at():
    rows = [
        row("a", 9, 0.1),
        row("a", 7, 0.3),
        row("b", 5, 0.3),
        row("c", 1, 0.5),
        row("d", 0, 0.4),
    ]
    (found,) = by_suite(rows)
    assert found["measure"] == "nmr_effect" and found["n"] == 4 and found["exact"]
    assert found["means"] == pytest.approx({"a": 0.2, "b": 0.3, "c": 0.5, "d": 0.4})
    # Ranks 1 2 4 3 against 4 3 2 1: 1 - 6 (9 + 1 + 4 + 4) / 60.
    assert found["r"] == pytest.approx(-0.8)
    # Of the 24 orders 1 and 3 are as far to either side.
    assert found["p_value"] == pytest.approx(8 / 24)


def test_of_two_suites_nothing_is_said():
    assert by_suite([row("a", 9, 0.1), row("b", 5, 0.3)]) == []
