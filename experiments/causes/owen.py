"""Owen values of a thing that is halved again and again, as SHAP's partition explainer spends runs.

A game says what replacing a set of leaves does. Owen's value of a leaf is the mean of what it adds
over all orders that never part a node of the tree: Shapley's value for two players in every node,
with the other nodes in or out (Owen, "Values of games with a priori unions", 1977). A budget seldom
reaches the leaves. So the node is halved next at which most is at stake, and what a node that is
not halved has earned is spread over it evenly (SHAP's `PartitionExplainer`).
"""

import heapq
import itertools
from collections.abc import Callable, Generator, Hashable, Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float

from experiments.causes.attributions import Attribution

Node = TypeVar("Node", bound=Hashable)
Search = Generator[list[frozenset[Node]], Sequence[float], dict[Node, float]]

Box = tuple[int, int, int, int, int, int]
"""First view and the one past the last, then likewise rows and columns."""


def owen_values(
    root: Node, halves: Callable[[Node], tuple[Node, Node] | None], splits: int
) -> Search[Node]:
    """Asks for values of sets, and returns what each node has earned; together that is v(all).

    Two players that do nothing alone:

    >>> search = owen_values("ab", lambda node: tuple(node) if len(node) == 2 else None, splits=1)
    >>> solved([search], lambda questions: [float(set(s) == {"ab"}) for _, s in questions])
    [{'a': 0.5, 'b': 0.5}]

    Args:
        root: All there is.
        halves: The two parts of a node; None of a leaf.
        splits: How often a node may be halved, at two runs each.

    Yields:
        Sets, each of nodes that do not overlap. Their values are to be sent.
    """
    number = itertools.count()
    waiting: list[tuple[float, int, tuple[frozenset[Node], float, float, Node, float]]] = []
    credit: dict[Node, float] = {}

    def put(context: frozenset[Node], out: float, within: float, node: Node, weight: float) -> None:
        stake = abs(within - out) * weight
        heapq.heappush(waiting, (-stake, next(number), (context, out, within, node, weight)))

    (whole,) = yield [frozenset([root])]
    put(frozenset(), 0.0, whole, root, 1.0)
    while waiting:
        _, _, (context, out, within, node, weight) = heapq.heappop(waiting)
        parts = halves(node) if splits > 0 else None
        if parts is None:
            credit[node] = credit.get(node, 0.0) + weight * (within - out)
            continue
        splits -= 1
        left, right = parts
        # Either half comes first, and the other one after it.
        with_left, with_right = yield [context | {left}, context | {right}]
        put(context, out, with_left, left, weight / 2)
        put(context | {right}, with_right, within, left, weight / 2)
        put(context, out, with_right, right, weight / 2)
        put(context | {left}, with_left, within, right, weight / 2)
    return credit


def solved(
    searches: Sequence[Search[Node]],
    values: Callable[[list[tuple[int, frozenset[Node]]]], Sequence[float]],
) -> list[dict[Node, float]]:
    """What searches return that go on side by side, so that they may share runs.

    Args:
        searches: Of `owen_values`, not yet begun.
        values: Of questions: the number of a search and a set.
    """
    found: list[dict[Node, float]] = [{} for _ in searches]
    asked = {number: next(search) for number, search in enumerate(searches)}
    while asked:
        questions = [(number, own) for number, sets in asked.items() for own in sets]
        answers = iter(values(questions))
        for number, sets in list(asked.items()):
            try:
                asked[number] = searches[number].send([next(answers) for _ in sets])
            except StopIteration as end:
                found[number] = end.value
                del asked[number]
    return found


def splits_of(runs: int) -> int:
    """How often a node can be halved with so many runs, of which two are of nothing and of all."""
    return max(0, (runs - 2) // 2)


def picture(shape: tuple[int, int, int]) -> Box:
    """All pixels of all views.

    Args:
        shape: Views, height and width.
    """
    views, height, width = shape
    return (0, views, 0, height, 0, width)


def halved(box: Box) -> tuple[Box, Box] | None:
    """A view and the others; of one view the halves across its longer side; None of a pixel.

    >>> halved((0, 3, 0, 8, 0, 8))
    ((0, 1, 0, 8, 0, 8), (1, 3, 0, 8, 0, 8))
    >>> halved((1, 2, 0, 8, 0, 9))
    ((1, 2, 0, 8, 0, 4), (1, 2, 0, 8, 4, 9))
    """
    view, last, top, bottom, left, right = box
    if last - view > 1:
        return (view, view + 1, *box[2:]), (view + 1, last, *box[2:])
    if bottom - top >= right - left and bottom - top > 1:
        middle = (top + bottom) // 2
        return (*box[:3], middle, *box[4:]), (*box[:2], middle, *box[3:])
    if right - left > 1:
        middle = (left + right) // 2
        return (*box[:5], middle), (*box[:4], middle, right)
    return None


def pixels_of(boxes: frozenset[Box], shape: tuple[int, int, int]) -> Bool[np.ndarray, "v h w"]:
    """The pixels of a set of boxes."""
    inside = np.zeros(shape, bool)
    for view, last, top, bottom, left, right in boxes:
        inside[view:last, top:bottom, left:right] = True
    return inside


def of_halves(credit: dict[Box, float], shape: tuple[int, int, int]) -> Attribution:
    """Owen values as a map, and beside it what each pixel's box has earned as a whole.

    >>> found = of_halves({(0, 1, 0, 2, 0, 1): 4.0, (0, 1, 0, 2, 1, 2): 1.0}, (1, 2, 2))
    >>> found.pixels[0, 0].tolist(), found.wholes[0, 0].tolist()
    ([2.0, 0.5], [4.0, 1.0])

    Args:
        credit: Of each box.
        shape: Views, height and width.
    """
    wholes = np.zeros(shape)
    for (view, last, top, bottom, left, right), earned in credit.items():
        wholes[view:last, top:bottom, left:right] = earned
    return Attribution(spread(credit, shape), wholes=wholes)


def spread(credit: dict[Box, float], shape: tuple[int, int, int]) -> Float[np.ndarray, "v h w"]:
    """What each box has earned, evenly over its pixels."""
    scores = np.zeros(shape)
    for (view, last, top, bottom, left, right), earned in credit.items():
        own = scores[view:last, top:bottom, left:right]
        own += earned / own.size
    return scores
