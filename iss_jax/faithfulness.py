"""Metrics that judge a map without knowing the truth: insertion, deletion, infidelity and others.

    curve = deletion(policy, images, maps, base)          # high early: the map names what counts
    curve = insertion(policy, images, maps, base)         # low early
    error = infidelity(policy, images, maps, base, removed)
    worst = max_sensitivity(explain, images, key)
    alike = randomisation(explain, params, key)

A policy is `{view: [n, h, w, 3]} -> actions [n, H, A]`, as for `iss_jax.attribute`. An effect is
the mean squared difference from the actions on the frame itself. On policies whose causes are known
these metrics can be judged themselves, see `docs/results/causes.md`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from iss_jax import divergence
from iss_jax.checks import check_actions

Images = Mapping[str, Float[Array, "h w 3"]]
Maps = Mapping[str, Float[Array, "h w"]]
Policy = Callable[[dict[str, Array]], Float[Array, "n horizon dims"]]


def deletion(
    policy: Policy, images: Images, maps: Maps, base: Images, *, steps: int = 10
) -> Float[Array, " steps+1"]:
    """Effect of replacing the highest pixels, in equal steps until all are gone.

    Deletion of Petsiuk et al. (2018), with the actions' move in place of a class score. Pixels of
    equal score go in the order of the views and rows.

    >>> import jax.numpy as jnp
    >>> def policy(images):  # looks at the left half
    ...     return images["front"][:, :, :2].mean((1, 2))[:, None]
    >>> images = {"front": jnp.ones((4, 4, 3))}
    >>> left = {"front": jnp.ones((4, 4)).at[:, 2:].set(0.0)}
    >>> deletion(policy, images, left, {"front": jnp.zeros((4, 4, 3))}, steps=4).tolist()
    [0.0, 0.25, 1.0, 1.0, 1.0]

    Args:
        policy: The policy.
        images: One frame of each view.
        maps: Their scores.
        base: What stands where a pixel is gone, such as a blur or another frame.
        steps: How many.

    Raises:
        ValueError: Maps or base that do not fit the images.
    """
    return _curve(policy, images, maps, base, steps, start=images, end=base)


def insertion(
    policy: Policy, images: Images, maps: Maps, base: Images, *, steps: int = 10
) -> Float[Array, " steps+1"]:
    """Distance from the frame's actions while the highest pixels are put back onto the base.

    Insertion of Petsiuk et al. (2018); it ends at 0.

    >>> import jax.numpy as jnp
    >>> def policy(images):  # looks at the left half
    ...     return images["front"][:, :, :2].mean((1, 2))[:, None]
    >>> images = {"front": jnp.ones((4, 4, 3))}
    >>> left = {"front": jnp.ones((4, 4)).at[:, 2:].set(0.0)}
    >>> insertion(policy, images, left, {"front": jnp.zeros((4, 4, 3))}, steps=4).tolist()
    [1.0, 0.25, 0.0, 0.0, 0.0]

    Args:
        policy: The policy.
        images: One frame of each view.
        maps: Their scores.
        base: What pixels are put onto.
        steps: How many.

    Raises:
        ValueError: Maps or base that do not fit the images.
    """
    return _curve(policy, images, maps, base, steps, start=base, end=images)


def area(curve: Float[Array, "*b steps+1"]) -> Float[Array, "*b"]:
    """Area under a curve over [0, 1] by the trapezoidal rule.

    >>> import jax.numpy as jnp
    >>> float(area(jnp.array([0.0, 1.0, 1.0])))
    0.75
    """
    return ((curve[..., 1:] + curve[..., :-1]) / 2.0).mean(-1)


def infidelity(
    policy: Policy,
    images: Images,
    maps: Maps,
    base: Images,
    removed: Mapping[str, Bool[Array, "n h w"]],
) -> Float[Array, ""]:
    """How badly sums of scores foretell effects: Yeh et al. (2019), eq. 2, scores scaled to fit.

    E[(beta s - delta)^2] / E[delta^2]: delta is the effect of replacing a random set of pixels, s
    the sum of their scores, beta the best scale. 0 is perfect; a map that says nothing gets 1.

    >>> import jax.numpy as jnp
    >>> def policy(images):  # looks at the left half
    ...     return images["front"][:, :, :2].mean((1, 2))[:, None]
    >>> images, base = {"front": jnp.ones((4, 4, 3))}, {"front": jnp.zeros((4, 4, 3))}
    >>> left = {"front": jnp.ones((4, 4)).at[:, 2:].set(0.0)}
    >>> columns = {"front": jnp.broadcast_to(jnp.eye(4, dtype=bool)[:, None], (4, 4, 4))}
    >>> float(infidelity(policy, images, left, base, columns))
    0.0

    Args:
        policy: The policy.
        images: One frame of each view.
        maps: Their scores.
        base: What stands where a pixel is gone.
        removed: The sets.

    Raises:
        ValueError: Maps, base or sets that do not fit the images.
    """
    _check(images, maps, base)
    for view, own in removed.items():
        if view not in images or own.shape[1:] != images[view].shape[:2]:
            raise ValueError(f"removed: [n, h, w] of known views wanted, got {view!r} {own.shape}")
    frames = {view: _replaced(images[view], base[view], removed[view]) for view in images}
    effects = _effects(policy, images, frames)
    sums = sum(
        jnp.einsum("nhw,hw->n", own.astype(jnp.float32), maps[view], precision="highest")
        for view, own in removed.items()
    )
    return misfit(jnp.asarray(sums), effects)


def misfit(sums: Float[Array, " n"], effects: Float[Array, " n"]) -> Float[Array, ""]:
    """min over beta of E[(beta s - delta)^2] / E[delta^2].

    >>> import jax.numpy as jnp
    >>> float(misfit(jnp.array([1.0, 0.0]), jnp.array([1.0, 1.0])))
    0.5
    """
    power = jnp.square(sums).sum()
    beta = (sums * effects).sum() / jnp.where(power > 0, power, 1.0)
    return jnp.square(beta * sums - effects).sum() / jnp.maximum(jnp.square(effects).sum(), 1e-30)


def max_sensitivity(
    explain: Callable[[dict[str, Array]], Maps],
    images: Images,
    key: Key[Array, ""],
    *,
    radius: float = 0.1,
    samples: int = 8,
) -> Float[Array, ""]:
    """Largest relative change of a map when the frame changes a little (Yeh et al. 2019, eq. 5).

    >>> import jax, jax.numpy as jnp
    >>> images = {"front": jnp.ones((4, 4, 3))}
    >>> flat = lambda images: {"front": jnp.ones((4, 4))}
    >>> float(max_sensitivity(flat, images, jax.random.key(0)))
    0.0

    Args:
        explain: Frames to maps; its own randomness should be fixed.
        images: One frame of each view.
        key: Of the changes.
        radius: Pixels change by up to this, uniformly.
        samples: How many changes.
    """
    own = _flat(explain(dict(images)))
    size = jnp.maximum(jnp.linalg.norm(own), 1e-30)
    worst = jnp.zeros(())
    for number in range(samples):
        keys = jax.random.split(jax.random.fold_in(key, number), len(images))
        moved = {
            view: frame + jax.random.uniform(one, frame.shape, minval=-radius, maxval=radius)
            for one, (view, frame) in zip(keys, images.items(), strict=True)
        }
        worst = jnp.maximum(worst, jnp.linalg.norm(_flat(explain(moved)) - own) / size)
    return worst


def randomisation(
    explain: Callable[[Any], Maps], params: Any, key: Key[Array, ""]
) -> Float[Array, ""]:
    """Rank correlation of a policy's map with that of a policy of random parameters.

    The model parameter randomisation test (Adebayo et al. 2018), all layers at once: each leaf's
    entries are dealt anew. A map that stays the same does not depend on what was learnt.

    >>> import jax, jax.numpy as jnp
    >>> edges = lambda params: {"front": jnp.arange(16.0).reshape(4, 4)}
    >>> round(float(randomisation(edges, {"w": jnp.ones(3)}, jax.random.key(0))), 3)
    1.0

    Args:
        explain: Parameters to maps.
        params: A tree of arrays.
        key: Of the deal.
    """
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    dealt = [
        jax.random.permutation(one, leaf.reshape(-1)).reshape(leaf.shape)
        for one, leaf in zip(keys, leaves, strict=True)
    ]
    own, other = explain(params), explain(jax.tree.unflatten(tree, dealt))
    return rank_correlation(_flat(own), _flat(other))


def rank_correlation(a: Float[Array, " n"], b: Float[Array, " n"]) -> Float[Array, ""]:
    """Spearman's coefficient on mid-ranks; 0 where one of both is constant.

    >>> import jax.numpy as jnp
    >>> float(rank_correlation(jnp.array([1.0, 2.0, 3.0]), jnp.array([9.0, 4.0, 1.0])))
    -1.0
    """
    ranks = [jax.scipy.stats.rankdata(x).astype(jnp.float32) for x in (a, b)]
    ra, rb = (r - r.mean() for r in ranks)
    size = jnp.sqrt(jnp.square(ra).sum() * jnp.square(rb).sum())
    return jnp.where(size > 0, (ra * rb).sum() / jnp.where(size > 0, size, 1.0), 0.0)


def order(maps: Maps) -> dict[str, Float[Array, "h w"]]:
    """Place of each pixel when all views are sorted together, the highest first, in [0, 1).

    >>> import jax.numpy as jnp
    >>> order({"front": jnp.array([[1.0, 4.0], [2.0, 3.0]])})["front"].tolist()
    [[0.75, 0.0], [0.5, 0.25]]
    """
    flat = _flat(maps)
    ranked = jnp.argsort(-flat, stable=True)
    places = jnp.zeros(flat.size).at[ranked].set(jnp.arange(flat.size) / flat.size)
    found, start = {}, 0
    for view, own in maps.items():
        found[view] = places[start : start + own.size].reshape(own.shape)
        start += own.size
    return found


def _curve(
    policy: Policy,
    images: Images,
    maps: Maps,
    base: Images,
    steps: int,
    *,
    start: Images,
    end: Images,
) -> Array:
    _check(images, maps, base)
    places = order({view: maps[view] for view in images})
    shares = jnp.arange(steps + 1) / steps
    frames = {
        view: _replaced(start[view], end[view], places[view][None] < shares[:, None, None])
        for view in images
    }
    return _effects(policy, images, frames)


def _replaced(frame: Array, other: Array, where: Array) -> Array:
    return jnp.where(where[..., None], other[None], frame[None])


def _effects(policy: Policy, images: Images, frames: dict[str, Array]) -> Array:
    rows = next(iter(frames.values())).shape[0]
    baseline = check_actions(policy({view: frame[None] for view, frame in images.items()}), 1)
    return divergence.effects(check_actions(policy(frames), rows), baseline[0])


def _flat(maps: Maps) -> Array:
    return jnp.concatenate([jnp.ravel(own) for own in maps.values()])


def _check(images: Images, maps: Maps, base: Images) -> None:
    for view, frame in images.items():
        for name, given, wanted in (
            ("maps", maps, frame.shape[:2]),
            ("base", base, frame.shape),
        ):
            if view not in given or given[view].shape != wanted:
                found = given[view].shape if view in given else "none"
                raise ValueError(f"{name} of {view!r} must be {list(wanted)}, got {found}")
