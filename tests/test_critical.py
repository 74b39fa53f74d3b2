import jax.numpy as jnp
import pytest

from iss_jax.critical import critical_set

MAP = jnp.array([[10.0, 4.0, 3.0, 2.0, 1.0]])


@pytest.mark.parametrize(
    ("k", "critical", "size"),
    [
        (20, "count", 1),
        (21, "count", 2),
        (40, "count", 2),
        (100, "count", 5),
        (1, "count", 1),
        (50, "mass", 1),
        (51, "mass", 2),
        (70, "mass", 2),
        (85, "mass", 3),
        (100, "mass", 5),
    ],
)
def test_critical_set_sizes(k, critical, size):
    # The map sums to 20: cumulative shares 50, 70, 85, 95, 100 %.
    found = critical_set({"front": MAP}, k, critical=critical)
    assert int(found.size) == size == int(found.pixels["front"].sum())
    assert float(found.threshold) == float(MAP[0, size - 1])
    assert int(found.ties) == 0


@pytest.mark.parametrize("pixels", [10, 20, 50])
@pytest.mark.parametrize("k", [10, 20, 30, 50])
def test_equal_pixels_hold_exactly_their_share_of_the_mass(pixels, k):
    """Tenths have no binary form: float32 sums of them miss k % by a bit, which adds no pixel."""
    found = critical_set(jnp.full((1, pixels), 0.1), k, critical="mass")
    assert int(found.size) == k * pixels // 100


def test_a_share_that_is_short_of_the_percentage_takes_another_pixel():
    short = jnp.array([[0.4999, 0.2501, 0.25]])
    assert int(critical_set(short, 50, critical="mass").size) == 2
