"""How a constructed policy reads a cue off the frames: one number in [0, 1] a frame.

Opaque cues (panels, patches, textures, borders) are read wherever any part shows: a quarter of the
cue's pixels in any one view is enough. Light (tint, shadow) is read off averages over whole areas.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from experiments.causes import cues

# Largest difference of a channel (black to white is 2) at which a pixel shows a colour.
TOLERANCE = 0.3
# Share of a cue's pixels that has to be seen.
PART = 0.25


class Template(NamedTuple):
    """Reads opaque cues: p places, each with what is looked for there.

    Attributes:
        wanted: Pixels of the value that is looked for.
        other: Pixels that speak against it, where they can be told; else out of any range.
        where: Where to look.
        weights: What each place stands for.
    """

    wanted: Float[Array, "p v h w 3"]
    other: Float[Array, "p v h w 3"]
    where: Bool[Array, "p v h w"]
    weights: Float[Array, " p"]


class Light(NamedTuple):
    """Reads the logarithm of two weighted means' ratio.

    Attributes:
        over: Weights of the numerator.
        under: Weights of the denominator.
        none: The logarithm that stands for 0.
        full: The one that stands for 1.
    """

    over: Float[Array, "v h w 3"]
    under: Float[Array, "v h w 3"]
    none: Float[Array, ""]
    full: Float[Array, ""]


Reader = Template | Light


@jax.jit
def read(reader: Reader, frames: Float[Array, "n v h w 3"]) -> Float[Array, " n"]:
    """The reading of each frame, in [0, 1].

    Args:
        reader: Of one cue.
        frames: All views, in [-1, 1].
    """
    return jax.lax.map(partial(_one, reader), frames)


def _one(reader: Reader, frame: Array) -> Array:
    if isinstance(reader, Light):
        found = log_ratio(reader.over, reader.under, frame)
        return jnp.clip((found - reader.none) / (reader.full - reader.none), 0.0, 1.0)

    def near(pixels: Array) -> Array:
        return (jnp.abs(frame[None] - pixels).max(-1) < TOLERANCE) & reader.where

    votes = near(reader.wanted).astype(jnp.float32) - near(reader.other).astype(jnp.float32)
    seen = votes.sum((-2, -1)) / jnp.maximum(reader.where.sum((-2, -1)), 1).astype(jnp.float32)
    strength = jnp.clip(seen.max(-1) / PART, 0.0, 1.0)
    return (strength * reader.weights).sum() / jnp.maximum(strength.sum(), 1.0)


def log_ratio(over: Array, under: Array, frame: Float[Array, "v h w 3"]) -> Float[Array, ""]:
    """log(mean under `over` / mean under `under`) of the light, black being none."""
    light = (frame + 1.0) / 2.0
    means = [(light * weight).sum() / weight.sum() + 1e-3 for weight in (over, under)]
    return jnp.log(means[0] / means[1])


def reader_of(cue: cues.Cue, images: cues.Images, views: tuple[str, ...]) -> Reader:
    """What reads a cue off frames that are painted like this one.

    Args:
        cue: The cue.
        images: The frame without this cue, with all others.
        views: Order of the views.
    """
    first = images[views[0]]
    shape = first.shape[:2]
    if cue.kind == "tint":
        over, under = (
            np.broadcast_to(np.eye(3)[c], (len(views), *shape, 3)).astype(np.float32)
            for c in (0, 2)
        )
        ends = [cue.paint(images, value) for value in (cue.values - 1, 0)]
        return _light(over, under, ends, views)
    if cue.kind == "shadow":
        (view,) = cue.where
        half = np.zeros((len(views), *shape, 3), np.float32)
        half[views.index(view)] = cue.where[view][..., None]
        whole = np.zeros_like(half)
        whole[views.index(view)] = 1.0
        ends = [cue.paint(images, value) for value in (cue.values - 1, 0)]
        return _light(whole - half, half, ends, views)
    slots = range(cue.values) if cue.kind == "patch_position" else (0,)
    black = {view: np.zeros_like(image) for view, image in images.items()}
    white = {view: np.full_like(image, 255) for view, image in images.items()}
    wanted, other, where = [], [], []
    for value in slots:
        on_black, on_white = (stacked(cue.paint(base, value), views) for base in (black, white))
        inside = np.all(on_black == on_white, axis=-1)
        wanted.append(on_black)
        other.append(_opposite(cue.kind, on_black))
        where.append(inside)
    weights = cues.SLOT_WEIGHTS if cue.kind == "patch_position" else (1.0,)
    return Template(
        jnp.asarray(np.stack(wanted), jnp.float32),
        jnp.asarray(np.stack(other), jnp.float32),
        jnp.asarray(np.stack(where)),
        jnp.asarray(weights, jnp.float32),
    )


def stacked(images: cues.Images, views: tuple[str, ...]) -> Float[np.ndarray, "v h w 3"]:
    """The views of one frame as the policy takes them, in [-1, 1]."""
    pixels = np.stack([images[view] for view in views]).astype(np.float32)
    return pixels / np.float32(127.5) - np.float32(1.0)


def _opposite(kind: str, wanted: np.ndarray) -> np.ndarray:
    """The other one of two tones, so that another pattern of them speaks against the wanted one."""
    pairs = {"texture": cues.TONES, "patch_presence": cues.CHECKER, "patch_position": cues.CHECKER}
    if kind not in pairs:
        return np.full_like(wanted, 9.0)
    a, b = pairs[kind].astype(np.float32) / np.float32(127.5) - np.float32(1.0)
    is_a = np.abs(wanted - a).max(-1, keepdims=True) < np.abs(wanted - b).max(-1, keepdims=True)
    return np.where(is_a, b, a).astype(np.float32)


def _light(
    over: np.ndarray, under: np.ndarray, ends: list[cues.Images], views: tuple[str, ...]
) -> Light:
    none, full = (
        log_ratio(jnp.asarray(over), jnp.asarray(under), jnp.asarray(stacked(one, views)))
        for one in ends
    )
    return Light(jnp.asarray(over), jnp.asarray(under), none, full)
