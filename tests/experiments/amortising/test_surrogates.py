"""Surrogates find what is there, and their contrasts are those of what they fitted."""

import numpy as np
import pytest

from experiments.amortising.surrogates import gaussian_process, smoothness, trees, wiener

P, SHAPE = 0.3, (2, 3, 3)
CELLS = 18


def runs(count, seed=0):
    return np.random.default_rng(seed).random((count, CELLS)) < P


def bump():
    """A smooth map, in the first view alone."""
    y, x = np.divmod(np.arange(9), 3)
    return np.concatenate([np.exp(-((y - 1) ** 2 + (x - 2) ** 2) / 2), np.zeros(9)])


def correlation(a, b):
    return np.corrcoef(a, b)[0, 1]


def test_a_process_finds_a_smooth_map_from_fewer_runs_than_cells():
    masks = runs(14)
    effects = ~masks @ bump()
    found = gaussian_process(masks, effects, keep_prob=P, shape=SHAPE)
    plain = (effects - effects.mean()) @ (~masks - (1 - P))
    assert correlation(found, bump()) > 0.9 > correlation(plain, bump())


def test_a_process_of_many_runs_gives_the_contrasts_themselves():
    masks = runs(150)
    drops = ~masks
    effects = drops @ bump() + 0.5 * drops[:, 0] * drops[:, 17]
    wanted = bump()
    # What an interaction adds to each of its two cells.
    wanted[[0, 17]] += 0.5 * (1 - P)
    found = gaussian_process(masks, effects, keep_prob=P, shape=SHAPE)
    np.testing.assert_allclose(found, wanted, atol=0.1)


def test_a_guess_is_scaled_and_kept_where_runs_agree_with_it():
    rough = np.random.default_rng(5).normal(size=CELLS)
    masks = runs(8, seed=2)
    found = gaussian_process(masks, ~masks @ rough, keep_prob=P, shape=SHAPE, guess=30.0 * rough)
    np.testing.assert_allclose(found, rough, atol=0.15)


def test_trees_count_a_split_by_how_often_it_is_reached():
    masks = runs(600)
    effects = (~masks[:, 3] & ~masks[:, 9]).astype(float)
    wanted = np.zeros(CELLS)
    wanted[[3, 9]] = 1 - P
    found = trees(masks, effects, keep_prob=P, rounds=150, rate=0.1)
    np.testing.assert_allclose(found, wanted, atol=0.06)


@pytest.mark.parametrize("guess", [None, bump()])
def test_bands_in_which_runs_agree_stay_and_others_go(guess):
    masks = np.arange(12 * CELLS).reshape(12, CELLS) % 2 == 0
    random = np.random.default_rng(1)
    same = -np.tile(bump(), (12, 1))
    np.testing.assert_allclose(
        wiener(masks, same, shape=SHAPE, guess=guess), bump(), rtol=1e-6, atol=1e-9
    )
    noise = random.normal(size=(12, CELLS))
    found = wiener(masks, noise, shape=SHAPE)
    assert np.linalg.norm(found) < 0.5 * np.linalg.norm(noise.mean(0))


def test_smoothness_is_of_neighbours_in_a_view():
    found = smoothness(*SHAPE, 1.0)
    assert found[0, 1] == pytest.approx(np.exp(-0.5)) and found[0, 4] == pytest.approx(np.exp(-1))
    assert not found[:9, 9:].any()
