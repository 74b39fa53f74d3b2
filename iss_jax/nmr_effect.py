"""NMR by effect: the nuisance share of what replacing the labelled regions does to the actions.

No top-k and no threshold: each region is replaced alone, by other frames' pixels, and its share of
the effects is read off. The chance level is that share with the labels shifted within the frame.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from iss_jax.background import Background, Groups
from iss_jax.effects import Effects
from iss_jax.effects_config import EffectsConfig
from iss_jax.nmr import Region
from iss_jax.nuisance_share import NuisanceShare, nuisance_reason
from iss_jax.pi05_effects import player_effects
from iss_jax.players import from_regions

# Four draws of three regions and a baseline: sixteen runs a frame.
CONFIG = EffectsConfig(draws=4, like_for_like=True)


def nmr_by_effect(
    params: Any,
    obs: Any,
    regions: Mapping[str, Int[Array, "b h w"]],
    background: Background | None = None,
    *,
    key: Key[Array, ""] | Key[Array, " b"] | None = None,
    config: EffectsConfig = CONFIG,
    groups: Groups | None = None,
    valid: Mapping[str, Bool[Array, "b h w"]] | None = None,
    chance: bool = True,
    level: float = 0.95,
    **options: Any,
) -> NuisanceShare:
    """The nuisance share of the regions' effects on a π0.5 policy, with its error and chance level.

    Each of the three regions, joined over views, is replaced alone; a pixel by donor pixels of its
    own region label. Sixteen runs a frame, and one that tells whether the policy draws noise of its
    own; as many again for the chance level.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> import numpy as np
    >>> import iss_jax
    >>> labels = {view: np.zeros((1, 80, 80), np.uint8) for view in obs.images}
    >>> labels["base_0_rgb"][:, :40] = 2
    >>> donors = {view: np.asarray(image)[:, ::-1] for view, image in obs.images.items()}
    >>> bank = iss_jax.Background(donors, regions={v: r[:, ::-1] for v, r in labels.items()})
    >>> found = iss_jax.nmr_by_effect(policy.params, obs, labels, bank, action_horizon=16)
    >>> found.share.shape, bool(found.share[0] <= 1), found.chance.shape
    ((1,), True, (1,))

    Args:
        params: openpi's parameter tree.
        obs: Batched object with openpi's `Observation` attributes.
        regions: View -> labels, see `iss_jax.Region`.
        background: Donors; with region labels where `config.like_for_like`. Not needed by the fills
            `blur`, `mean` and `inpaint`.
        key: See `player_effects`.
        config: Static options.
        groups: Episode and task of each frame.
        valid: Pixels that are picture; labels elsewhere count nowhere.
        chance: Whether the chance level is run, too.
        level: How often an interval is to hold the share that endless draws would give.
        options: Of `player_effects`: noise, mesh, action_horizon, sampling.

    Raises:
        ValueError: As `player_effects`, or a level that is no probability.
    """
    # Where there is no picture a label may be anything, and counts nowhere.
    regions = {
        view: labels
        if valid is None or view not in valid or jnp.shape(labels) != jnp.shape(valid[view])
        else jnp.where(jnp.asarray(valid[view], bool), jnp.asarray(labels), 0)
        for view, labels in regions.items()
    }
    call: dict[str, Any] = {"key": key, "config": config, "groups": groups, "regions": regions}
    call |= {"valid": valid, **options}
    found = player_effects(params, obs, from_regions(regions), background, **call)
    share = regions_share(found, level)
    if not chance:
        return share
    moved = {
        view: shifted(labels, None if valid is None else valid.get(view))
        for view, labels in regions.items()
    }
    shifted_found = player_effects(params, obs, from_regions(moved), background, **call)
    other = regions_share(shifted_found, level)
    return dataclasses.replace(
        share, chance=other.share, chance_stderr=other.stderr, chance_interval=other.interval
    )


def regions_share(found: Effects, level: float = 0.95) -> NuisanceShare:
    """The nuisance share of effects whose players are the three regions themselves.

    Args:
        found: Of three players, in the order of `iss_jax.Region`.
        level: Of the interval.
    """
    area = found.area
    is_nuisance = jnp.broadcast_to(jnp.arange(area.shape[-1]) == Region.NUISANCE, area.shape)
    reason = nuisance_reason(jnp.asarray(found.reason), found.tested, (area > 0) & is_nuisance)
    known = (reason == 0)[..., None]
    ends = [end[..., Region.NUISANCE] for end in found.intervals(level)]
    return NuisanceShare(
        share=found.share[..., Region.NUISANCE],
        stderr=found.share_stderr[..., Region.NUISANCE],
        mixed=jnp.zeros_like(found.floor),
        area=area[..., Region.NUISANCE] / jnp.maximum(area.sum(-1), 1e-9),
        reason=reason,
        interval=jnp.where(known, jnp.stack(ends, axis=-1), jnp.array([0.0, 1.0])),
        level=level,
    )


def shifted(
    labels: Int[Array, "*b h w"], valid: Bool[Array, "*b h w"] | None = None
) -> Int[Array, "*b h w"]:
    """Labels moved by half the picture's height and width, what leaves it coming in again.

    >>> import jax.numpy as jnp
    >>> shifted(jnp.array([[1, 0], [0, 2]])).tolist()
    [[2, 0], [0, 1]]

    Args:
        labels: Of each pixel.
        valid: Pixels that are picture, a rectangle; labels outside stay.
    """
    labels = jnp.asarray(labels)
    height, width = labels.shape[-2:]
    if valid is None:
        return jnp.roll(labels, (height // 2, width // 2), (-2, -1))
    inside = jnp.broadcast_to(jnp.asarray(valid, bool), labels.shape)

    def source(axis: int) -> Int[Array, "*b n"]:
        there = inside.any(axis)
        first = jnp.argmax(there, -1)[..., None]
        count = jnp.maximum(there.sum(-1), 1)[..., None]
        place = jnp.broadcast_to(jnp.arange(there.shape[-1]), there.shape)
        return jnp.where(there, first + (place - first - count // 2) % count, place)

    rows, columns = source(-1), source(-2)
    moved = jnp.take_along_axis(labels, rows[..., :, None], -2)
    moved = jnp.take_along_axis(moved, columns[..., None, :], -1)
    return jnp.where(inside, moved, labels)


__all__ = ["CONFIG", "nmr_by_effect", "regions_share", "shifted"]
