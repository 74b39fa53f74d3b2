"""Maps and labels of several views as rows of pixels, and which of these count."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from iss_jax.checks import check_masks, is_known
from iss_jax.few import few
from iss_jax.results import Saliency

Maps = Saliency | Mapping[str, Float[Array, "*b h w"]] | Float[Array, "*b h w"]
Labels = Mapping[str, Int[Array, "*b h w"]] | Int[Array, "*b h w"]
Valid = Mapping[str, Bool[Array, "*b h w"]] | None
Present = Mapping[str, Bool[Array, "*b"]] | None


def took_part(maps: Any, valid: Valid) -> tuple[Any, Valid]:
    """A `Saliency` says itself which of its pixels took part."""
    check_masks("valid", valid)
    if not isinstance(maps, Saliency):
        return maps, valid
    pixels = {view: jnp.asarray(inside, bool) for view, inside in (valid or {}).items()}
    return maps.maps, {v: inside & pixels.get(v, True) for v, inside in maps.valid.items()}


def counted(regions: Mapping[str, Any], present: Present, valid: Valid) -> dict[str, Any]:
    """View -> pixels whose labels count, of the views that not all of count."""
    inside: dict[str, Any] = dict(valid or {})
    for view, there in (present or {}).items():
        if view in regions and is_known(there):
            wide = np.asarray(there, bool)[..., None, None]
            inside[view] = wide & np.asarray(inside[view], bool) if view in inside else wide
    return inside


def by_view(arrays: Any) -> dict[str, Array]:
    """View -> array, in order of name; the only one is `view`.

    Raises:
        ValueError: There is none.
    """
    if not isinstance(arrays, Mapping):
        arrays = {"view": arrays}
    if not arrays:
        raise ValueError("at least one view is needed, got none")
    return {view: jnp.asarray(arrays[view]) for view in sorted(arrays)}


def flat_scores(maps: dict[str, Array], present: Present, valid: Valid) -> tuple[Array, Array]:
    """Scores [*b, pixels of all views] and which of them count.

    Raises:
        ValueError: A map of fewer than two axes, or views of different batches.
    """
    scores, usable = [], []
    for view, saliency in maps.items():
        if saliency.ndim < 2:
            raise ValueError(f"{view}: expected [*b, h, w], got {list(saliency.shape)}")
        inside = jnp.ones(saliency.shape, bool)
        if valid is not None and view in valid:
            inside = jnp.broadcast_to(jnp.asarray(valid[view], bool), saliency.shape)
        if present is not None and view in present:
            there = jnp.asarray(present[view], bool)[..., None, None]
            inside = inside & jnp.broadcast_to(there, saliency.shape)
        scores.append(saliency.reshape(*saliency.shape[:-2], -1).astype(jnp.float32))
        usable.append(inside.reshape(scores[-1].shape))
    batches = {view: saliency.shape[:-2] for view, saliency in maps.items()}
    if len(set(batches.values())) != 1:
        raise ValueError(f"views must share their batch axes, got {batches}")
    return jnp.concatenate(scores, axis=-1), jnp.concatenate(usable, axis=-1)


def flat_labels(regions: dict[str, Array]) -> Array:
    """Labels [*b, pixels of all views]."""
    labels = [labels.reshape(*labels.shape[:-2], -1) for labels in regions.values()]
    return jnp.concatenate(labels, axis=-1)


def check_views(maps: dict[str, Array], present: Present, valid: Valid) -> None:
    """Raises `ValueError` where `present` or `valid` name a view that has no map, or are NaN."""
    for name, given in (("present", present), ("valid", valid)):
        unknown = sorted(set(given or {}) - set(maps))
        if unknown:
            raise ValueError(f"{name} names views {few(unknown)}, maps hold {few(maps)}")
    check_masks("present", present)
