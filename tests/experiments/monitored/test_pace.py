"""What a monitored frame costs on the released sizes, by count."""

import pytest

from experiments.monitored.pace import counted_rows
from iss_jax.pi05 import flops, params as pi05
from iss_jax.sampling import Savings


def test_seventeen_copies_of_the_policy_are_counted():
    rows = {row["form"]: row for row in counted_rows(17, 2.5)}
    copy = flops.masked_copy_flops(
        pi05.PI05, Savings(), valid_tokens=20, present_views=2, action_horizon=10, rows=17
    )
    assert rows["libero"]["monitor_tflops"] == pytest.approx(17 * copy.total / 1e12, abs=0.05)
    for row in rows.values():
        assert row["passes"] < 17  # a copy costs less than openpi's plain pass
        assert row["tflops_a_second"] == pytest.approx(2.5 * row["monitor_tflops"], abs=0.2)
