"""ISS and every NMR definition on a batch of frames, in one compiled program."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, UInt8

from iss_jax import ISSConfig, Sampling, nmr, saliency
from iss_jax.baselines import Explanation, attention, random_map, token_norm
from iss_jax.pi05.observation import Observation
from iss_jax.policies.frames import present_views


class Measures(NamedTuple):
    """What is measured on each of b frames, for K values of k and D random maps.

    Attributes:
        nmr: nmr@k with the critical set by count.
        nmr_mass: nmr@k with the critical set by mass.
        mass_ratio: nuisance share of the total saliency.
        chance: nuisance share of the area.
        random_nmr: nmr@k by count of random maps (see `iss_jax.baselines.random_map`).
        attention_nmr: nmr@k by count of the attention map (see `iss_jax.baselines.attention`).
        norm_nmr: nmr@k by count of the token-norm map (see `iss_jax.baselines.token_norm`).
        view_nmr: nmr@k by count, every view on its own.
        view_chance: nuisance share of each view's area.
        cells: ISS of the grid cells, of the present views.
        stderr: standard errors of the cells.
        contrast_stderr: those of the cells' differences to the mean of the map.
    """

    nmr: Float[Array, "b K"]
    nmr_mass: Float[Array, "b K"]
    mass_ratio: Float[Array, " b"]
    chance: Float[Array, " b"]
    random_nmr: Float[Array, "b D K"]
    attention_nmr: Float[Array, "b K"]
    norm_nmr: Float[Array, "b K"]
    view_nmr: dict[str, Float[Array, "b K"]]
    view_chance: dict[str, Float[Array, " b"]]
    cells: Float[Array, "b views gh gw"]
    stderr: Float[Array, "b views gh gw"]
    contrast_stderr: Float[Array, "b views gh gw"]


@partial(
    jax.jit,
    static_argnames=("views", "config", "action_horizon", "sampling", "percents", "control_draws"),
)
def measure(
    params: Any,
    obs: Observation,
    regions: dict[str, UInt8[Array, "b h w"]],
    valid: dict[str, Bool[Array, "b h w"]],
    key: Key[Array, ""],
    *,
    views: tuple[str, ...],
    config: ISSConfig,
    action_horizon: int,
    sampling: Sampling,
    percents: tuple[float, ...],
    control_draws: int,
) -> Measures:
    """Saliency of the frames and where it lies.

    Args:
        params: the policy.
        obs: the frames; which views are present is said by `views`, not by the image masks.
        regions: view to labels at the policy's image size, for the present views.
        valid: view to the pixels that are picture, for the present views.
        key: of the masks, the flow noise and the random maps.
        views: the views that are present.
        config: options of ISS.
        action_horizon: length of the action chunk.
        sampling: how the policy is run.
        percents: the values of k.
        control_draws: random maps a frame.
    """
    iss_key, control_key = jax.random.split(key)
    present = present_views(obs, views)
    result = saliency(
        params,
        present,
        key=iss_key,
        config=config,
        action_horizon=action_horizon,
        sampling=sampling,
    )
    rows = np.asarray([list(result.maps).index(view) for view in views])
    maps = {view: result.maps[view] for view in views}
    regions = {view: regions[view] for view in views}
    ratio = partial(nmr.nuisance_mass_ratio, regions=regions, k=percents, valid=valid)

    def control(key: Key[Array, ""]) -> Float[Array, "b K"]:
        dealt = random_map(key, result).maps
        return ratio({view: dealt[view] for view in views})

    random_nmr = jax.lax.map(control, jax.random.split(control_key, control_draws))
    return Measures(
        nmr=ratio(maps),
        nmr_mass=ratio(maps, critical="mass"),
        mass_ratio=nmr.mass_ratio(maps, regions, valid=valid),
        chance=nmr.chance_level(regions, valid=valid),
        random_nmr=jnp.moveaxis(random_nmr, 0, 1),
        attention_nmr=ratio(_chosen(attention(params, present), views)),
        norm_nmr=ratio(_chosen(token_norm(params, present), views)),
        view_nmr=ratio(maps, per_view=True),
        view_chance=nmr.chance_level(regions, valid=valid, per_view=True),
        cells=result.cells[:, rows],
        stderr=result.stderr[:, rows],
        contrast_stderr=result.contrast_stderr[:, rows],
    )


def _chosen(explanation: Explanation, views: tuple[str, ...]) -> dict[str, Array]:
    return {view: explanation.maps[view] for view in views}
