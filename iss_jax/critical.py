"""Critical sets: the most salient pixels of an observation, over all its views (Def. 4.5)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from iss_jax.map_pixels import Maps, Present, Valid, by_view, check_views, flat_scores, took_part
from iss_jax.ranking import rank, ranked_score, set_size
from iss_jax.records import Record, batch_index, drawing, record, require_concrete

CRITICAL = ("count", "mass")


@record
class CriticalSet(Record):
    """The most salient pixels of one observation, over all its views.

    >>> import jax.numpy as jnp
    >>> found = critical_set(jnp.array([[4.0, 3.0], [2.0, 2.0]]), k=75)
    >>> int(found.size), float(found.threshold), int(found.ties)
    (3, 2.0, 1)

    Attributes:
        pixels: View -> True where critical.
        size: Pixels in the set.
        threshold: Lowest score in the set.
        ties: Pixels outside the set whose score equals the threshold; 0 when the set is unique.
    """

    pixels: dict[str, Bool[Array, "*b h w"]]
    size: Int[Array, "*b"]
    threshold: Float[Array, "*b"]
    ties: Int[Array, "*b"]

    def plot(
        self, index: int | tuple[int, ...] = 0, *, frames: Mapping[str, Any] | None = None
    ) -> Any:
        """The critical pixels of one observation, a `matplotlib.figure.Figure`.

        Args:
            index: Of the observation, see `Record.plot`.
            frames: View -> frames beneath, with the maps' batch axes.
        """
        require_concrete(self, "plot()")
        at = batch_index(tuple(self.size.shape), index)
        pixels, frames = jax.tree.map(lambda leaf: leaf[at], (self.pixels, frames))
        return drawing("maps_figure").maps_figure(
            pixels,
            frames=frames,
            label="critical",
            note=f"{self.size[at]} critical pixels; {self.ties[at]} others tie with the last.",
        )


def critical_set(
    maps: Maps,
    k: float = 10,
    *,
    critical: str = "count",
    present: Present = None,
    valid: Valid = None,
) -> CriticalSet:
    """The critical pixels H^(k) of Def. 4.5.

    Pixels of equal score are taken in order of view, row and column.

    >>> import jax.numpy as jnp
    >>> from iss_jax import critical_set
    >>> found = critical_set(jnp.array([[4.0, 3.0], [2.0, 1.0]]), k=50)
    >>> found.pixels["view"].tolist(), int(found.size)
    ([[True, True], [False, False]], 2)

    Args:
        maps: A `Saliency`, whose absent views and padding then take no part; or the map of each
            view, or of the only one; no NaN.
        k: Percentage in (0, 100], read to a thousandth.
        critical: `count` takes ceil(k P / 100) of the P pixels that are present and valid; `mass`
            the fewest pixels that hold k % of the saliency, none where there is no saliency.
        present: Views that are there; a missing entry means present.
        valid: Pixels that are not padding; a missing entry means all.

    Raises:
        ValueError: k or `critical` out of range, or views and shapes that do not match.
    """
    check_level(k, critical)
    maps, valid = took_part(maps, valid)
    maps = by_view(maps)
    check_views(maps, present, valid)
    return _critical_set(maps, present, valid, k=k, critical=critical)


@partial(jax.jit, static_argnames=("k", "critical"))
def _critical_set(
    maps: dict[str, Array], present: Present, valid: Valid, *, k: float, critical: str
) -> CriticalSet:
    score, usable = flat_scores(maps, present, valid)
    ranked = rank(score, usable, critical)
    size = set_size(ranked, k, critical)
    position = jnp.argsort(ranked.order, axis=-1)
    inside = position < size[..., None]
    last = jnp.maximum(size - 1, 0)[..., None]
    threshold = jnp.take_along_axis(ranked.score, last, axis=-1)
    equal = (ranked_score(score, critical) == threshold) & usable & (size[..., None] > 0)
    ties = (equal & ~inside).sum(-1)
    pixels, start = {}, 0
    for view, saliency in maps.items():
        stop = start + saliency.shape[-2] * saliency.shape[-1]
        pixels[view] = inside[..., start:stop].reshape(saliency.shape)
        start = stop
    return CriticalSet(pixels, size, threshold[..., 0], ties)


def check_level(k: float, critical: str) -> None:
    """Raises `ValueError` where k is no percentage or `critical` is unknown."""
    number = isinstance(k, int | float | np.number) and not isinstance(k, bool)
    if not number or not 0 < k <= 100:
        raise ValueError(f"k must be a percentage in (0, 100], got {k!r}")
    if critical not in CRITICAL:
        raise ValueError(f"critical must be one of {CRITICAL}, got {critical!r}")
