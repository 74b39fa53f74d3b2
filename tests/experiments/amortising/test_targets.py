"""Both losses are least, in expectation, at the exact contrasts: by enumeration."""

import itertools

import numpy as np
import pytest
from enumeration import CELLS

from experiments.amortising.targets import targets

P = 0.3
KEPT = CELLS.reshape(16, 4)
CHANCE = np.where(KEPT, P, 1 - P).prod(1)


def game(kept):
    """Effects and derivatives of a function that is affine in each cell, with interactions."""
    m = kept.astype(np.float64)
    d = 1.0 - m
    effect = d @ np.array([1.0, 0.2, 0.5, 0.0]) + 0.7 * d[:, 0] * d[:, 3] + 2.0 * d[:, 1] * d[:, 2]
    slope = np.tile([1.0, 0.2, 0.5, 0.0], (len(m), 1))
    slope[:, 0] += 0.7 * d[:, 3]
    slope[:, 3] += 0.7 * d[:, 0]
    slope[:, 1] += 2.0 * d[:, 2]
    slope[:, 2] += 2.0 * d[:, 1]
    return effect, -slope


def exact():
    effect, _ = game(KEPT)
    contrast = []
    for cell in range(4):
        dropped = ~KEPT[:, cell]
        means = [np.average(effect[rows], weights=CHANCE[rows]) for rows in (dropped, ~dropped)]
        contrast.append(means[0] - means[1])
    return np.array(contrast)


@pytest.fixture(scope="module")
def triples():
    """All samples of three runs, and the probability of each."""
    rows = np.array(list(itertools.product(range(16), repeat=3)))
    effect, slope = game(KEPT)
    return KEPT[rows], effect[rows], slope[rows], CHANCE[rows].prod(1)


@pytest.fixture(scope="module")
def found(triples):
    return targets(*triples[:3], keep_prob=P, clip=False)


def test_the_loss_of_effects(found, triples):
    """Its normal equations, each sample by its probability."""
    chance = triples[3]
    normal = np.einsum("s,snc,snd->cd", chance, found.drops, found.drops)
    right = np.einsum("s,snc,sn->c", chance, found.drops, found.rest)
    np.testing.assert_allclose(np.linalg.solve(normal, right), exact(), rtol=1e-9)


def test_the_loss_of_gradients(found, triples):
    chance = triples[3][:, None]
    least = (chance * found.weight * found.wanted).sum(0) / (chance * found.weight).sum(0)
    np.testing.assert_allclose(least, exact(), rtol=1e-9)


def test_clipping_shortens_the_run_that_is_longer_than_the_others():
    """One of six runs is a hundred times as long as the others, along a cell of its own."""
    masks = np.ones((1, 6, 6), bool)
    slopes = np.eye(6)[None] * np.array([1.0, 1.0, 1.0, 1.0, 1.0, 100.0])[None, :, None]
    plain = targets(masks, np.zeros((1, 6)), slopes, keep_prob=P, clip=False)
    short = targets(masks, np.zeros((1, 6)), slopes, keep_prob=P, clip=True)
    assert abs(plain.wanted[0, 5] / plain.wanted[0, 0]) > 100
    np.testing.assert_allclose(short.wanted[0], -1 / 6, rtol=1e-6)
    np.testing.assert_allclose(plain.scale, short.scale)
