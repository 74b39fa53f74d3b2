"""Designs of the accuracy benchmark: their margins, and what path integration leaves out."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from enumeration import target
from test_gradient_estimators import runs_of, soft_effect

from experiments.accuracy import designs


@pytest.mark.parametrize("design", designs.PLAIN)
def test_every_cell_is_kept_with_its_probability(design):
    """2,000 draws of 10 masks: five standard errors of a share of 20,000 are 1.6 %."""
    drawn = np.array([designs.plain_masks(design, seed, 10, (3, 2), 0.3) for seed in range(2000)])
    assert drawn.shape == (2000, 10, 3, 2) and drawn.dtype == bool
    np.testing.assert_allclose(drawn.mean((0, 1)), 0.3, atol=0.016)
    np.testing.assert_allclose(drawn.mean((0, 2, 3)), 0.3, atol=0.03)
    if design == "antithetic":
        assert not (drawn[:, 0::2] & drawn[:, 1::2]).any()
    if design == "orthogonal":
        assert (drawn.sum(1) == 3).all()


def test_pairs_of_cells_are_closer_to_independent_in_the_orthogonal_design():
    """Mean squared correlation of the bits of 40 cells in 100 masks; i.i.d. ones have 1 / 99."""

    def square(draw):
        pairs = [np.corrcoef(draw(seed).T)[np.triu_indices(40, 1)] for seed in range(5)]
        return np.square(pairs).mean()

    independent = square(lambda seed: np.random.default_rng(seed).random((100, 40)) < 0.3)
    assert 0.9 / 99 < independent < 1.1 / 99
    assert square(lambda seed: designs.plain_masks("orthogonal", seed, 100, (40,), 0.3)) < 0.8 / 99


def test_path_masks_move_each_cell_once_a_pass():
    soft, member = designs.path_masks(0, 6, 4, (3, 4), 0.3)
    assert soft.shape == member.shape == (6, 3, 4)
    assert (member[:3].sum(0) == 1).all() and (member.sum((1, 2)) == 4).all()
    assert ((soft == 0) | (soft == 1))[~member].all() and (soft[member] % 1 > 0).all()
    with pytest.raises(ValueError, match="divide the 12 cells, got 5"):
        designs.path_masks(0, 6, 5, (3, 4), 0.3)


def enumerated_paths(cells, block, copies, nodes):
    """All soft masks of all blocks, each as often as its probability at p = 1 / (1 + copies)."""
    masks, member = [], []
    for inside in itertools.combinations(range(cells), block):
        outside = [i for i in range(cells) if i not in inside]
        for kept in itertools.product([0.0, 1.0], repeat=len(outside)):
            for values in itertools.product(nodes, repeat=block):
                mask = np.zeros(cells)
                mask[outside], mask[list(inside)] = kept, values
                times = copies ** int(len(kept) - sum(kept))
                masks += [mask] * times
                member += [np.isin(range(cells), inside)] * times
    return np.array(masks), np.array(member)


# A rule of equal weights, exact for the cubics in every cell that affine actions can make.
GAUSS = (0.5 - 0.5 / 3**0.5, 0.5 + 0.5 / 3**0.5)


@pytest.mark.parametrize(
    ("side", "block", "copies", "least", "most"),
    [
        (2, 1, 3, 0.0, 1e-4),
        (2, 1, 1, 0.0, 1e-4),
        (3, 1, 1, 0.0, 1e-4),
        (2, 2, 3, 0.05, 0.5),
        (2, 4, 3, 0.2, 1.0),
        (2, 2, 1, 0.01, 0.3),
        (3, 9, 1, 0.05, 1.0),
    ],
)
def test_only_blocks_of_one_cell_integrate_to_the_enumerated_contrast(
    side, block, copies, least, most
):
    """Root mean square error over the spread of the contrasts; actions affine in each cell.

    A block of one is exact. In larger ones the others of the block have not their mean (p = 1/4),
    or have it (p = 1/2) and not their mean square.
    """
    cells, keep_prob = side**2, 1 / (1 + copies)
    effect = soft_effect(cells)
    masks, member = enumerated_paths(cells, block, copies, GAUSS)
    gradients = np.asarray(runs_of(effect, masks)[1], np.float64)
    found = designs.path_contrast(gradients, member)
    wanted = enumerated_contrast(effect, cells, keep_prob)
    error = np.sqrt(np.mean((found - wanted) ** 2)) / wanted.std()
    assert least <= error < most


def test_a_block_of_one_is_exact_whatever_the_curvature():
    """Where the trapezoid between the two ends is not."""
    effect, nodes = soft_effect(4, curvature=0.5), (np.arange(64) + 0.5) / 64
    masks, member = enumerated_paths(4, 1, 1, nodes)
    found = designs.path_contrast(np.asarray(runs_of(effect, masks)[1], np.float64), member)
    wanted = enumerated_contrast(effect, 4, 0.5)
    bits = np.array(list(itertools.product([0.0, 1.0], repeat=4)))
    ends = -np.asarray(runs_of(effect, bits)[1], np.float64).mean(0)
    error, trapezoid = (np.abs(x - wanted).max() / wanted.std() for x in (found, ends))
    assert error < 2e-3 and trapezoid > 0.05


def enumerated_contrast(effect, cells, keep_prob):
    """E[delta | m_i = 0] - E[delta | m_i = 1] from Psi and the mean effect, by enumeration."""
    bits = np.array(list(itertools.product([False, True], repeat=cells)))
    effects = np.asarray(runs_of(effect, jnp.asarray(bits))[0], np.float64)
    mean = effects @ np.where(bits, keep_prob, 1 - keep_prob).prod(1)
    return (target(keep_prob, effects, bits) - mean) / keep_prob
