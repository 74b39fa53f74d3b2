"""Rows of a micro-batch: the rule, and the memory it is taken from."""

import jax
import jax.numpy as jnp
import pytest

from iss_jax import memory
from iss_jax.attribution import attribute
from iss_jax.config import ISSConfig


@pytest.mark.parametrize(
    ("row_bytes", "device", "rows"),
    [
        (1e9, 80e9, 20),  # a quarter of the device
        (1e9, 8e9, 2),
        (1e9, 1e9, 1),  # one row is the least there is
        (1e6, 80e9, memory.MOST_ROWS),  # and more gain nothing
        (0.0, 80e9, memory.MOST_ROWS),
    ],
)
def test_rows_fill_a_quarter_of_the_memory(row_bytes, device, rows):
    assert memory.rows_that_fit(row_bytes, device) == rows


def test_a_device_that_reports_its_memory_is_believed(monkeypatch):
    class Device:
        def __init__(self, stats):
            self.memory_stats = lambda: stats

    for stats, wanted in ((None, 16 * 2**30), ({"bytes_limit": 123}, 123)):
        monkeypatch.setattr(jax, "local_devices", lambda stats=stats: [Device(stats)])
        assert memory.device_bytes() == wanted


def test_peak_holds_what_is_alive_at_once():
    """Four rows of 1000 float32 are 16 kB: two at a time here, three where one is kept."""
    x = jax.ShapeDtypeStruct((4, 1000), jnp.float32)

    def chain(x):
        return jnp.sin(jnp.sin(jnp.sin(jnp.sin(x))))

    def kept(x):
        first = jnp.sin(x)
        return first + jnp.sin(jnp.sin(jnp.sin(first)))

    assert memory.peak_bytes(jax.make_jaxpr(chain)(x).jaxpr) == 2 * 16_000
    assert memory.peak_bytes(jax.make_jaxpr(kept)(x).jaxpr) == 3 * 16_000


def test_peak_of_a_loop_is_one_turn_beside_what_all_turns_leave():
    x = jax.ShapeDtypeStruct((1000,), jnp.float32)

    def loop(x):
        return jax.lax.scan(lambda carry, _: (jnp.sin(jnp.sin(carry)), carry), x, None, length=50)

    # 50 rows left behind and the carry's result, and inside a turn two values.
    assert memory.peak_bytes(jax.make_jaxpr(loop)(x).jaxpr) == 4_000 * (51 + 2)


def test_what_rows_share_is_not_counted_for_each():
    weights = jnp.ones((100, 100), jnp.bfloat16)

    def layer(x):
        return x @ weights.astype(jnp.float32)

    rows = memory.bytes_a_row(layer, lambda n: jax.ShapeDtypeStruct((n, 100), jnp.float32))
    assert rows == 400  # a row of the result; the widened weights are 40 kB


def test_the_micro_batch_follows_the_device(monkeypatch):
    """A policy with a megabyte of activations a row, on devices of 8 MB and of 1 GB."""
    frames = {"front": jnp.ones((7, 7, 3))}

    def rows_on(device_bytes, estimator="centred"):
        seen = []

        def policy(images):
            pixels = images["front"].mean((1, 2, 3))
            seen.append(len(pixels))
            wide = jnp.broadcast_to(pixels[:, None], (len(pixels), 2**18)) * 1.0
            return wide.sum(1)[:, None, None]

        monkeypatch.setattr(memory, "device_bytes", lambda: device_bytes)
        attribute(policy, frames, config=ISSConfig(num_masks=40, estimator=estimator))
        return seen[-1]

    small, large, gradients = rows_on(8e6), rows_on(1e9), rows_on(1e9, "gradient")
    # Two values of 1 MiB are alive at once, so that a quarter of 8 MB holds one row.
    assert small == 1
    # 41 rows in as few steps as there are, evenly: at most 40 rows each, 16 with gradients.
    assert (large, gradients) == (21, 14)
