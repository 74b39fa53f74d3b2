"""Where the saliency lies: critical sets, regional mass ratios, the Nuisance Mass Ratio.

Three definitions are in use, and they differ:

- `critical="count"`: the top k % of the pixels over all views jointly (App. D.1, and what the paper
  computes);
- `critical="mass"`: the smallest set of pixels that holds k % of the total saliency (Def. 4.5);
- `mass_ratio`: the share of the total saliency, with no critical set at all (App. E.4).

The first needs ranks only. The other two need a non-negative score, and count a negative one as
zero. Read each beside `chance_level`, the value that a map without information has on average.
Eq. 9 and 10 are means over observations: average what these functions return over the batch axes.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Int

from iss_jax.checks import check_labels
from iss_jax.critical import check_level
from iss_jax.few import few
from iss_jax.map_pixels import (
    Labels,
    Maps,
    Present,
    Valid,
    by_view,
    check_views,
    counted,
    flat_labels,
    flat_scores,
    took_part,
)
from iss_jax.ranking import rank, set_size, share_of

REASONS = (
    "",
    "a score is NaN",
    "no pixel is critical: none takes part, or none has any saliency",
    "the most salient pixels tie with others outside of the set: the map does not say which they "
    "are",
)
"""Why a ratio is not known, by `ratio_reason`."""


class Region(enum.IntEnum):
    """Labels of the causal spatial partition (Def. 4.2).

    >>> from iss_jax import Region
    >>> [region.name for region in Region], Region.ACTION == 2
    (['NUISANCE', 'SUPPORT', 'ACTION'], True)
    """

    NUISANCE = 0
    SUPPORT = 1
    ACTION = 2


def regional_mass_ratio(
    maps: Maps,
    regions: Labels,
    *,
    region: int,
    k: float | Sequence[float] = 10,
    critical: str = "count",
    present: Present = None,
    valid: Valid = None,
    per_view: bool = False,
) -> Any:
    """Share of the critical pixels that lie in a region (Eq. 9), for each observation.

    >>> import jax.numpy as jnp
    >>> saliency = {"front": jnp.array([[4.0, 3.0], [2.0, 1.0]])}
    >>> labels = {"front": jnp.array([[2, 0], [0, 0]])}
    >>> ratio = regional_mass_ratio(saliency, labels, region=Region.ACTION, k=50)
    >>> float(ratio)
    0.5

    Args:
        maps: A `Saliency`, whose absent views and padding then take no part; or the map of each
            view, or of the only one.
        regions: Labels of the same views and sizes, see `Region`.
        region: The label that counts.
        k: Percentage in (0, 100], or several.
        critical: `count` or `mass`, see `critical_set`.
        present: Views that are there; a missing entry means present.
        valid: Pixels that are not padding; a missing entry means all.
        per_view: Treat every view on its own, with its own critical set.

    Returns:
        Ratio in [0, 1] with the maps' batch axes, and a last axis over k when several are given;
        NaN where the map does not say: nothing is critical, a score is NaN, or the whole set is
        chosen by the order of ties; `ratio_reason` says which. `{view: ratio}` with `per_view`.

    Raises:
        ValueError: Options out of range, views and shapes that do not match, or labels other than
            the integers 0, 1 and 2.
    """
    several = np.ndim(k) > 0
    levels = _levels(k, critical)

    def share(*arrays: Any) -> Array:
        shares, reasons = _critical_share(
            *arrays, region=_number(region), levels=levels, critical=critical
        )
        shares = _or_nan(shares, reasons == 0)
        return shares if several else shares[..., 0]

    return _each(share, maps, regions, present, valid, per_view)


def ratio_reason(
    maps: Maps,
    *,
    k: float | Sequence[float] = 10,
    critical: str = "count",
    present: Present = None,
    valid: Valid = None,
) -> Int[Array, "*b"]:
    """Why `regional_mass_ratio` is NaN: 0 where it is known, else the number of `REASONS`.

    Inside `jit`, where a NaN trips `jax_debug_nans`, ask this first.

    >>> import jax.numpy as jnp
    >>> from iss_jax.nmr import REASONS, ratio_reason
    >>> REASONS[int(ratio_reason(jnp.zeros((4, 4)), k=10))][:41]
    'the most salient pixels tie with others o'

    Arguments and errors are those of `regional_mass_ratio`.
    """
    levels = _levels(k, critical)
    maps, valid = took_part(maps, valid)
    maps = by_view(maps)
    check_views(maps, present, valid)
    nowhere = {view: jnp.zeros(scores.shape, jnp.uint8) for view, scores in maps.items()}
    _, reasons = _critical_share(
        maps, nowhere, present, valid, region=0, levels=levels, critical=critical
    )
    return reasons if np.ndim(k) > 0 else reasons[..., 0]


def nuisance_mass_ratio(
    maps: Maps,
    regions: Labels,
    k: float | Sequence[float] = 10,
    *,
    critical: str = "count",
    present: Present = None,
    valid: Valid = None,
    per_view: bool = False,
) -> Any:
    """nmr@k (Def. 4.6, Eq. 10): the regional mass ratio of the nuisance region.

    Arguments, result and errors are those of `regional_mass_ratio`.

    >>> import jax.numpy as jnp
    >>> from iss_jax import nuisance_mass_ratio
    >>> saliency = jnp.array([[4.0, 3.0], [2.0, 1.0]])
    >>> nuisance_mass_ratio(saliency, jnp.array([[2, 0], [0, 1]]), k=[50, 100]).tolist()
    [0.5, 0.5]
    """
    return regional_mass_ratio(
        maps,
        regions,
        region=Region.NUISANCE,
        k=k,
        critical=critical,
        present=present,
        valid=valid,
        per_view=per_view,
    )


def mass_ratio(
    maps: Maps,
    regions: Labels,
    *,
    region: int = Region.NUISANCE,
    present: Present = None,
    valid: Valid = None,
    per_view: bool = False,
) -> Any:
    """Share of the total saliency that lies in a region (App. E.4); NaN without any saliency.

    Arguments and errors are those of `regional_mass_ratio`.

    >>> import jax.numpy as jnp
    >>> from iss_jax import mass_ratio
    >>> float(mass_ratio(jnp.array([[4.0, 3.0], [2.0, 1.0]]), jnp.array([[2, 0], [0, 1]])))
    0.5
    """
    return _each(_mass_or_nan(region), maps, regions, present, valid, per_view)


def chance_level(
    regions: Labels,
    *,
    region: int = Region.NUISANCE,
    present: Present = None,
    valid: Valid = None,
    per_view: bool = False,
) -> Any:
    """Share of the area that lies in a region: what a random critical set has on average.

    Arguments and errors are those of `regional_mass_ratio`; NaN without any area.

    >>> import jax.numpy as jnp
    >>> from iss_jax import chance_level
    >>> float(chance_level({"front": jnp.array([[2, 0], [0, 0]])}))
    0.75
    """
    even = jax.tree.map(lambda labels: jnp.ones(jnp.shape(labels), jnp.float32), regions)
    return _each(_mass_or_nan(region), even, regions, present, valid, per_view)


def region_auc(
    maps: Maps,
    regions: Labels,
    *,
    region: int = Region.NUISANCE,
    present: Present = None,
    valid: Valid = None,
    per_view: bool = False,
) -> Any:
    """Probability that a pixel of a region scores higher than one outside; ties count half.

    The area under the ROC curve of "is in the region", 0.5 by chance. Unlike `mass_ratio` it does
    not change when a constant is added to the map, as the mean effect of all masks is to ISS.

    Arguments and errors are those of `regional_mass_ratio`; NaN where the region is empty or all
    there is, or where a score is NaN.
    """

    def outranks(*arrays: Any) -> Array:
        return _or_nan(*_outranks(*arrays, region=_number(region)))

    return _each(outranks, maps, regions, present, valid, per_view)


def _number(region: Any) -> int:
    """A region's label.

    Raises:
        ValueError: It is none.
    """
    try:
        return int(Region(region))
    except ValueError as error:
        raise ValueError(f"region must be one of {[*Region]}, got {region!r}") from error


def _mass_or_nan(region: int) -> Callable[..., Array]:
    return lambda *arrays: _or_nan(*_mass_share(*arrays, region=_number(region)))


def _or_nan(values: Array, known: Array) -> Any:
    """Values where they are known, else NaN; a numpy array where jax refuses NaN."""
    if isinstance(values, Tracer) or not getattr(jax.config, "jax_debug_nans", False):
        return jnp.where(known, values, jnp.nan)
    found = np.where(known, values, np.float32(np.nan))
    return found if np.isnan(found).any() else values


@partial(jax.jit, static_argnames=("region",))
def _outranks(
    maps: dict[str, Array],
    regions: dict[str, Array],
    present: Present,
    valid: Valid,
    *,
    region: int,
) -> tuple[Array, Array]:
    score, usable = flat_scores(maps, present, valid)
    broken = jnp.any(jnp.isnan(score) & usable, axis=-1)
    score = jnp.nan_to_num(score)
    inside = (flat_labels(regions) == region) & usable
    ranks = jax.scipy.stats.rankdata(jnp.where(usable, score, -jnp.inf), axis=-1)
    # Ranks among the usable pixels, of which those of the region would have 1, 2, ... at least.
    ranks = ranks - jnp.sum(~usable, axis=-1, keepdims=True).astype(ranks.dtype)
    count = inside.sum(-1).astype(ranks.dtype)
    rest = (usable & ~inside).sum(-1).astype(ranks.dtype)
    mean = share_of(jnp.where(inside, ranks, 0.0).sum(-1), count)
    return share_of(mean - (count + 1) / 2, rest), (count > 0) & (rest > 0) & ~broken


@partial(jax.jit, static_argnames=("region", "levels", "critical"))
def _critical_share(
    maps: dict[str, Array],
    regions: dict[str, Array],
    present: Present,
    valid: Valid,
    *,
    region: int,
    levels: tuple[float, ...],
    critical: str,
) -> tuple[Array, Array]:
    """The shares, 0 where there are none, and the numbers of `REASONS`."""
    score, usable = flat_scores(maps, present, valid)
    broken = jnp.any(jnp.isnan(score) & usable, axis=-1, keepdims=True)
    # NaN has no rank: sorted like a number it would give a ratio that looks like one.
    ranked = rank(jnp.where(jnp.isnan(score), 0.0, score), usable, critical)
    inside = jnp.take_along_axis(flat_labels(regions) == region, ranked.order, axis=-1)
    hits = jnp.cumsum(inside.astype(jnp.int32), axis=-1)
    sizes = jnp.stack([set_size(ranked, level, critical) for level in levels], axis=-1)
    counts = jnp.take_along_axis(hits, jnp.maximum(sizes - 1, 0), axis=-1)
    shares = share_of(counts.astype(jnp.float32), sizes.astype(jnp.float32))
    # The first outside ties with the very first inside: all that is inside is there by its place.
    outside = jnp.minimum(sizes, ranked.score.shape[-1] - 1)
    tied = jnp.take_along_axis(ranked.score, outside, axis=-1) >= ranked.score[..., :1]
    tied = tied & (sizes < ranked.usable[..., None])
    reasons = jnp.where(sizes == 0, 2, jnp.where(tied, 3, 0))
    reasons = jnp.where(broken, 1, reasons)
    return jnp.where(reasons == 0, shares, 0.0), reasons


@partial(jax.jit, static_argnames=("region",))
def _mass_share(
    maps: dict[str, Array],
    regions: dict[str, Array],
    present: Present,
    valid: Valid,
    *,
    region: int,
) -> tuple[Array, Array]:
    score, usable = flat_scores(maps, present, valid)
    broken = jnp.any(~jnp.isfinite(score) & usable, axis=-1)
    mass = jnp.where(usable, jnp.maximum(jnp.nan_to_num(score), 0.0), 0.0)
    total = mass.sum(-1)
    part = jnp.where(flat_labels(regions) == region, mass, 0.0).sum(-1)
    return share_of(part, total), (total > 0.0) & ~broken


def _levels(k: Any, critical: str) -> tuple[float, ...]:
    """The percentages, one at least."""
    levels: tuple[float, ...] = tuple(np.atleast_1d(np.asarray(k)).tolist())
    if not levels:
        raise ValueError("k: no percentage given, one at least wanted")
    for level in levels:
        check_level(level, critical)
    return levels


def _each(
    share: Callable[..., Array],
    maps: Any,
    regions: Any,
    present: Present,
    valid: Valid,
    per_view: bool,
) -> Any:
    maps, valid = took_part(maps, valid)
    named = regions if isinstance(regions, Mapping) else {"view": regions}
    check_labels("regions", named, counted(named, present, valid))
    maps, regions = by_view(maps), by_view(regions)
    if list(maps) != list(regions):
        raise ValueError(f"maps hold views {few(maps)}, regions {few(regions)}")
    for view, saliency in maps.items():
        if regions[view].shape != saliency.shape:
            raise ValueError(
                f"{view}: the map is {list(saliency.shape)}, its regions are "
                f"{list(regions[view].shape)}"
            )
    check_views(maps, present, valid)
    if not per_view:
        return share(maps, regions, present, valid)

    def of(view: str, given: Any) -> Any:
        return {view: given[view]} if given is not None and view in given else None

    return {
        view: share(of(view, maps), of(view, regions), of(view, present), of(view, valid))
        for view in maps
    }
