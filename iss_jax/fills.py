"""Fills: what stands in the pixels of a player that is taken away.

A fill is a function of one frame of every view. It returns a function that is called for every run
with the pixels that are to go and the draw's donor, and gives what stands there instead:

    def fill(frames, valid):                    # {view: [h, w, 3]}, {view: bool [h, w]}
        def instead(removed, donor):            # {view: bool [h, w]}, {view: [h, w, 3]}
            return donor                        # {view: [h, w, 3]}
        return instead

Only the pixels in `removed` are taken from what it returns. It is called under `jit`.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from iss_jax import interventions

Frames = dict[str, Float[Array, "h w 3"]]
Pixels = dict[str, Bool[Array, "h w"]]
Instead = Callable[[Pixels, Frames], Frames]
Fill = Callable[[Frames, Pixels], Instead]

# As wide as a frame: no colour of a player is left in its place.
WIDE_SIGMA = 224.0


def background(frames: Frames, valid: Pixels) -> Instead:
    """The same pixels of a donor: a frame of another episode (SHAP's background distribution)."""
    del frames, valid
    return lambda removed, donor: donor


@dataclasses.dataclass(frozen=True)
class Blur:
    """The frame's own blur.

    Attributes:
        sigma: In pixels of a frame 224 high. The paper's is 10, which leaves a player's colour
            where it was; the default leaves none.
    """

    sigma: float = WIDE_SIGMA

    def __post_init__(self) -> None:
        if not 0.0 < self.sigma < float("inf"):
            raise ValueError(f"Blur.sigma must be positive (pixels), got {self.sigma}")

    def __call__(self, frames: Frames, valid: Pixels) -> Instead:
        """See `iss_jax.fills`."""
        blurred = {
            view: interventions.blur(frame, sigma=self.sigma, valid=valid[view])
            for view, frame in frames.items()
        }
        return lambda removed, donor: blurred


def mean(frames: Frames, valid: Pixels) -> Instead:
    """The mean colour of each view's picture."""
    colours = {}
    for view, frame in frames.items():
        inside = valid[view][..., None]
        count = jnp.maximum(inside.sum((0, 1)), 1)
        colour = jnp.where(inside, frame, 0.0).sum((0, 1)) / count
        colours[view] = jnp.broadcast_to(colour, frame.shape)
    return lambda removed, donor: colours


def inpaint(frames: Frames, valid: Pixels) -> Instead:
    """What OpenCV-like diffusion of the surroundings puts there: scikit-image's biharmonic fill.

    It runs on the host, one set of pixels after another: for screens of few frames, not for
    training steps.

    Raises:
        ModuleNotFoundError: scikit-image is missing; the message names the extra.
    """
    del valid

    def instead(removed: Pixels, donor: Frames) -> Frames:
        del donor
        return {
            view: jax.pure_callback(
                _inpainted,
                jax.ShapeDtypeStruct(frame.shape, jnp.float32),
                frame,
                removed[view],
                vmap_method="sequential",
            )
            for view, frame in frames.items()
        }

    return instead


def _inpainted(frame: np.ndarray, removed: np.ndarray) -> np.ndarray:
    from iss_jax.extras import imports_of

    with imports_of("segments"):
        from skimage.restoration import inpaint_biharmonic
    removed = np.asarray(removed)
    if removed.all() or not removed.any():
        return np.broadcast_to(np.asarray(frame).mean((0, 1)), frame.shape).astype(np.float32)
    pixels = np.asarray(frame, np.float64)
    found = inpaint_biharmonic(pixels, removed, channel_axis=-1)
    return np.clip(found, pixels.min(), pixels.max()).astype(np.float32)


FILLS: dict[str, Fill] = {
    "background": background,
    "blur": Blur(),
    "mean": mean,
    "inpaint": inpaint,
}
"""Fill by its name."""


def named(fill: str | Fill) -> Fill:
    """The fill of a name, or the function itself.

    >>> named("mean") is mean, named(Blur(10.0)).sigma
    (True, 10.0)

    Raises:
        ValueError: No fill has that name.
    """
    if callable(fill):
        return fill
    if fill not in FILLS:
        raise ValueError(f"fill must be one of {tuple(FILLS)} or a function, got {fill!r}")
    return FILLS[fill]


def needs_donors(fill: str | Fill) -> bool:
    """Whether a fill looks at donors; a function of one's own is taken to."""
    return named(fill) not in (mean, inpaint) and not isinstance(named(fill), Blur)


def tinted(frames: Frames, donor: Frames, valid: Pixels) -> Frames:
    """The frames under the donor's tint: each view's channels scaled to the donor's means.

    Pixels are taken to be in [-1, 1], black to white, or in [0, 1] where none is negative; scaled
    ones are cut to that range.

    Args:
        frames: One frame of each view.
        donor: Of the same size.
        valid: Pixels that are picture.
    """
    low = jnp.where(
        jnp.stack([frame.min() for frame in [*frames.values(), *donor.values()]]).min() < 0,
        -1.0,
        0.0,
    )

    def mean_of(frame: Array, inside: Array) -> Array:
        light = jnp.where(inside[..., None], frame - low, 0.0)
        return light.sum((0, 1)) / jnp.maximum(inside.sum(), 1)

    changed = {}
    for view, frame in frames.items():
        own, other = (mean_of(f, valid[view]) for f in (frame, donor[view]))
        gain = other / jnp.maximum(own, 1e-3)
        # Light as a whole is the frame's own: a tint is a change between channels.
        gain = gain * own.mean() / jnp.maximum(other.mean(), 1e-3)
        changed[view] = jnp.clip((frame - low) * gain + low, low, 1.0)
    return changed


__all__ = [
    "FILLS",
    "WIDE_SIGMA",
    "Blur",
    "Fill",
    "background",
    "inpaint",
    "mean",
    "named",
    "needs_donors",
    "tinted",
]
