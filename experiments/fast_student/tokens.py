"""Chunks of actions as tokens: the low frequencies of each dimension, in equal bins.

FAST's idea (cosine transform, then numbers) without its compression: every answer is as long.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.fft
from jaxtyping import Array, Float, Int

# Of what the chunks at hand hold, outside which an answer is cut.
INSIDE = (0.5, 99.5)


class ActionTokens(NamedTuple):
    """How chunks [H, A] become ids [kept · A] and back.

    Attributes:
        low: Lower end of each coefficient's bins, [kept, A].
        width: Of one bin, [kept, A].
        first: Id of the lowest bin.
        bins: How many.
        horizon: H.
    """

    low: Float[np.ndarray, "kept dims"]
    width: Float[np.ndarray, "kept dims"]
    first: int
    bins: int
    horizon: int

    @property
    def length(self) -> int:
        """Tokens of an answer, without its end."""
        return self.low.size


def fitted(
    chunks: Float[np.ndarray, "n horizon dims"], *, kept: int, bins: int, first: int
) -> ActionTokens:
    """Bins that cover the chunks' coefficients, but for one in a hundred.

    Args:
        chunks: Normalised actions.
        kept: Coefficients of each dimension, the lowest frequencies.
        bins: Of each coefficient.
        first: Id of the lowest bin.
    """
    low, high = np.percentile(_coefficients(chunks, kept), INSIDE, axis=0)
    width = np.maximum((high - low) / bins, 1e-6)
    return ActionTokens(
        low.astype(np.float32), width.astype(np.float32), first, bins, chunks.shape[1]
    )


def encode(
    tokens: ActionTokens, chunks: Float[np.ndarray, "n horizon dims"]
) -> Int[np.ndarray, "n length"]:
    """Ids of chunks, the lowest frequency of all dimensions first."""
    found = (_coefficients(chunks, len(tokens.low)) - tokens.low) / tokens.width
    ids = np.clip(np.floor(found), 0, tokens.bins - 1).astype(np.int32) + tokens.first
    return ids.reshape(len(chunks), -1)


def decode(tokens: ActionTokens, ids: Int[Array, "n length"]) -> Float[Array, "n horizon dims"]:
    """Chunks of ids, each bin as its middle; an id that is no bin counts as the nearest one."""
    kept, dims = tokens.low.shape
    bins = jnp.clip(jnp.asarray(ids) - tokens.first, 0, tokens.bins - 1).reshape(-1, kept, dims)
    low, width = jnp.asarray(tokens.low)[None], jnp.asarray(tokens.width)[None]
    found = low + (bins.astype(jnp.float32) + 0.5) * width
    basis = scipy.fft.idct(np.eye(tokens.horizon)[:, :kept], axis=0, norm="ortho")
    return jnp.einsum("hk,nkd->nhd", jnp.asarray(basis, jnp.float32), found)


def _coefficients(
    chunks: Float[np.ndarray, "n horizon dims"], kept: int
) -> Float[np.ndarray, "n kept dims"]:
    return np.asarray(scipy.fft.dct(chunks, axis=1, norm="ortho"))[:, :kept]
