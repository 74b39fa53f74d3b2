"""Players that hold a pixel, numbered without gaps: what is run, and compiled, for a frame.

Frames show different numbers of things. Those that no frame of a batch shows are not run, and the
rest is filled up to a few sizes, so that a dataset's frames share their compiled programs.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

# Up to four players are run as they are (three regions and a baseline are four runs a draw); more
# are filled up to a multiple of eight, since a compilation takes longer than eight players do.
EXACT, MULTIPLE = 4, 8


def present(labels: Mapping[str, Int[Array, "b h w"]], count: int) -> Int[np.ndarray, " p"] | None:
    """Numbers of the players that hold a pixel; None where labels are traced.

    >>> import jax.numpy as jnp
    >>> present({"front": jnp.array([[[0, 2, -1]]])}, 4).tolist()
    [0, 2]

    Args:
        labels: View -> number of each pixel's player.
        count: Players there are.
    """
    if any(isinstance(own, Tracer) for own in labels.values()):
        return None
    found = np.zeros(count, bool)
    for own in labels.values():
        numbers = np.unique(np.asarray(own))
        found[numbers[(numbers >= 0) & (numbers < count)]] = True
    return np.flatnonzero(found)


def filled_up(count: int) -> int:
    """How many players are run where so many hold a pixel.

    >>> [filled_up(count) for count in (0, 3, 4, 5, 8, 9)]
    [1, 3, 4, 8, 8, 16]
    """
    return max(count, 1) if count <= EXACT else -(-count // MULTIPLE) * MULTIPLE


def renumbered(
    labels: Mapping[str, Int[Array, "b h w"]], kept: Int[np.ndarray, " p"], count: int
) -> dict[str, Int[Array, "b h w"]]:
    """Labels by the place of a player in `kept`, -1 for all others.

    Args:
        labels: View -> number of each pixel's player.
        kept: As `present` gives it.
        count: Players there are.
    """
    # The last entry is that of -1 and of numbers that no player has.
    place = np.full(count + 1, -1, np.int32)
    place[kept] = np.arange(len(kept))
    table = jnp.asarray(place)
    return {
        view: table[jnp.where((own >= 0) & (own < count), own, count)]
        for view, own in labels.items()
    }


def spread_out(
    values: Float[Array, "*b p"], kept: Int[np.ndarray, " p"], count: int
) -> Float[Array, "*b k"]:
    """Values of the kept players at their own numbers, 0 for all others.

    Args:
        values: One a kept player, and perhaps more, which are left out.
        kept: As `present` gives it.
        count: Players there are.
    """
    whole = jnp.zeros((*values.shape[:-1], count), values.dtype)
    return whole.at[..., kept].set(values[..., : len(kept)])


def back(labels: Mapping[str, Array], kept: Int[np.ndarray, " p"]) -> dict[str, Array]:
    """Inverse of `renumbered`, of pixels that have a player."""
    table = jnp.asarray(np.append(kept, -1).astype(np.int32))
    return {view: table[jnp.where(own >= 0, own, len(kept))] for view, own in labels.items()}


def to_run(
    labels: Mapping[str, Int[Array, "b h w"]], count: int, estimator: str
) -> tuple[dict[str, Int[Array, "b h w"]], int, Int[np.ndarray, " p"] | None]:
    """Labels and number of the players that are run, and which they are; None where all are.

    Random halves are drawn of all players, so that a frame alone gets those that it gets in a
    batch.

    Args:
        labels: View -> number of each pixel's player.
        count: Players there are.
        estimator: Of `EffectsConfig`.
    """
    kept = None if estimator == "banzhaf" else present(labels, count)
    if kept is None:
        return dict(labels), count, None
    run = filled_up(len(kept)) if estimator == "one_at_a_time" else max(len(kept), 1)
    return renumbered(labels, kept, count), run, kept
