"""How often intervals of shares hold the true one, by simulation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from iss_jax.share_intervals import share_intervals

# Shares, and the spreads of log effects that all players share and that each has of its own.
KINDS = {
    "mild": ((0.5, 0.3, 0.15, 0.05), 0.5, 0.5),
    "heavy": ((0.5, 0.3, 0.15, 0.05), 0.8, 1.2),
    "near one": ((0.95, 0.03, 0.01, 0.01), 0.8, 1.0),
    "many": ((0.3, 0.2, 0.1, *[0.4 / 9] * 9), 0.6, 1.2),
}
REPEATS = 4000


@functools.cache
def simulated(kind, draws):
    """By draw effects of many studies, and the true shares."""
    mean, common, own = KINDS[kind]
    rng = np.random.default_rng(0)
    size = (REPEATS, draws, len(mean))
    noise = common * rng.normal(size=(*size[:2], 1)) + own * rng.normal(size=size)
    return np.asarray(mean) * np.exp(noise), np.asarray(mean)


def coverage(ends, truth):
    low, high = (np.asarray(end, np.float64) for end in ends)
    return ((low <= truth[None]) & (truth[None] <= high)).mean(0)


# Floors, of the player that is held least often. Measured: mild .93 to .94, heavy .90 to .91, near
# one .94, many .90, all of a nominal .95. The standard error of one coverage is 0.005.
@pytest.mark.parametrize("draws", [4, 8, 16])
@pytest.mark.parametrize(
    ("kind", "floor"), [("mild", 0.92), ("heavy", 0.89), ("near one", 0.92), ("many", 0.88)]
)
def test_coverage_of_95_per_cent_intervals(kind, floor, draws):
    by_draw, truth = simulated(kind, draws)
    x = jnp.asarray(by_draw, jnp.float32)
    low, high = share_intervals(x, x.sum(-1))
    held = coverage((low, high), truth)
    assert held.min() > floor and held.max() < 0.975
    # Four draws with such tails know little, sixteen more.
    assert float((high - low).mean()) < {4: 0.65, 8: 0.5, 16: 0.4}[draws]
    assert coverage(share_intervals(x, x.sum(-1), 0.5), truth).mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("draws", [4, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_a_bootstrap_and_the_delta_methods_t_hold_it_more_seldom(kind, draws):
    by_draw, truth = simulated(kind, draws)
    by_draw = by_draw[:1000]
    x = jnp.asarray(by_draw, jnp.float32)
    ours = coverage(share_intervals(x, x.sum(-1)), truth).mean()
    weights = np.random.default_rng(1).multinomial(draws, np.full(draws, 1 / draws), 200)
    again = np.einsum("bk,nkp->bnp", weights, by_draw)
    percentiles = np.quantile(again / again.sum(-1, keepdims=True), [0.025, 0.975], axis=0)
    total = by_draw.sum((1, 2))[:, None]
    share = by_draw.sum(1) / total
    rest = by_draw - share[:, None] * by_draw.sum(-1, keepdims=True)
    error = np.sqrt(np.square(rest - rest.mean(1, keepdims=True)).sum(1) * draws / (draws - 1))
    half = special.stdtrit(draws - 1, 0.975) * error / total
    delta = coverage((share - half, share + half), truth).mean()
    assert ours > coverage(percentiles, truth).mean() + 0.01
    assert ours > delta + 0.005


def test_ends_stay_within_0_and_1_and_hold_the_share():
    by_draw, _ = simulated("near one", 4)
    x = jnp.asarray(by_draw, jnp.float32)
    low, high = share_intervals(x, x.sum(-1))
    share = x.sum(-2) / x.sum((-2, -1))[:, None]
    assert (low >= 0).all() and (high <= 1).all() and (low <= share).all() and (share <= high).all()
    wider = share_intervals(x, x.sum(-1), 0.99)
    assert (wider[0] <= low).all() and (wider[1] >= high).all()


def test_shares_without_a_logit():
    """A player that never moves, one that moves in one draw, and effects below zero."""
    x = jnp.array([[0.0, 0.0, 1.0], [0.0, 0.5, 1.0], [0.0, 0.0, 2.0], [0.0, 0.0, 1.0]])
    low, high = share_intervals(x, x.sum(-1))
    assert (float(low[0]), float(high[0])) == (0.0, 0.0)
    assert float(low[1]) == 0.0 and 0.2 < float(high[1]) < 0.5
    assert 0.5 < float(low[2]) < 0.8 and float(high[2]) == 1.0
    negative = jnp.array([[-0.1, 1.1], [-0.2, 1.0], [0.0, 1.3]])
    low, high = share_intervals(negative, negative.sum(-1))
    assert float(low[0]) == 0.0 and float(high[1]) == 1.0
    assert np.isfinite(jax.grad(lambda x: share_intervals(x, x.sum(-1))[0].sum())(x + 1.0)).all()


def test_what_says_nothing_has_the_whole_interval():
    for x in (jnp.ones((1, 2)), jnp.zeros((4, 2))):
        low, high = share_intervals(x, x.sum(-1))
        assert low.tolist() == [0.0, 0.0] and high.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\), got 95"):
        share_intervals(jnp.ones((2, 2)), jnp.ones(2), 95)


def test_parts_that_may_be_negative_are_not_cut_off():
    # Means -0.1 and 1.1 of a whole that does not vary: the plain jackknife is Student's t.
    parts = jnp.array([[-0.3, 1.3], [-0.1, 1.1], [0.1, 0.9]])
    low, high = share_intervals(parts, parts.sum(-1), bounded=False)
    reach = special.stdtrit(2, 0.975) * 0.2 / 3**0.5
    np.testing.assert_allclose(low, [-0.1 - reach, 1.1 - reach], rtol=1e-4)
    np.testing.assert_allclose(high, [-0.1 + reach, 1.1 + reach], rtol=1e-4)
    cut, _ = share_intervals(parts, parts.sum(-1))
    assert float(cut[0]) == 0.0
    for nothing in (parts[:1], parts * 0.0):
        ends = share_intervals(nothing, nothing.sum(-1), bounded=False)
        np.testing.assert_array_equal(jnp.stack(ends), [[-np.inf] * 2, [np.inf] * 2])
