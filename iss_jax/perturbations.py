"""Perturbed camera frames: noise, texture, warp, patches (App. F, Eq. 19 to 22).

Each perturbation changes pixels inside a region and no others: a pixel outside it, and every pixel
at strength 0, is what it was to the bit. Frames are uint8, or floating point in [-1, 1] as openpi's
`Observation` holds them; they come back in the same dtype, uint8 rounded to the nearest. Quantities
that the paper gives in grey levels or as a share of the value range hold for both.

Lengths are in pixels of a frame 224 high and scale with the frame's height, as the blur of ISS
does: at 80 pixels a shift of 25 is one of 8.9.

One key draws everything for a batch, every frame its own; a key's random field does not depend on
the strength, so that a sweep over strengths turns up one perturbation rather than drawing others.
"""

from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Bool, Float, Key, Shaped

from iss_jax.few import few
from iss_jax.interventions import REFERENCE_HEIGHT, blend, blur
from iss_jax.masks import sample_masks, upsample

__all__ = [
    "PERTURBATIONS",
    "geometric",
    "noise",
    "patch",
    "perturb_views",
    "texture",
]

Frames = Shaped[Array, "*b h w c"]
Region = Bool[Array, "*b h w"] | None
Strength = float | Float[Array, ""] | Float[Array, "*b"]

NORMALIZATIONS = ("max", "std")


def noise(
    key: Key[Array, ""],
    images: Frames,
    region: Region = None,
    *,
    strength: Strength = 1.0,
    sigma: float = 0.25,
) -> Frames:
    """Gaussian noise, clipped to the value range (Eq. 19): clip(V + λ ε).

    ε is `jax.random.normal(key, images.shape)` times sigma, independent in every channel.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from iss_jax import perturbations
    >>> frame = jnp.full((8, 8, 3), 100, jnp.uint8)
    >>> top = jnp.zeros((8, 8), bool).at[:4].set(True)
    >>> found = perturbations.noise(jax.random.key(0), frame, top)
    >>> found.dtype, bool((found[:4] != frame[:4]).any()), bool((found[4:] == frame[4:]).all())
    (dtype('uint8'), True, True)

    Args:
        key: Key of ε.
        images: Frames, uint8 or in [-1, 1].
        region: Pixels that may change; all when None.
        strength: λ in [0, 1], one for all frames or one for each. Eq. 19 has none: it is 1.
        sigma: Standard deviation as a share of the value range. The paper writes N(0, 0.25) and
            says that 0.25 is the standard deviation; were it the variance, sigma would be 0.5.

    Raises:
        ValueError: A dtype, shape or option that does not fit, by name.
    """
    frames, low, high, level = _prepared(images, region, strength)
    _positive("sigma", sigma)
    draw = jax.random.normal(key, images.shape, jnp.float32)
    changed = jnp.clip(frames + level * (sigma * (high - low) * draw), low, high)
    return _inside(images, changed, region, level)


def texture(
    key: Key[Array, ""],
    images: Frames,
    region: Region = None,
    *,
    strength: Strength = 1.0,
    alpha: float = 60.0,
    octaves: int = 4,
    sigma: float = 1.5,
    amplitude: float = 0.5,
    normalize_octaves: bool = False,
    per_channel: bool = False,
) -> Frames:
    """Fractional Brownian motion added to the frame (Eq. 20): clip(V + λ α F / std(F)).

    F is the sum over octaves k = 0, 1, ... of amplitude^k times white noise smoothed by a Gaussian
    of sigma · 2^k pixels; its standard deviation is that over the whole frame. The white noise is
    `jax.random.normal(key, [octaves, *b, h, w, channels])`, with one channel unless `per_channel`.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from iss_jax import perturbations
    >>> frame = jnp.full((8, 8, 3), 100, jnp.uint8)
    >>> top = jnp.zeros((8, 8), bool).at[:4].set(True)
    >>> found = perturbations.texture(jax.random.key(0), frame, top)
    >>> found.dtype, bool((found[:4] != frame[:4]).any()), bool((found[4:] == frame[4:]).all())
    (dtype('uint8'), True, True)

    Args:
        key: Key of the white noise.
        images: Frames, uint8 or in [-1, 1].
        region: Pixels that may change; all when None.
        strength: λ in [0, 1], one for all frames or one for each.
        alpha: α, standard deviation of the texture in grey levels of 255.
        octaves: How many.
        sigma: Smoothing of the finest octave, in pixels of a frame 224 high.
        amplitude: Weight of an octave against the next finer one.
        normalize_octaves: Bring each octave to standard deviation 1 before it is weighted, as fBM
            usually is. By the paper's words only the sum is normalised; smoothing by twice the
            width halves the standard deviation, so that octaves then weigh 1, 1/4, 1/16, 1/64.
        per_channel: A field for each colour channel. The paper does not say; one field for all
            changes brightness and keeps the hue.

    Raises:
        ValueError: A dtype, shape or option that does not fit, by name.
    """
    frames, low, high, level = _prepared(images, region, strength)
    for name, value in (("alpha", alpha), ("sigma", sigma), ("amplitude", amplitude)):
        _positive(name, value)
    if octaves < 1:
        raise ValueError(f"octaves must be at least 1, got {octaves}")
    channels = images.shape[-1] if per_channel else 1
    white = jax.random.normal(key, (octaves, *images.shape[:-1], channels), jnp.float32)
    field = jnp.zeros(white.shape[1:], jnp.float32)
    for k in range(octaves):
        smooth = blur(white[k], sigma=sigma * 2.0**k)
        field = field + amplitude**k * (_unit(smooth) if normalize_octaves else smooth)
    step = alpha / 255.0 * (high - low)
    changed = jnp.clip(frames + level * (step * _unit(field)), low, high)
    return _inside(images, changed, region, level)


