"""Distances between distributions of chunks, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import iss_jax
from iss_jax import ISSConfig
from iss_jax.attribution import attribute
from iss_jax.divergence import effects, flattened
from iss_jax.modes import energy_distance, mode_split

RNG = np.random.default_rng(0)


def two(high, *, at=1.0, draws=16):
    """`high` of the draws at one mode, the rest at its negative."""
    return jnp.where(jnp.arange(draws) < high, at, -at)[:, None, None] * jnp.ones((1, 2, 3))


@pytest.mark.parametrize("high", [0, 4, 8, 16])
def test_modes_of_other_weights(high):
    """4 a (w - v)^2, with nothing moved within."""
    baseline = two(12, at=0.7)
    masked = two(high, at=0.7)
    wanted = 4 * 0.7 * (12 / 16 - high / 16) ** 2
    np.testing.assert_allclose(energy_distance(masked, baseline), wanted, atol=1e-6)
    within, weights = mode_split(masked, baseline)
    np.testing.assert_allclose([within, weights], [0.0, wanted], atol=1e-6)


def test_modes_that_move():
    """Each mode by the same step: 2 |step| within, and no weight changes."""
    baseline = two(12)
    moved = baseline + 0.2 * jnp.sign(baseline)
    within, weights = mode_split(moved, baseline)
    np.testing.assert_allclose([within, weights], [0.4, 0.0], atol=1e-6)


def test_the_squared_error_fails_where_noise_changes_hands():
    """The same draws in another order: the error is 4 times the share, the distance is 0."""
    baseline = two(8)
    swapped = baseline[::-1]
    assert float(effects(swapped, baseline).mean()) == pytest.approx(4.0)
    assert float(energy_distance(swapped, baseline)) == pytest.approx(0.0, abs=1e-6)


def test_one_dimension_equals_scipy():
    """scipy's distance is the root of the half, for draws of one number."""
    x, y = RNG.normal(size=12), RNG.normal(size=12) + 0.5
    found = energy_distance(jnp.asarray(y)[:, None, None], jnp.asarray(x)[:, None, None])
    assert float(found) == pytest.approx(scipy.stats.energy_distance(x, y) ** 2, rel=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_vectors_have_the_effects_as_squared_distances(reduction):
    a, b = (jnp.asarray(RNG.normal(size=(5, 4, 3)), jnp.float32) for _ in "ab")
    chosen = {"reduction": reduction, "action_dims": (0, 2), "horizon": 3, "weights": (1.0, 2.0)}
    gap = flattened(a, **chosen) - flattened(b, **chosen)
    np.testing.assert_allclose(jnp.square(gap).sum(-1), effects(a, b, **chosen), rtol=1e-5)
    with pytest.raises(ValueError, match=r"weights must be \[3\] or"):
        flattened(a, weights=(1.0, 2.0))


def test_runs_batch_and_have_gradients_where_nothing_moved():
    baseline = jnp.asarray(RNG.normal(size=(6, 2, 3)), jnp.float32)
    runs = baseline[None] + jnp.asarray([0.0, 0.3, 1.0])[:, None, None, None]
    found = energy_distance(runs, baseline)
    alone = [energy_distance(run, baseline) for run in runs]
    np.testing.assert_allclose(found, alone, atol=1e-6)
    slope = jax.grad(lambda run: energy_distance(run, baseline))(baseline)
    assert bool(jnp.isfinite(slope).all())


def bimodal(images, noise):
    """Which mode a noise leads to depends on the left edge; how often, on the right one."""
    left = images["front"][:, :, 0].mean((1, 2))
    right = images["front"][:, :, -1].mean((1, 2))
    turned = jnp.where(left > 0.8, noise, -noise)
    return jnp.where(turned > right - 0.5, 1.0, -1.0)[:, None, None] * jnp.ones((1, 2, 3))


def test_a_map_sees_the_weights_and_not_whose_noise_is_whose():
    """Noise is symmetric: the left half changes no distribution, and the error says it does."""
    frame = jnp.zeros((8, 8, 3)).at[:, :4].set(1.0)
    noise = jnp.asarray(np.linspace(-0.97, 0.97, 32), jnp.float32)
    options = {"num_masks": 60, "grid": (1, 2), "noise_draws": 32, "blur_sigma": 300.0}

    def cells(kind):
        config = ISSConfig(divergence=kind, **options)
        found = attribute(bimodal, {"front": frame}, noise=noise, config=config)
        assert found.unit.startswith("energy distance" if kind != "error" else "mean squared")
        return np.asarray(found.cells)[0, 0]

    error, energy = cells("error"), cells("energy")
    assert error[0] > 10 * abs(energy[0])
    np.testing.assert_allclose(cells("within") + cells("weights"), energy, atol=1e-5)


def test_sets_of_draws_are_wanted():
    with pytest.raises(ValueError, match="noise_draws of 2 at least wanted, got 1"):
        ISSConfig(divergence="energy")
    with pytest.raises(ValueError, match=r"ISSConfig\.divergence must be one of"):
        ISSConfig(divergence="kl")
    assert iss_jax.ISSConfig(divergence="energy", noise_draws=4).divergence == "energy"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_no_zero(bad):
    baseline = two(8)
    broken = baseline.at[3, 0, 1].set(bad)
    assert not np.isfinite(energy_distance(broken, baseline))
    assert not np.isfinite(energy_distance(baseline, broken))
    assert not np.isfinite(mode_split(broken, baseline)[0])


@pytest.mark.parametrize("shape", [(3, 2, 2, 6), (5, 2, 3), (2, 3)])
def test_other_chunks_are_refused(shape):
    for distance in (energy_distance, mode_split):
        with pytest.raises(ValueError, match=r"actions must be \[\.\.\., draws, H, A\]"):
            distance(jnp.zeros(shape), jnp.zeros((4, 2, 3)))
