"""From frames, labels and a bank of donors to what the engine of players runs on."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from iss_jax import fills
from iss_jax.background import Background, Groups, draw_donors, require_donors
from iss_jax.effects_config import EffectsConfig
from iss_jax.pi05.observation import padded_extent
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
    rows, columns = padded_extent(h, w, height, width)
    inner_h, inner_w = rows.stop - rows.start, columns.stop - columns.start
    from_rows = ((np.arange(inner_h) + 0.5) * h / inner_h).astype(np.int64)
    from_columns = ((np.arange(inner_w) + 0.5) * w / inner_w).astype(np.int64)
    inner = labels[..., from_rows[:, None], from_columns[None]]
    whole = jnp.full((*labels.shape[:-2], height, width), outside, labels.dtype)
    return whole.at[..., rows, columns].set(inner)


def drawn(
    key: Key[Array, ""] | Key[Array, " b"],
    background: Background | None,
    groups: Groups | None,
    batch: int,
    config: EffectsConfig,
) -> Int[Array, "b draws"] | None:
    """The donors of each frame's draws; None where the fill needs none.

    Raises:
        ValueError: A fill or a tint without a bank, or a frame that may draw none of it.
    """
    if not (fills.needs_donors(config.fill) or config.tint):
        return None
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
    return draw_donors(key, allowed, config.draws)


def make_scene(
    frames: dict[str, Float[Array, "b h w 3"]],
    labels: Mapping[str, Int[Array, "b h w"]],
    valid: dict[str, Bool[Array, "b h w"]],
    bank: Mapping[str, Float[Array, "r h w 3"]] | None,
    donors: Int[Array, "b draws"] | None,
    config: EffectsConfig,
    *,
    regions: Mapping[str, Int[Array, "b h w"]] | None = None,
    bank_regions: Mapping[str, Int[Array, "r h w"]] | None = None,
) -> Scene:
    """The scene of a batch: players within the picture, and each draw's donor.

    With `like_for_like` a pixel's donor is the draw's own where its label is the frame's there,
    else the next of the frame's draws whose label is, else the frame itself.

    Args:
        frames: As the policy takes them.
        labels: Players at the frames' size.
        valid: Pixels that are picture, of views that are there.
        bank: Donors at the frames' size.
        donors: Which of them each draw takes.
        config: Static options.
        regions: Region labels of the frames.
        bank_regions: Those of the donors.

    Raises:
        ValueError: `like_for_like` without labels of frames or donors.
    """
    labels = {view: jnp.where(valid[view], labels[view], -1) for view in frames}
    if bank is None or donors is None:
        chosen = {
            view: jnp.broadcast_to(frame[:, None], (frame.shape[0], config.draws, *frame.shape[1:]))
            for view, frame in frames.items()
        }
    elif not config.like_for_like:
        chosen = {view: bank[view][donors] for view in frames}
    else:
        if regions is None or bank_regions is None:
            raise ValueError(
                "like_for_like needs region labels of the frames (regions=) and of the donors "
                "(background.regions)"
            )
        chosen = {
            view: _alike(frames[view], regions[view], donors, bank[view], bank_regions[view])
            for view in frames
        }
    return Scene(frames, labels, valid, chosen)


def _alike(
    frames: Array, regions: Array, donors: Array, bank: Array, bank_regions: Array
) -> Float[Array, "b draws h w 3"]:
    """Each draw's donor, pixels of another region taken from the draws after it."""
    draws = donors.shape[-1]

    def of_frame(args: tuple[Array, Array, Array]) -> Array:
        frame, own, chosen = args
        images, labels = bank[chosen], bank_regions[chosen]

        def of_draw(draw: Array) -> Array:
            order = (draw + jnp.arange(draws)) % draws
            like = labels[order] == own[None]
            first = jnp.argmax(like, 0)
            found = jnp.take_along_axis(images[order], first[None, ..., None], axis=0)[0]
            return jnp.where(like.any(0)[..., None], found, frame)

        return jax.lax.map(of_draw, jnp.arange(draws))

    return jax.lax.map(of_frame, (frames, regions, donors))