def geometric(
    key: Key[Array, ""],
    images: Frames,
    region: Region = None,
    *,
    strength: Strength = 1.0,
    beta: float = 25.0,
    sigma: float = 10.0,
    normalize: str = "max",
) -> Frames:
    """Elastic warp (Eq. 21): V(p + λ β δ(p)), bilinear, the frame mirrored at its borders.

    δ is white noise smoothed by a Gaussian and normalised. The white noise is
    `jax.random.normal(key, [*b, h, w, 2])`, rows first. Borders are mirrored without repeating the
    edge pixel, as in the blur.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from iss_jax import perturbations
    >>> frame = jnp.linspace(-1.0, 1.0, 14 * 14 * 3).reshape(14, 14, 3)
    >>> found = perturbations.geometric(jax.random.key(0), frame, strength=0.5)
    >>> found.shape, bool((found != frame).any())
    ((14, 14, 3), True)

    Args:
        key: Key of the displacements.
        images: Frames, uint8 or in [-1, 1].
        region: Pixels that may change; all when None. They may show what lies outside it.
        strength: λ in [0, 1], one for all frames or one for each.
        beta: β, largest shift in pixels of a frame 224 high.
        sigma: Smoothing of the displacements, in pixels of a frame 224 high.
        normalize: `max` makes β the length of the frame's longest displacement, which is how the
            paper calls it ("maximum pixel shift"); `std` makes it the standard deviation of each
            component.

    Raises:
        ValueError: A dtype, shape or option that does not fit, by name.
    """
    frames, _, _, level = _prepared(images, region, strength)
    for name, value in (("beta", beta), ("sigma", sigma)):
        _positive(name, value)
    if normalize not in NORMALIZATIONS:
        raise ValueError(f"normalize must be one of {NORMALIZATIONS}, got {normalize!r}")
    *batch, height, width, channels = images.shape
    shift = blur(jax.random.normal(key, (*batch, height, width, 2), jnp.float32), sigma=sigma)
    if normalize == "max":
        length = jnp.linalg.norm(shift, axis=-1, keepdims=True)
        shift = shift / length.max(axis=(-3, -2), keepdims=True)
    else:
        shift = shift / shift.std(axis=(-3, -2), keepdims=True)
    shift = level * (beta * height / REFERENCE_HEIGHT * shift)

    def warp(frame: Float[Array, "h w c"], shift: Float[Array, "h w 2"]) -> Array:
        rows = jnp.arange(height, dtype=jnp.float32)[:, None] + shift[..., 0]
        columns = jnp.arange(width, dtype=jnp.float32)[None, :] + shift[..., 1]
        one = partial(map_coordinates, coordinates=[rows, columns], order=1, mode="mirror")
        return jax.vmap(one, in_axes=-1, out_axes=-1)(frame)

    flat = frames.reshape(-1, height, width, channels), shift.reshape(-1, height, width, 2)
    changed = jax.vmap(warp)(*flat).reshape(images.shape)
    return _inside(images, changed, region, level)


def patch(
    key: Key[Array, ""],
    images: Frames,
    region: Region = None,
    *,
    strength: Strength = 1.0,
    keep_prob: float = 0.3,
    grid: tuple[int, int] = (7, 7),
    blur_sigma: float = 10.0,
) -> Frames:
    """Random cells fade into the blurred frame (Eq. 22): V m + blur(V) (1 - m).

    m is ISS's own i.i.d. mask, `iss_jax.masks.sample_masks(key, frames, 1, design="bernoulli")`.
    Eq. 22 has no strength: it is 1. Below that, cells fade in part, 1 - λ (1 - m) in place of m.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from iss_jax import perturbations
    >>> frame = jnp.linspace(-1.0, 1.0, 14 * 14 * 3).reshape(14, 14, 3)
    >>> found = perturbations.patch(jax.random.key(0), frame)
    >>> found.shape, bool((found != frame).any())
    ((14, 14, 3), True)

    Args:
        key: Key of the masks.
        images: Frames, uint8 or in [-1, 1].
        region: Pixels that may change; all when None. The blur is that of the whole frame.
        strength: λ in [0, 1], one for all frames or one for each.
        keep_prob: p, the probability that a cell stays.
        grid: Cells, (rows, columns).
        blur_sigma: Blur in pixels of a frame 224 high.

    Raises:
        ValueError: A dtype, shape or option that does not fit, by name.
    """
    frames, _, _, level = _prepared(images, region, strength)
    _positive("blur_sigma", blur_sigma)
    *batch, height, width, _ = images.shape
    bits = sample_masks(
        key, int(np.prod(batch)), 1, grid=grid, keep_prob=keep_prob, design="bernoulli"
    )
    keep = upsample(bits[:, 0].astype(jnp.float32), (height, width))
    keep = 1.0 - level[..., 0] * (1.0 - keep.reshape(*batch, height, width))
    return _inside(images, blend(frames, blur(frames, sigma=blur_sigma), keep), region, level)


