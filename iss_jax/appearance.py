"""Segments of one look in one jittable program: k-means on colour and place, made coherent.

K-means alone makes a cluster of the mixed pixels along all edges. Here a pixel keeps its cluster
only where a whole square of that cluster covers it (a morphological opening); all others are given
to the cluster that grows to them from a neighbour. Every piece then holds a square.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

# Weight of a pixel's place (a frame is 1 wide) beside its colour (black to white is 1).
POSITION = 0.15
ITERATIONS = 12
# Side of the square that every piece holds, as a share of the frame's height.
SQUARE = 1 / 25


def segments(
    images: dict[str, Float[Array, "*b h w 3"]],
    *,
    count: int,
    join: bool = True,
    centres: Float[Array, "*b k 5"] | None = None,
    valid: dict[str, Bool[Array, "*b h w"]] | None = None,
) -> tuple[dict[str, Int[Array, "*b h w"]], Float[Array, "*b k 5"]]:
    """Labels of every pixel, -1 outside the picture, and the clusters' centres.

    Args:
        images: View -> frames.
        count: Clusters, of all views together or of each.
        join: Whether clusters are shared by the views.
        centres: Clusters to use instead of fitted ones.
        valid: Pixels that are picture.

    Returns:
        Labels, numbered through the views in the order of `images` where clusters are not shared.
    """
    return _all_segments(images, centres, valid, views=tuple(images), count=count, join=join)


# `jit` sorts the keys of a dict: the order of the views is an argument of its own.
@partial(jax.jit, static_argnames=("views", "count", "join"))
def _all_segments(
    images: dict[str, Array],
    centres: Array | None,
    valid: dict[str, Array] | None,
    *,
    views: tuple[str, ...],
    count: int,
    join: bool,
) -> tuple[dict[str, Array], Array]:
    inside = {
        view: jnp.ones(images[view].shape[:-1], bool)
        if valid is None or view not in valid
        else jnp.broadcast_to(valid[view], images[view].shape[:-1])
        for view in views
    }
    batch = images[views[0]].shape[:-3]
    frames, inside = (
        {view: tree[view].reshape(-1, *tree[view].shape[len(batch) :]) for view in views}
        for tree in (images, inside)
    )
    if centres is not None:
        centres = centres.reshape(-1, *centres.shape[len(batch) :])
    one = partial(_segments, views=views, count=count, join=join)
    labels, found = jax.vmap(one, in_axes=(0, 0, None if centres is None else 0))(
        frames, inside, centres
    )
    return (
        {view: labels[view].reshape(images[view].shape[:-1]) for view in views},
        found.reshape(*batch, *found.shape[1:]),
    )


def _segments(
    frames: dict[str, Array],
    inside: dict[str, Array],
    centres: Array | None,
    *,
    views: tuple[str, ...],
    count: int,
    join: bool,
) -> tuple[dict[str, Array], Array]:
    looks = {view: features(frames[view], inside[view]) for view in views}
    groups = [views] if join else [[view] for view in views]
    labels, found = {}, []
    for number, group in enumerate(groups):
        points = jnp.concatenate([looks[view].reshape(-1, 5) for view in group])
        weights = jnp.concatenate([inside[view].reshape(-1) for view in group])
        if centres is None:
            own = fitted_centres(points, weights, count)
        else:
            own = centres[number * count : (number + 1) * count]
        found.append(own)
        for view in group:
            near = nearest(looks[view].reshape(-1, 5), own).reshape(inside[view].shape)
            side = max(3, round(SQUARE * near.shape[0]))
            coherent = made_coherent(near, inside[view], count, side)
            labels[view] = jnp.where(inside[view], coherent + number * count, -1)
    return labels, jnp.concatenate(found)


def features(frame: Float[Array, "h w 3"], inside: Bool[Array, "h w"]) -> Float[Array, "h w 5"]:
    """Colour in [0, 1], a mean over 3 x 3 pixels of the picture, and place.

    Args:
        frame: uint8, or floats in [-1, 1] or [0, 1].
        inside: Pixels that are picture.
    """
    if frame.dtype == jnp.uint8:
        colour = frame.astype(jnp.float32) / 255.0
    else:
        colour = frame.astype(jnp.float32)
        colour = jnp.where(colour.min() < 0, (colour + 1.0) / 2.0, colour)
    weight = inside.astype(jnp.float32)[..., None]
    total, norm = (_window(x, jax.lax.add, 0.0, 3) for x in (colour * weight, weight))
    mean = total / jnp.maximum(norm, 1.0)
    height, width = inside.shape
    rows, columns = ((jnp.arange(n, dtype=jnp.float32) + 0.5) / n for n in (height, width))
    place = jnp.stack(jnp.meshgrid(rows, columns, indexing="ij"), -1)
    return jnp.concatenate([mean, POSITION * place], -1)


def nearest(points: Float[Array, "n f"], centres: Float[Array, "k f"]) -> Int[Array, " n"]:
    """The centre next to each point."""
    cross = jnp.einsum("nf,kf->nk", points, centres, precision="highest")
    return jnp.argmin(jnp.square(centres).sum(-1)[None] - 2.0 * cross, -1).astype(jnp.int32)


def fitted_centres(
    points: Float[Array, "n f"], weights: Bool[Array, " n"], count: int
) -> Float[Array, "k f"]:
    """K-means from a farthest-point start; points without weight do not count."""
    counted = weights.astype(points.dtype)

    def distance(centre: Array) -> Array:
        return jnp.square(points - centre[None]).sum(-1)

    first = (points * counted[:, None]).sum(0) / jnp.maximum(counted.sum(), 1.0)
    start = points[jnp.argmax(jnp.where(weights, distance(first), -1.0))]

    def add(carry: tuple[Array, Array], number: Array) -> tuple[tuple[Array, Array], None]:
        centres, least = carry
        far = points[jnp.argmax(jnp.where(weights, least, -1.0))]
        return (centres.at[number].set(far), jnp.minimum(least, distance(far))), None

    centres = jnp.zeros((count, points.shape[-1])).at[0].set(start)
    (centres, _), _ = jax.lax.scan(add, (centres, distance(start)), jnp.arange(1, count))

    def step(centres: Array, _: None) -> tuple[Array, None]:
        near = nearest(points, centres)
        chosen = jax.nn.one_hot(near, count) * counted[:, None]
        total = chosen.sum(0)[:, None]
        mean = jnp.einsum("nk,nf->kf", chosen, points, precision="highest")
        return jnp.where(total > 0, mean / jnp.maximum(total, 1.0), centres), None

    return jax.lax.scan(step, centres, None, length=ITERATIONS)[0]


def made_coherent(
    labels: Int[Array, "h w"], inside: Bool[Array, "h w"], count: int, side: int
) -> Int[Array, "h w"]:
    """Labels whose every piece covers a square of `side` pixels; what does not goes to a neighbour.

    Pixels that no piece ever reaches keep their label.

    Args:
        labels: Of each pixel.
        inside: Pixels that count.
        count: Different labels.
        side: Of the square, pixels.
    """
    planes = (labels[None] == jnp.arange(count)[:, None, None]) & inside[None]
    planes = planes.astype(jnp.float32)[..., None]
    eroded = jax.vmap(lambda plane: _window(plane, jax.lax.min, jnp.inf, side))(planes)
    # The mirrored window, so that an even square comes back where it was.
    opened = jax.vmap(lambda plane: _window(plane, jax.lax.max, -jnp.inf, side, mirrored=True))(
        eroded
    )
    kept = (opened * planes)[..., 0]
    known = jnp.where(kept.any(0), jnp.argmax(kept, 0), -1)

    def grow(state: tuple[Array, Array]) -> tuple[Array, Array]:
        known, _ = state
        votes = jax.nn.one_hot(known, count)
        padded = jnp.pad(votes, ((1, 1), (1, 1), (0, 0)))
        near = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        # Of neighbours that are as many, the pixel's own first label.
        near = near + jnp.where(near > 0, 0.5, 0.0) * jax.nn.one_hot(labels, count)
        new = jnp.where((known < 0) & inside & near.any(-1), jnp.argmax(near, -1), known)
        return new, (new != known).any()

    known, _ = jax.lax.while_loop(lambda s: s[1], grow, (known, jnp.ones((), bool)))
    return jnp.where(known < 0, labels, known).astype(jnp.int32)


def _window(x: Array, combine, start: float, side: int, *, mirrored: bool = False) -> Array:
    """A square window's sum, least or most at every pixel; outside the frame nothing counts."""
    before, after = (side - 1) // 2, side // 2
    pad = (after, before) if mirrored else (before, after)
    return jax.lax.reduce_window(x, start, combine, (side, side, 1), (1, 1, 1), (pad, pad, (0, 0)))
