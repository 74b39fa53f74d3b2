"""Where the saliency of every frame of an episode lies, beside random explanations."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, UInt8

from iss_jax import Region, nmr
from iss_jax.baselines import random_map
from iss_jax.masks import upsample
from iss_jax.results import Saliency


class EpisodeMeasures(NamedTuple):
    """Measures of T frames, for K values of k, D random maps and the regions in `Region`'s order.

    Attributes:
        nmr: nmr@k with the critical set by count, over all views.
        view_nmr: the same of every view on its own.
        random_nmr: nmr@k of random maps (see `iss_jax.baselines.random_map`).
        critical: share of the critical pixels of each region, for each k.
        mass: share of the positive saliency of each region.
        above_mean: share of each region of the saliency above the frame's mean: what `mass` is
            without the constant that the mean effect of all masks adds to every pixel.
        area: share of the pixels of each region; that of nuisance is nmr's chance level.
        view_area: the same of every view on its own.
    """

    nmr: Float[np.ndarray, "T K"]
    view_nmr: dict[str, Float[np.ndarray, "T K"]]
    random_nmr: Float[np.ndarray, "T D K"]
    critical: Float[np.ndarray, "T K 3"]
    mass: Float[np.ndarray, "T 3"]
    above_mean: Float[np.ndarray, "T 3"]
    area: Float[np.ndarray, "T 3"]
    view_area: dict[str, Float[np.ndarray, "T 3"]]


def measure_episode(
    cells: Float[np.ndarray, "T views gh gw"],
    regions: Mapping[str, UInt8[np.ndarray, "T h w"]],
    valid: Mapping[str, Bool[np.ndarray, "T h w"]],
    key: Key[Array, ""],
    *,
    percents: Sequence[float],
    control_draws: int,
) -> EpisodeMeasures:
    """Measures of every frame, one frame at a time.

    Args:
        cells: scores of the grid cells; views in the order of `regions`.
        regions: view to labels.
        valid: view to the pixels that are picture.
        key: of the random maps.
        percents: the values of k.
        control_draws: random maps a frame.
    """
    frames = [
        _measure(
            cells[t],
            {view: labels[t] for view, labels in regions.items()},
            {view: inside[t] for view, inside in valid.items()},
            jax.random.fold_in(key, t),
            views=tuple(regions),
            percents=tuple(percents),
            control_draws=control_draws,
        )
        for t in range(len(cells))
    ]
    stacked = jax.tree.map(lambda *rows: np.stack([np.asarray(row) for row in rows]), *frames)
    return EpisodeMeasures(**stacked)


def saliency_of_cells(
    cells: Float[Array, "views gh gw"], valid: Mapping[str, Bool[Array, "h w"]]
) -> Saliency:
    """One observation's cells as a `Saliency`, whose runs are not known."""
    maps = {
        view: jnp.where(inside, upsample(cells[row], (inside.shape[-2], inside.shape[-1])), 0.0)
        for row, (view, inside) in enumerate(valid.items())
    }
    none = jnp.zeros(0)
    return Saliency(
        maps=maps,
        valid=dict(valid),
        cells=cells,
        stderr=jnp.full_like(cells, jnp.nan),
        contrast_stderr=jnp.full_like(cells, jnp.nan),
        effects=none,
        actions=jnp.zeros((0, 0)),
        masks=jnp.zeros((0, *cells.shape), bool),
    )


@partial(jax.jit, static_argnames=("views", "percents", "control_draws"))
def _measure(
    cells: Float[Array, "views gh gw"],
    regions: dict[str, UInt8[Array, "h w"]],
    valid: dict[str, Bool[Array, "h w"]],
    key: Key[Array, ""],
    *,
    views: tuple[str, ...],
    percents: tuple[float, ...],
    control_draws: int,
) -> dict[str, Any]:
    # A jitted call sorts dicts by name; the cells keep the caller's order of views.
    result = saliency_of_cells(cells, {view: valid[view] for view in views})
    maps = result.maps
    ratio = partial(nmr.nuisance_mass_ratio, regions=regions, k=percents, valid=valid)

    def of_regions(share):
        return jnp.stack([share(region=region) for region in Region], axis=-1)

    pixels = jnp.concatenate([inside.ravel() for inside in valid.values()])
    scores = jnp.concatenate([maps[view].ravel() for view in valid])
    mean = jnp.mean(scores, where=pixels)
    above = {view: jnp.where(valid[view], saliency - mean, 0.0) for view, saliency in maps.items()}

    return {
        "nmr": ratio(maps),
        "view_nmr": ratio(maps, per_view=True),
        "random_nmr": jax.lax.map(
            lambda key: ratio(random_map(key, result).maps), jax.random.split(key, control_draws)
        ),
        "critical": of_regions(
            partial(nmr.regional_mass_ratio, maps, regions, k=percents, valid=valid)
        ),
        "mass": of_regions(partial(nmr.mass_ratio, maps, regions, valid=valid)),
        "above_mean": of_regions(partial(nmr.mass_ratio, above, regions, valid=valid)),
        "area": of_regions(partial(nmr.chance_level, regions, valid=valid)),
        "view_area": {
            view: of_regions(
                partial(nmr.chance_level, {view: regions[view]}, valid={view: valid[view]})
            )
            for view in views
        },
    }
