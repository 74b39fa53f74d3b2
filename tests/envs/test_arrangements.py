"""Arrangements need no simulator: positions, rules and a generator in, positions out."""

import dataclasses

import numpy as np
import pytest

from iss_jax.envs import arrangements
from iss_jax.envs.arrangements import Group, Rules
from iss_jax.envs.layouts import NoLayoutError

# A bowl beside a ramekin, another bowl, a plate, and a bowl on a stove.
POSITIONS = np.array([[-0.05, 0.2], [-0.18, 0.2], [0.05, -0.05], [0.05, 0.2], [-0.4, -0.15]])
RULES = Rules(
    groups=(Group((0, 1)), Group((2,)), Group((3,)), Group((4,), shift=0.02)),
    radii=np.array([0.05, 0.045, 0.05, 0.07, 0.05]),
    apart=0.05 * np.array(np.eye(5)[2][:, None] != np.eye(5)[2][None]),
    low=np.array([-0.24, -0.2]),
    high=np.array([0.15, 0.34]),
    base=np.array([-0.66, 0.0]),
    reach=0.77,
    taken=np.array([[[-0.45, -0.25], [-0.3, -0.06]]]),
)


@pytest.mark.parametrize("kind", ["shuffled", "scattered"])
def test_rules_are_kept(kind):
    for seed in range(100):
        placed = arrangements.draw(kind, POSITIONS, RULES, np.random.default_rng(seed))
        gaps = np.linalg.norm(placed[:, None] - placed[None], axis=-1)
        for i, j in [(0, 3), (1, 3), (3, 4)]:
            assert gaps[i, j] >= RULES.radii[i] + RULES.radii[j] + arrangements.GAP
        # The other bowl keeps further away from what the instruction relates.
        assert gaps[0, 2] >= 0.1 + arrangements.GAP + 0.05
        relation = (placed[1] - placed[0]) - (POSITIONS[1] - POSITIONS[0])
        assert np.abs(relation).max() <= 2 * arrangements.JITTER
        assert np.abs(placed[4] - POSITIONS[4]).max() <= 0.02
        free = placed[:4]
        assert (free >= RULES.low).all() and (free <= RULES.high).all()
        assert np.linalg.norm(free - RULES.base, axis=1).max() <= RULES.reach
        if kind == "shuffled":
            shift = arrangements.SHIFT + arrangements.JITTER
            assert np.abs(placed - POSITIONS).max() <= shift + 1e-12


def test_stacked_objects_move_as_one():
    rules = dataclasses.replace(RULES, groups=(Group((0, 1), stacked=True), *RULES.groups[1:]))
    placed = arrangements.draw("scattered", POSITIONS, rules, np.random.default_rng(0))
    np.testing.assert_allclose(placed[1] - placed[0], POSITIONS[1] - POSITIONS[0], atol=1e-12)


def test_scattered_targets_cover_the_table():
    places = np.stack(
        [
            arrangements.draw("scattered", POSITIONS, RULES, np.random.default_rng(seed))[2]
            for seed in range(150)
        ]
    )
    assert np.ptp(places[:, 0]) > 0.25 and np.ptp(places[:, 1]) > 0.3


def test_what_cannot_be_is_named():
    crowded = dataclasses.replace(RULES, radii=np.full(5, 0.3))
    with pytest.raises(NoLayoutError, match="no shuffled arrangement of 5 objects"):
        arrangements.draw("shuffled", POSITIONS, crowded, np.random.default_rng(0))
    with pytest.raises(ValueError, match="'native'"):
        arrangements.draw("native", POSITIONS, RULES, np.random.default_rng(0))
