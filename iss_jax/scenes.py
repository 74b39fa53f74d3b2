"""From frames, labels and a bank of donors to what the engine of players runs on."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, Shaped

from iss_jax import fills
from iss_jax.background import Background, Groups, draw_donors, require_donors
from iss_jax.effects_config import EffectsConfig
from iss_jax.few import few
from iss_jax.pi05.observation import label_sources
from iss_jax.player_runs import Scene


def fitted_labels(
    labels: Int[Array, "*b h w"], height: int, width: int, outside: int
) -> Int[Array, "*b height width"]:
    """Labels brought to another size as the policy's images are, `outside` in the padding.

    Every pixel takes the label of the source pixel under its centre.
    """
    h, w = labels.shape[-2:]
    if (h, w) == (height, width):
        return labels
    rows, columns, from_rows, from_columns = label_sources(h, w, height, width)
    inner = labels[..., from_rows[:, None], from_columns[None]]
    whole = jnp.full((*labels.shape[:-2], height, width), outside, labels.dtype)
    return whole.at[..., rows, columns].set(inner)


def labels_at_size(
    name: str,
    labels: Mapping[str, Any],
    known: Mapping[str, tuple[int, ...]],
    batch: int,
    size: int,
    outside: int,
) -> dict[str, Int[Array, "b h w"]]:
    """Labels at the model's size, of those at it or at the images'.

    Args:
        name: Of what, for the message.
        labels: View -> labels; [h, w] for a batch of one.
        known: View -> size of its images.
        batch: b.
        size: The model's, pixels.
        outside: Label of the padding.

    Raises:
        ValueError: Unknown views, or a shape that is neither the images' nor the model's.
    """
    unknown = sorted(set(labels) - set(known))
    if unknown:
        raise ValueError(f"{name} name views {few(unknown)}, obs.images hold {few(sorted(known))}")
    found = {}
    for view, own in labels.items():
        own = jnp.asarray(own).astype(jnp.int32)
        if own.ndim == 2 and batch == 1:
            own = own[None]
        if own.shape not in ((batch, *known[view]), (batch, size, size)):
            raise ValueError(
                f"{name} of {view!r} must be {[batch, *known[view]]} like its images or "
                f"{[batch, size, size]} like the model's, got {list(own.shape)}"
            )
        found[view] = (
            own if own.shape[1:] == (size, size) else fitted_labels(own, size, size, outside)
        )
    return found


def drawn(
    keys: Key[Array, " b"],
    background: Background | None,
    groups: Groups | None,
    batch: int,
    config: EffectsConfig,
) -> tuple[Int[Array, "b draws"] | None, Bool[Array, " b"]]:
    """The donors of each frame's draws, None where the fill needs none; and frames that have some.

    Raises:
        ValueError: A fill or a tint without a bank, or a frame that may draw none of it.
    """
    if not (fills.needs_donors(config.fill) or config.tint):
        return None, jnp.ones(batch, bool)
    if background is None:
        raise ValueError(
            f"fill {config.fill!r} needs a background, got none: give donor frames, or "
            "fill='blur' or 'mean'"
        )
    allowed = jnp.ones((batch, len(background)), bool)
    if groups is not None:
        for name, own in groups._asdict().items():
            if np.shape(own) != (batch,):
                raise ValueError(f"groups.{name} must be [{batch}], got {list(np.shape(own))}")
        allowed = background.allowed(groups)
    require_donors(allowed)
    return draw_donors(keys, allowed, config.draws), allowed.any(-1)


def donor_frames(
    background: Background | None, donors: Int[Array, "b draws"] | None, views: tuple[str, ...]
) -> tuple[
    dict[str, Shaped[Array, "b draws h w 3"]] | None, dict[str, Int[Array, "b draws h w"]] | None
]:
    """Each draw's donor and its region labels, where they are known.

    Args:
        background: A bank of the views.
        donors: Which of them each draw takes.
        views: Those that are wanted.
    """
    if background is None or donors is None:
        return None, None
    images = {view: jnp.asarray(background.images[view])[donors] for view in views}
    if background.regions is None:
        return images, None
    return images, {
        view: jnp.asarray(labels).astype(jnp.int32)[donors]
        for view, labels in background.regions.items()
        if view in views
    }


def make_scene(
    frames: dict[str, Float[Array, "b h w 3"]],
    labels: Mapping[str, Int[Array, "b h w"]],
    valid: dict[str, Bool[Array, "b h w"]],
    donors: Mapping[str, Float[Array, "b draws h w 3"]] | None,
    config: EffectsConfig,
    *,
    regions: Mapping[str, Int[Array, "b h w"]] | None = None,
    donor_regions: Mapping[str, Int[Array, "b draws h w"]] | None = None,
) -> Scene:
    """The scene of a batch: players within the picture, and each draw's donor.

    With `like_for_like` a pixel's donor is the draw's own where its label is the frame's there,
    else the next of the frame's draws whose label is, else the frame itself.

    Args:
        frames: As the policy takes them.
        labels: Players at the frames' size.
        valid: Pixels that are picture, of views that are there.
        donors: Each draw's, at the frames' size.
        config: Static options.
        regions: Region labels of the frames.
        donor_regions: Those of the donors.

    Raises:
        ValueError: `like_for_like` without labels of frames or donors.
    """
    labels = {
        view: jnp.where(valid[view] & (labels[view] >= 0), labels[view], -1) for view in frames
    }
    if donors is None:
        donors = {
            view: jnp.broadcast_to(frame[:, None], (frame.shape[0], config.draws, *frame.shape[1:]))
            for view, frame in frames.items()
        }
    elif config.like_for_like:
        missing = {
            name: sorted(set(frames) - set(given or {}))
            for name, given in (("regions", regions), ("background.regions", donor_regions))
        }
        if any(missing.values()):
            raise ValueError(
                "like_for_like needs region labels of every view, of the frames and of the donors; "
                f"there are none of {missing}"
            )
        assert regions is not None and donor_regions is not None
        donors = {
            view: _alike(frames[view], regions[view], donors[view], donor_regions[view])
            for view in frames
        }
    return Scene(frames, labels, valid, {view: donors[view] for view in frames})


def _alike(
    frames: Array, regions: Array, donors: Array, donor_regions: Array
) -> Float[Array, "b draws h w 3"]:
    """Each draw's donor, pixels of another region taken from the draws after it."""
    draws = donors.shape[1]

    def of_frame(args: tuple[Array, Array, Array, Array]) -> Array:
        frame, own, images, labels = args

        def of_draw(draw: Array) -> Array:
            order = (draw + jnp.arange(draws)) % draws
            like = labels[order] == own[None]
            first = jnp.argmax(like, 0)
            found = jnp.take_along_axis(images[order], first[None, ..., None], axis=0)[0]
            return jnp.where(like.any(0)[..., None], found, frame)

        return jax.lax.map(of_draw, jnp.arange(draws))

    return jax.lax.map(of_frame, (frames, regions, donors, donor_regions))