PERTURBATIONS: dict[str, Callable[..., Frames]] = {
    "noise": noise,
    "texture": texture,
    "geometric": geometric,
    "patch": patch,
}
"""The four by name, in the order of the paper's Figure 6."""


def perturb_views(
    name: str,
    key: Key[Array, ""],
    images: Mapping[str, Frames],
    regions: Mapping[str, Bool[Array, "*b h w"]] | None = None,
    *,
    strength: Strength = 1.0,
) -> dict[str, Frames]:
    """One perturbation of every camera's frames, with independent draws.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from iss_jax import perturbations
    >>> frames = {camera: jnp.full((8, 8, 3), 100, jnp.uint8) for camera in ("front", "wrist")}
    >>> found = perturbations.perturb_views("noise", jax.random.key(0), frames)
    >>> bool((found["front"] != found["wrist"]).any())
    True

    Args:
        name: One of `PERTURBATIONS`.
        key: Split over the cameras in sorted order.
        images: Camera -> frames.
        regions: Camera -> pixels that may change; all when None.
        strength: λ, as for each perturbation.

    Raises:
        ValueError: An unknown perturbation, or a camera without a region.
    """
    if name not in PERTURBATIONS:
        raise ValueError(f"perturbation must be one of {tuple(PERTURBATIONS)}, got {name!r}")
    missing = [] if regions is None else sorted(set(images) - set(regions))
    if missing:
        raise ValueError(
            f"regions: lacks the cameras {few(missing)}, images hold {few(sorted(images))}"
        )
    cameras = sorted(images)
    keys = dict(zip(cameras, jax.random.split(key, len(cameras)), strict=True))
    return {
        camera: PERTURBATIONS[name](
            keys[camera],
            images[camera],
            None if regions is None else regions[camera],
            strength=strength,
        )
        for camera in images
    }


def _prepared(
    images: Frames, region: Region, strength: Strength
) -> tuple[Float[Array, "*b h w c"], float, float, Float[Array, "*b 1 1 1"]]:
    """The frames in float32, the ends of their value range, and each one's strength."""
    if images.ndim < 3 or min(images.shape) < 1:
        raise ValueError(f"images must be [*b, h, w, c], got {list(images.shape)}")
    if images.dtype == jnp.uint8:
        low, high = 0.0, 255.0
    elif jnp.issubdtype(images.dtype, jnp.floating):
        low, high = -1.0, 1.0
    else:
        raise ValueError(f"images must be uint8 or floating in [-1, 1], got {images.dtype}")
    if region is not None and (region.dtype != jnp.bool_ or region.shape != images.shape[:-1]):
        raise ValueError(
            f"region must be bool {list(images.shape[:-1])} like its images, got {region.dtype} "
            f"{list(region.shape)}"
        )
    level = jnp.asarray(strength, jnp.float32)
    batch = images.shape[:-3]
    if level.ndim and level.shape != batch:
        raise ValueError(
            f"strength must be a number, or one a frame {list(batch)}; got {list(level.shape)}"
        )
    if not isinstance(level, Tracer):
        values = np.asarray(level)
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"strength must lie in [0, 1], got {strength}")
    level = jnp.broadcast_to(level, batch)[..., None, None, None]
    return jnp.asarray(images).astype(jnp.float32), low, high, level


def _inside(
    images: Frames,
    changed: Float[Array, "*b h w c"],
    region: Region,
    level: Float[Array, "*b 1 1 1"],
) -> Frames:
    """The changed frames inside the region, the given ones elsewhere and at strength 0."""
    if images.dtype == jnp.uint8:
        changed = jnp.clip(jnp.round(changed), 0.0, 255.0)
    where = level > 0 if region is None else (level > 0) & jnp.asarray(region)[..., None]
    return jnp.where(where, changed.astype(images.dtype), images)


def _unit(field: Float[Array, "*b h w c"]) -> Float[Array, "*b h w c"]:
    """Divided by its standard deviation over the frame; a field without any stays as it is."""
    deviation = field.std(axis=(-3, -2), keepdims=True)
    return field / jnp.where(deviation > 0, deviation, 1.0)


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be positive, got {value}")
