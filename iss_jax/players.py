"""Players: the things in a picture that are taken away, as a label of every pixel.

    players = by_appearance(images)              # segments of one look, joined across views
    players = from_regions(regions)              # nuisance, support, action-critical
    players = from_instances(labels, names)      # objects by name, of a simulator or a segmenter
    players = from_masks({"bowl": masks, ...})   # the same from masks
    players = grid(images)                       # the paper's cells
    players = whole_views(images)

One number in two views is one player, and is taken away from both. -1 is no player. Captum calls
such labels `feature_mask`.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Shaped

from iss_jax import appearance
from iss_jax.checks import check_count, check_finite, check_labels, check_masks
from iss_jax.nmr import Region
from iss_jax.records import Record, is_concrete, record, static

NOBODY = -1

# Looks that can be told apart at all, and more.
MOST_LOOKS = 1024

REGIONS = ("nuisance", "support", "action-critical")
"""Names of `from_regions`, in the order of `iss_jax.Region`."""


@record
class Players(Record):
    """What may be taken away from a batch of frames.

    A pytree: its labels may be traced, its names are static.

    >>> import jax.numpy as jnp
    >>> players = from_regions({"front": jnp.array([[[0, 0, 2], [0, 1, 2]]])})
    >>> len(players), players.names[2], (6 * players.areas()[0]).round().tolist()
    (3, 'action-critical', [3.0, 1.0, 2.0])

    Attributes:
        labels: View -> number of the player of each pixel, -1 where there is none.
        centres: Of `by_appearance`: what each player looks like, so that the next frame's players
            keep their names.
        names: One a player.
    """

    labels: dict[str, Int[Array, "*b h w"]]
    centres: Float[Array, "*b k f"] | None = None
    names: tuple[str, ...] = static(default=())

    def __len__(self) -> int:
        return len(self.names)

    def areas(self) -> Float[Array, "*b k"]:
        """Share of the pixels of all views that each player holds."""
        first = next(iter(self.labels.values()))
        counts = jnp.zeros((*first.shape[:-2], len(self)), jnp.float32)
        total = 0
        for labels in self.labels.values():
            counts = counts + sums(labels, jnp.ones(labels.shape), len(self))
            total += labels.shape[-2] * labels.shape[-1]
        return counts / total

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> dict[str, Any]:
        """Inverse of `facts`."""
        return {"names": tuple(facts["names"])}


@partial(jax.jit, static_argnames="count")
def sums(
    labels: Int[Array, "*b h w"], pixels: Shaped[Array, "*b h w"], count: int
) -> Float[Array, "*b k"]:
    """The sum over each player's pixels.

    >>> import jax.numpy as jnp
    >>> sums(jnp.array([[0, 1, -1, 1]]), jnp.array([[1.0, 2.0, 3.0, 4.0]]), 3).tolist()
    [1.0, 6.0, 0.0]

    Args:
        labels: Number of each pixel's player, negative for none.
        pixels: What is added up.
        count: Players.
    """

    def one(own: Array, values: Array) -> Array:
        return jax.ops.segment_sum(values, jnp.where(own < 0, count, own), count + 1)[:count]

    batch, (height, width) = labels.shape[:-2], labels.shape[-2:]
    flat = [jnp.asarray(x).reshape(-1, height * width) for x in (labels, pixels)]
    found = jax.vmap(one)(flat[0], flat[1].astype(jnp.float32))
    return found.reshape(*batch, count)


@jax.jit
def painted(labels: Int[Array, "*b h w"], values: Float[Array, "*b k"]) -> Float[Array, "*b h w"]:
    """Every pixel with its player's value, 0 where it is nobody's.

    >>> import jax.numpy as jnp
    >>> painted(jnp.array([[1, -1]]), jnp.array([3.0, 5.0])).tolist()
    [[5.0, 0.0]]
    """

    def one(own: Array, values: Array) -> Array:
        return jnp.pad(values, (0, 1))[jnp.where(own < 0, values.shape[0], own)]

    labels, values = jnp.asarray(labels), jnp.asarray(values)
    flat = labels.reshape(-1, *labels.shape[-2:])
    return jax.vmap(one)(flat, values.reshape(-1, values.shape[-1])).reshape(labels.shape)


def as_players(players: Players | Mapping[str, Any], most: int | None = None) -> Players:
    """Players from bare label maps, which must be concrete unless `most` says how many there are.

    >>> import jax.numpy as jnp
    >>> as_players({"front": jnp.array([[0, 2]])}).names
    ('player 0', 'player 1', 'player 2')

    Args:
        players: `Players`, which come back as they are, or view -> number of each pixel's player.
        most: Players that bare labels stand for.

    Raises:
        TypeError: Traced label maps without `most`.
        ValueError: No view, labels that are no integers, or numbers that no name has.
    """
    if not isinstance(players, Players):
        labels = {view: jnp.asarray(labels) for view, labels in players.items()}
        if most is None:
            if not is_concrete(labels):
                raise TypeError(
                    "players: traced label maps do not say how many players there are; wanted "
                    "iss_jax.Players(labels, names=...)"
                )
            most = max((int(own.max()) for own in labels.values() if own.size), default=-1) + 1
        players = Players(labels, names=tuple(f"player {i}" for i in range(most)))
    if not players.labels:
        raise ValueError("players: labels of at least one view wanted, got none")
    for view, labels in players.labels.items():
        if not jnp.issubdtype(jnp.asarray(labels).dtype, jnp.integer):
            raise ValueError(f"players: labels of {view!r} must be integers, got {labels.dtype}")
    count = len(players.names)
    if not count:
        raise ValueError("players: one at least wanted, got none")
    if is_concrete(players.labels):
        largest = {v: int(np.asarray(own).max()) for v, own in players.labels.items() if own.size}
        nameless = {view: number for view, number in largest.items() if number >= count}
        if nameless:
            raise ValueError(
                f"players: labels must be below {count}, the number of names, got {nameless}"
            )
    return players


def from_regions(regions: Mapping[str, Int[Array, "*b h w"]]) -> Players:
    """The three region labels, each joined over views.

    >>> import jax.numpy as jnp
    >>> from_regions({"front": jnp.zeros((1, 4, 4), jnp.uint8)}).names
    ('nuisance', 'support', 'action-critical')

    Args:
        regions: View -> labels, see `iss_jax.Region`; -1 is no player.

    Raises:
        ValueError: Labels that are no integers, such as a mask of bools or of 0 to 1, or others.
    """
    there = {v: own != NOBODY for v, own in regions.items() if not isinstance(own, Tracer)}
    check_labels("regions", regions, there)
    known = {view: jnp.asarray(labels).astype(jnp.int32) for view, labels in regions.items()}
    labels = {
        view: jnp.where((own >= 0) & (own < len(Region)), own, NOBODY)
        for view, own in known.items()
    }
    return Players(labels, names=REGIONS)


def from_instances(
    labels: Mapping[str, Any], names: Mapping[int, str] | Sequence[str], *, rest: str = ""
) -> Players:
    """Objects by name: label images of a simulator or of any segmentation model.

    >>> import numpy as np
    >>> image = np.array([[7, 7, 0], [7, 9, 4]])
    >>> players = from_instances({"front": image}, {7: "black bowl", 9: "plate", 4: "black bowl"})
    >>> players.names, players.labels["front"].tolist()
    (('black bowl', 'plate'), [[0, 0, -1], [0, 1, 0]])

    Args:
        labels: View -> integers [*b, h, w].
        names: Of each number, or in their order. One name for several numbers makes them one
            player; numbers without a name are no player.
        rest: Name of a player that all pixels without a name make; none when empty.

    Raises:
        ValueError: Labels that are no integers, or names of nothing.
    """
    named = dict(names) if isinstance(names, Mapping) else dict(enumerate(names))
    if not named:
        raise ValueError("names: one at least wanted, got none")
    order = {name: number for number, name in enumerate(dict.fromkeys(named.values()))}
    if rest:
        order.setdefault(rest, len(order))
    found = {}
    for view, image in labels.items():
        image = np.asarray(image)
        if not np.issubdtype(image.dtype, np.integer):
            raise ValueError(f"labels of {view!r} must be integers, got {image.dtype}")
        own = np.full(image.shape, order[rest] if rest else NOBODY, np.int32)
        for number, name in named.items():
            own[image == number] = order[name]
        found[view] = jnp.asarray(own)
    return Players(found, names=tuple(order))


def from_masks(masks: Mapping[str, Mapping[str, Any]], *, rest: str = "") -> Players:
    """Objects by name from their masks; where several overlap, the last one holds the pixel.

    >>> import numpy as np
    >>> bowl = {"front": np.array([[True, False]])}
    >>> from_masks({"bowl": bowl}, rest="all else").labels["front"].tolist()
    [[0, 1]]

    Args:
        masks: Name -> view -> bool [*b, h, w]. An object may be missing in a view.
        rest: Name of a player that all other pixels make; none when empty.

    Raises:
        ValueError: No mask, masks that are not bool, or of different shapes in one view.
    """
    views: dict[str, Any] = {}
    for name, own in masks.items():
        for view, mask in own.items():
            mask = np.asarray(mask)
            if mask.dtype != np.bool_:
                raise ValueError(f"mask of {name!r} in {view!r} must be bool, got {mask.dtype}")
            if views.setdefault(view, mask.shape) != mask.shape:
                raise ValueError(
                    f"mask of {name!r} in {view!r} must be {list(views[view])} like the others, "
                    f"got {list(mask.shape)}"
                )
    if not views:
        raise ValueError("masks: one at least wanted, got none")
    names = (*masks, *([rest] if rest else []))
    labels = {view: np.full(shape, len(masks) if rest else NOBODY) for view, shape in views.items()}
    for number, own in enumerate(masks.values()):
        for view, mask in own.items():
            labels[view][np.asarray(mask)] = number
    return Players({view: jnp.asarray(own, jnp.int32) for view, own in labels.items()}, names=names)


def grid(images: Mapping[str, Any], cells: tuple[int, int] = (7, 7)) -> Players:
    """The paper's cells, each view's apart.

    >>> import numpy as np
    >>> players = grid({"front": np.zeros((1, 14, 14, 3))})
    >>> len(players), players.names[8]
    (49, 'front 1,1')

    Args:
        images: View -> frames; only their shapes matter.
        cells: Rows and columns a view.

    Raises:
        ValueError: Cells that are not two counts.
    """
    if not isinstance(cells, tuple | list) or len(cells) != 2:
        raise ValueError(f"cells must be (rows, columns), got {cells!r}")
    rows, columns = cells
    check_count("cells: rows", rows)
    check_count("cells: columns", columns)
    labels, names = {}, []
    for number, (view, image) in enumerate(images.items()):
        *batch, height, width, _ = np.shape(image)
        row = np.arange(height) * rows // height
        column = np.arange(width) * columns // width
        own = number * rows * columns + row[:, None] * columns + column[None]
        labels[view] = jnp.asarray(np.broadcast_to(own, (*batch, height, width)), jnp.int32)
        names += [f"{view} {i},{j}" for i in range(rows) for j in range(columns)]
    return Players(labels, names=tuple(names))


def whole_views(images: Mapping[str, Any]) -> Players:
    """Each view as a whole.

    >>> import numpy as np
    >>> whole_views({"front": np.zeros((4, 4, 3)), "wrist": np.zeros((4, 4, 3))}).names
    ('front', 'wrist')

    Args:
        images: View -> frames; only their shapes matter.
    """
    found = grid(images, (1, 1))
    return Players(found.labels, names=tuple(images))


def by_appearance(
    images: Mapping[str, Any],
    *,
    most: int | None = None,
    join: bool = True,
    centres: Float[Array, "*b k f"] | None = None,
    valid: Mapping[str, Bool[Array, "*b h w"]] | None = None,
) -> Players:
    """Segments of one look: coherent pieces of like colour, one program that `jit` can hold.

    K-means on colour and a little position, then each pixel that is in no piece as wide as a
    twenty-fifth of the frame is given to its neighbour, so that edges make no player of their own
    (see `iss_jax.appearance`). A player may have several pieces.

    Joined across views a cause that is shown twice is one player; apart, a picture can be read at
    once. `Effects.agreement` says when the two disagree, which is a finding itself.

    >>> import jax.numpy as jnp
    >>> frame = jnp.zeros((40, 40, 3)).at[:, 20:].set(1.0)
    >>> players = by_appearance({"front": frame, "wrist": frame[:, ::-1]}, most=2)
    >>> front, wrist = players.labels["front"], players.labels["wrist"]
    >>> bool(front[0, 0] == wrist[0, -1]), bool(front[0, 0] == front[0, -1])
    (True, False)

    Args:
        images: View -> frames [*b, h, w, 3]: uint8, or floats in [-1, 1] or [0, 1].
        most: Players of all views when joined (12 when None), of each view when not (8). Some may
            hold no pixel.
        join: Whether a look is one player in all views.
        centres: `centres` of the frame before, so that players keep their names through an
            episode. They are taken as they are.
        valid: Pixels that are picture; the others are no player.

    Raises:
        ValueError: No view, or fewer than two players.
    """
    if not isinstance(images, Mapping):
        raise TypeError(f"images must map views to frames, got {type(images).__name__}")
    if not images:
        raise ValueError("images must hold at least one view, got none")
    for view, image in images.items():
        if jnp.ndim(image) < 3 or jnp.shape(image)[-1] != 3:
            shape = list(jnp.shape(image))
            raise ValueError(f"images[{view!r}] must be [*b, h, w, 3], got {shape}")
        check_finite(f"images[{view!r}]", image)
    check_masks("valid", valid)
    most = (12 if join else 8) if most is None else most
    check_count("most", most, 2, MOST_LOOKS)
    labels, found = appearance.segments(
        {view: jnp.asarray(image) for view, image in images.items()},
        count=most,
        join=join,
        centres=centres,
        valid=None if valid is None else {v: jnp.asarray(i, bool) for v, i in valid.items()},
    )
    looks = [f"look {_letters(i)}" for i in range(most)]
    names = looks if join else [f"{view} {look}" for view in images for look in looks]
    return Players(labels, centres=found, names=tuple(names))


def _letters(number: int) -> str:
    """A to Z, then AA, AB ...: numbers beside those of shares are read as shares."""
    before, last = divmod(number, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + last)


__all__ = [
    "NOBODY",
    "REGIONS",
    "Players",
    "as_players",
    "by_appearance",
    "from_instances",
    "from_masks",
    "from_regions",
    "grid",
    "painted",
    "sums",
    "whole_views",
]
