"""The head itself: features of one pass -> the contrast of every cell.

A few small networks side by side, each taught without some of the tasks. Their mean is the answer;
how far they lie apart says how much of it is guessed.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

# Of the logarithm of a frame's scale, beyond which features are of no frame that was learnt from.
WIDEST = 12.0


class Features(NamedTuple):
    """What a head reads of one pass.

    Attributes:
        tokens: Image tokens, beside them what the prefix made of them.
        shared: Of the whole frame: the prompt as the prefix reads it, and the answered actions.
    """

    tokens: Float[Array, "b views t w"]
    shared: Float[Array, "b f"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Head:
    """Weights of a head.

    Attributes:
        leaves: Name -> array [members, ...].
        mean: Of the features that it was taught on.
        spread: Their standard deviations.
    """

    leaves: dict[str, Array]
    mean: Features
    spread: Features

    @property
    def members(self) -> int:
        """Networks side by side."""
        return self.leaves["scale"].shape[0]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of cells of a view."""
        _, _, rows, columns, _ = self.leaves["cells"].shape
        return rows, columns


def init_head(
    key: PRNGKeyArray,
    mean: Features,
    spread: Features,
    *,
    members: int = 4,
    width: int = 32,
    grid: tuple[int, int] = (7, 7),
) -> Head:
    """A head that has learnt nothing yet: random features, and a map of zeros.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> one = Features(jnp.zeros((3, 25, 16)), jnp.ones(8))
    >>> init_head(jax.random.key(0), one, one, members=2).grid
    (7, 7)

    Args:
        key: Of the random weights.
        mean: Of the features, without their batch axis.
        spread: Their standard deviations.
        members: Networks side by side.
        width: Of each.
        grid: Cells of a view.
    """
    views, tokens, depth = mean.tokens.shape
    shared = mean.shared.shape[-1]
    sizes: dict[str, tuple[tuple[int, ...], float]] = {
        "tokens_in": ((depth, width), depth**-0.5),
        "shared_in": ((shared, width), shared**-0.5),
        "positions": ((views, tokens, width), 0.1),
        "query": ((width, width), width**-0.5),
        "key": ((width, width), width**-0.5),
        "value": ((width, width), width**-0.5),
        "mixed": ((width, width), 0.3 * width**-0.5),
        "wide": ((width, 2 * width), width**-0.5),
        "narrow": ((2 * width, width), 0.3 * (2 * width) ** -0.5),
        "cells": ((views, *grid, width), 0.1),
        "last": ((width, width), width**-0.5),
        "out": ((width, 1), 0.0),
        "map": ((views, *grid), 0.0),
        "scale_in": ((shared, 1), 0.0),
        "scale": ((1,), 0.0),
    }
    leaves = {
        name: size * jax.random.normal(own, (members, *shape))
        for own, (name, (shape, size)) in zip(
            jax.random.split(key, len(sizes)), sizes.items(), strict=True
        )
    }
    return Head(leaves, mean, spread)


def contrasts_of_members(head: Head, features: Features) -> Float[Array, "members b views gh gw"]:
    """What each member says of E[delta | cell dropped] - E[delta | cell kept].

    Args:
        head: Of `init_head` or `load_head`.
        features: Of `features_of`, with the sizes that the head was made for.
    """
    tokens, shared = (
        (x.astype(jnp.float32) - mean[None]) / spread[None]
        for x, mean, spread in zip(features, head.mean, head.spread, strict=True)
    )
    shared = jnp.clip(shared, -5.0, 5.0)
    tokens = jnp.clip(tokens, -5.0, 5.0)
    return jax.vmap(_one_member, in_axes=(0, None, None))(head.leaves, tokens, shared)


def _one_member(leaves: dict[str, Any], tokens: Array, shared: Array) -> Array:
    batch, views, count, _ = tokens.shape
    side = round(count**0.5)
    x = tokens @ leaves["tokens_in"] + (shared @ leaves["shared_in"])[:, None, None]
    x = (x + leaves["positions"][None]).reshape(batch, views * count, -1)
    normed = _norm(x)
    query, key, value = (normed @ leaves[name] for name in ("query", "key", "value"))
    logits = jnp.einsum("bqd,bkd->bqk", query, key) * query.shape[-1] ** -0.5
    x = x + jnp.einsum("bqk,bkd->bqd", jax.nn.softmax(logits), value) @ leaves["mixed"]
    x = x + jax.nn.gelu(_norm(x) @ leaves["wide"]) @ leaves["narrow"]
    _, rows, columns, width = leaves["cells"].shape
    patches = _norm(x).reshape(batch, views, side, side, width)
    # Cells and tokens are two grids over the same picture.
    cells = jax.image.resize(patches, (batch, views, rows, columns, width), "linear")
    cells = jax.nn.gelu((cells + leaves["cells"][None]) @ leaves["last"])
    pattern = (cells @ leaves["out"])[..., 0] + leaves["map"][None]
    scale = shared @ leaves["scale_in"] + leaves["scale"][None]
    return pattern * jnp.exp(jnp.clip(scale, -WIDEST, WIDEST))[:, 0, None, None, None]


def _norm(x: Array) -> Array:
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-6)
