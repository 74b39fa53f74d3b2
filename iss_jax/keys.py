"""Random keys of a batch: one for all its rows, or one a row."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key


def batch_key(key: Any, batch: int) -> Key[Array, ""] | Key[Array, " b"]:
    """The caller's key: one, so that all rows draw alike, or one a row.

    Args:
        key: A typed key (`jax.random.key`), an old raw one (`jax.random.PRNGKey`), an array of
            `batch` of either, or None, which is `jax.random.key(0)`.
        batch: Rows.

    Raises:
        TypeError: No key.
        ValueError: Another number of keys than rows.
    """
    if key is None:
        return jax.random.key(0)
    dtype = getattr(key, "dtype", None)
    if dtype is None:
        raise TypeError(f"key must be jax.random.key(seed), got {key!r}")
    if not jnp.issubdtype(dtype, jax.dtypes.prng_key):
        if dtype != jnp.uint32:
            raise TypeError(f"key must be jax.random.key(seed), got {dtype} {list(key.shape)}")
        key = jax.random.wrap_key_data(jnp.asarray(key))
    if key.shape not in ((), (batch,)):
        raise ValueError(f"key must be one key or [{batch}] keys, got {list(key.shape)}")
    return key


def one_key(key: Any) -> Key[Array, ""]:
    """The caller's one key, see `batch_key`."""
    found = batch_key(key, 1)
    return found if found.ndim == 0 else found[0]


def split_two(key: Array) -> tuple[Array, Array]:
    """`jax.random.split` in two, of one key or of each of several."""
    if key.ndim == 0:
        first, second = jax.random.split(key)
        return first, second
    pairs = jax.vmap(jax.random.split)(key)
    return pairs[:, 0], pairs[:, 1]
