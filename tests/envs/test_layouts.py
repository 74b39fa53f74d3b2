"""Layouts need no simulator: slots and a generator in, positions out."""

import numpy as np
import pytest

from iss_jax.envs import layouts

SLOTS = np.array(
    [[-0.12, -0.24], [0.05, -0.1], [-0.15, 0.06], [0.1, -0.2], [0.15, 0.03], [-0.2, -0.08]]
)
BASKET = np.array([0.0, 0.26])


def gaps(points):
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    return distance[np.triu_indices(len(points), 1)]


def test_native_layout_is_a_copy_of_the_slots():
    points, basket = layouts.draw("native", SLOTS, BASKET, np.random.default_rng(0))
    np.testing.assert_array_equal(points, SLOTS)
    np.testing.assert_array_equal(basket, BASKET)
    points[0] = 9.0
    assert SLOTS[0, 0] == -0.12


@pytest.mark.parametrize("kind", ["shuffled", "scattered"])
def test_objects_stay_apart_and_away_from_the_receptacle(kind):
    for seed in range(200):
        points, basket = layouts.draw(kind, SLOTS, BASKET, np.random.default_rng(seed))
        assert gaps(points).min() >= layouts.SEPARATION
        assert np.linalg.norm(points - basket, axis=1).min() >= layouts.CLEARANCE
        assert np.abs(basket - BASKET).max() <= layouts.RECEPTACLE_JITTER
        assert (points >= SLOTS.min(0) - layouts.JITTER).all()
        assert (points <= SLOTS.max(0) + layouts.JITTER).all()


def test_shuffling_sends_every_object_to_every_slot():
    visits = np.zeros((6, 6), int)
    draws = 600
    for seed in range(draws):
        points, _ = layouts.draw("shuffled", SLOTS, BASKET, np.random.default_rng(seed))
        offset = np.abs(points[:, None] - SLOTS[None]).max(-1)
        slots = offset.argmin(1)
        assert offset.min(1).max() <= layouts.JITTER + 1e-12
        assert sorted(slots) == list(range(6))
        visits[np.arange(6), slots] += 1
    # Each cell is binomial(600, 1/6): mean 100, standard deviation 9.1; five of them either way.
    assert visits.min() > 54 and visits.max() < 146


def test_same_seed_same_layout():
    first = layouts.draw("scattered", SLOTS, BASKET, np.random.default_rng(5))
    again = layouts.draw("scattered", SLOTS, BASKET, np.random.default_rng(5))
    other = layouts.draw("scattered", SLOTS, BASKET, np.random.default_rng(6))
    np.testing.assert_array_equal(first[0], again[0])
    assert np.abs(first[0] - other[0]).max() > 0.01


def test_unknown_kind_and_crowding_are_errors():
    with pytest.raises(ValueError, match="'heap'"):
        layouts.draw("heap", SLOTS, BASKET, np.random.default_rng(0))
    with pytest.raises(RuntimeError, match="no scattered layout of 30 objects"):
        layouts.draw("scattered", np.tile(SLOTS, (5, 1)), BASKET, np.random.default_rng(0))
