"""Shares over time: who has a curve, and what the others sum up to."""

import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import Effects, Players
from iss_jax.viz.picture import pixels
from iss_jax.viz.shares_curve import largest_players, shares_figure, shares_over_time, spread

NAMES = ("floor", "bowl", "plate", "cup")
LABELS = jnp.broadcast_to(jnp.array([[0, 1], [2, 3]]), (3, 2, 2))


def effects(reason=(0, 0, 0)):
    mean = np.array([[1, 6, 2, 1], [2, 4, 3, 1], [1, 8, 0.5, 0.5]], np.float32)
    spread_of = np.random.default_rng(0).normal(0, 0.1, (3, 16, 4)).astype(np.float32)
    return Effects(
        by_draw=jnp.asarray(mean[:, None] + spread_of - spread_of.mean(1, keepdims=True)),
        moved=jnp.ones((3, 4)).at[1, 2].set(0.0),
        beside={},
        floor=jnp.zeros(3),
        reason=jnp.array(reason),
        players=Players({"front": LABELS}, names=NAMES),
        actions=jnp.zeros((3, 1, 1)),
    )


def test_the_largest_have_a_curve_and_the_others_are_summed():
    found = effects()
    assert largest_players(found, 2) == [1, 2]
    share, error, rest, rest_error = shares_over_time(found, 2)
    np.testing.assert_allclose(share[:, 1], [0.6, 0.4, 0.8], rtol=1e-5)
    np.testing.assert_allclose(rest, [0.2, 0.3, 0.15], rtol=1e-4)
    # Both together by the delta method: share and rest of all draws at once.
    by_draw = np.asarray(found.by_draw[0], np.float64)
    total = by_draw.mean(0).sum()
    influence = (by_draw[:, [0, 3]].sum(1) - 0.2 * by_draw.sum(1)) / total
    assert rest_error[0] == pytest.approx(influence.std(ddof=1) / 4, rel=1e-3)
    assert error.shape == (3, 4)


def test_frames_without_shares_leave_a_gap_and_order_nothing():
    share, _, rest, _ = shares_over_time(effects((1, 0, 0)), 2)
    assert np.isnan(share[0]).all() and np.isnan(rest[0]) and np.isfinite(share[1:]).all()


@pytest.mark.parametrize("reason", [(0, 0, 0), (1, 1, 1)])
def test_it_is_drawn(reason):
    figure = shares_figure(effects(reason), np.arange(3.0), title="episode", most=2)
    said = {text.get_text() for text in figure.axes[0].texts}
    assert said == ({"no shares"} if reason[0] else {"bowl", "plate", "2 others"})
    hollow = "Hollow marks" in figure.get_supxlabel()
    assert hollow and pixels(figure).std() > 0


def test_names_do_not_overlap_and_keep_their_order():
    found = spread(np.array([0.02, 0.9, 0.03, 0.01, 0.5]), 0.06)
    assert np.diff(np.sort(found)).min() >= 0.06 - 1e-9 and found.min() >= 0
    assert np.argsort(found).tolist() == [3, 0, 2, 4, 1] and found[1] == 0.9
