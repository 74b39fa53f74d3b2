"""Owen values by halving: closed forms, all orders one by one, and where the runs go."""

import itertools

import numpy as np
import pytest

from experiments.causes.owen import (
    halved,
    owen_values,
    picture,
    pixels_of,
    solved,
    splits_of,
    spread,
)
from iss_jax.effect_estimators import shapley_weights

TREES = [((0, 1), (2, 3)), (0, (1, (2, (3, 4)))), (((0, 1), 2), (3, (4, 5))), (0, 1)]


def halves(node):
    return node if isinstance(node, tuple) else None


def leaves(node):
    return [leaf for half in node for leaf in leaves(half)] if isinstance(node, tuple) else [node]


def members(sets):
    return frozenset(leaf for node in sets for leaf in leaves(node))


def values_of(tree, game, splits):
    """Of each leaf, and the sets that were asked for."""
    asked = []

    def values(questions):
        asked.extend(members(sets) for _, sets in questions)
        return [game(members(sets)) for _, sets in questions]

    (credit,) = solved([owen_values(tree, halves, splits)], values)
    found = np.zeros(len(leaves(tree)))
    for node, earned in credit.items():
        found[leaves(node)] += earned / len(leaves(node))
    return found, asked


def orders(node):
    """Every order of the leaves in which each node's leaves stand together."""
    if not isinstance(node, tuple):
        return [[node]]
    left, right = (orders(half) for half in node)
    both = list(itertools.product(left, right))
    return [a + b for a, b in both] + [b + a for a, b in both]


def random_game(count, seed=0):
    rng = np.random.default_rng(seed)
    known = {
        frozenset(np.flatnonzero(bits).tolist()): float(rng.normal())
        for bits in itertools.product([0, 1], repeat=count)
    }
    return (known | {frozenset(): 0.0}).__getitem__


@pytest.mark.parametrize("tree", TREES)
def test_all_runs_give_the_mean_over_all_orders_that_part_no_node(tree):
    count = len(leaves(tree))
    game, expected = random_game(count), np.zeros(count)
    every = orders(tree)
    assert len(every) == 2 ** (count - 1)
    for order in every:
        for place, leaf in enumerate(order):
            before = frozenset(order[:place])
            expected[leaf] += (game(before | {leaf}) - game(before)) / len(every)
    found, _ = values_of(tree, game, splits=1000)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_of_two_players_it_is_shapleys_value():
    game = random_game(2)
    values = np.array([game(frozenset(s)) for s in ((), (1,), (0,), (0, 1))])
    found, asked = values_of((0, 1), game, splits=1)
    np.testing.assert_allclose(found, values @ shapley_weights(2), atol=1e-12)
    assert asked == [{0, 1}, {0}, {1}]


@pytest.mark.parametrize("splits", [0, 1, 3, 6, 20])
def test_values_add_up_to_that_of_all_whatever_the_budget(splits):
    tree = TREES[2]
    game = random_game(6, seed=splits)
    found, asked = values_of(tree, game, splits)
    assert found.sum() == pytest.approx(game(frozenset(range(6))), abs=1e-12)
    assert len(asked) <= 1 + 2 * splits


def test_an_additive_game_is_split_as_it_is():
    worth = np.array([1.0, -2.0, 0.5, 4.0, 0.0, 3.0])
    found, _ = values_of(TREES[2], lambda s: float(worth[sorted(s)].sum()), splits=1000)
    np.testing.assert_allclose(found, worth, atol=1e-12)
    # Halved once, each half has the mean of its own.
    found, _ = values_of(TREES[2], lambda s: float(worth[sorted(s)].sum()), splits=1)
    np.testing.assert_allclose(found, np.repeat([-0.5 / 3, 7 / 3], 3), atol=1e-12)


def test_runs_go_where_something_is_at_stake():
    """One of 64 pixels matters: no part without it is ever halved."""
    shape = (1, 8, 8)
    asked = []

    def values(questions):
        asked.extend(sets for _, sets in questions)
        return [float(pixels_of(sets, shape)[0, 5, 2]) for _, sets in questions]

    (credit,) = solved([owen_values(picture(shape), halved, splits=63)], values)
    scores = spread(credit, shape)
    assert scores[0, 5, 2] == pytest.approx(1.0) and np.abs(scores).sum() == pytest.approx(1.0)
    parents = {box for box in credit if pixels_of(frozenset([box]), shape)[0, 5, 2]}
    assert parents == {(0, 1, 5, 6, 2, 3)} and len(asked) == 127


def test_halves_part_views_first_and_end_in_pixels():
    shape, boxes = (3, 2, 3), [picture((3, 2, 3))]
    assert halved(boxes[0]) == ((0, 1, 0, 2, 0, 3), (1, 3, 0, 2, 0, 3))
    assert halved((0, 1, 0, 2, 0, 3)) == ((0, 1, 0, 2, 0, 1), (0, 1, 0, 2, 1, 3))
    while any(map(halved, boxes)):
        boxes = [part for box in boxes for part in halved(box) or (box,)]
    assert len(set(boxes)) == 18
    assert sum(pixels_of(frozenset([box]), shape).astype(int) for box in boxes).min() == 1
    scores = spread(dict.fromkeys(boxes, 2.0) | {picture(shape): 18.0}, shape)
    np.testing.assert_allclose(scores, 3.0)


def test_searches_side_by_side_find_what_each_finds_alone():
    games = [random_game(4, seed) for seed in (1, 2)]
    searches = [owen_values(TREES[0], halves, splits) for splits in (5, 2)]
    both = solved(searches, lambda asked: [games[i](members(sets)) for i, sets in asked])
    for game, splits, credit in zip(games, (5, 2), both, strict=True):
        (alone,) = solved(
            [owen_values(TREES[0], halves, splits)],
            lambda asked, game=game: [game(members(sets)) for _, sets in asked],
        )
        assert credit == alone


def test_a_run_of_nothing_and_one_of_all_are_part_of_the_budget():
    assert [splits_of(runs) for runs in (1, 2, 4, 30, 100)] == [0, 0, 1, 14, 49]
