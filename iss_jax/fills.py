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
from jaxtyping import Array, Bool, Float

from iss_jax import interventions

Frames = dict[str, Float[Array, "h w 3"]]
Pixels = dict[str, Bool[Array, "h w"]]
Instead = Callable[[Pixels, Frames], Frames]
Fill = Callable[[Frames, Pixels], Instead]

SIGMA = "blur of sigma "
# As wide as a frame: no colour of a player is left in its place.
WIDE_SIGMA = 224.0
JACOBI_STEPS = 32


def background(frames: Frames, valid: Pixels) -> Instead:
    """The same pixels of a donor: a frame of another episode (SHAP's background distribution).

    >>> import jax.numpy as jnp
    >>> frame, donor = ({"front": jnp.full((2, 2, 3), x)} for x in (0.0, 1.0))
    >>> gone = {"front": jnp.ones((2, 2), bool)}
    >>> background(frame, gone)(gone, donor) is donor
    True
    """
    del frames, valid
    return lambda removed, donor: donor


@dataclasses.dataclass(frozen=True)
class Blur:
    """The frame's own blur.

    >>> import iss_jax
    >>> iss_jax.EffectsConfig(fill=iss_jax.fills.Blur(10.0)).fill
    Blur(sigma=10.0)

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
    """The mean colour of each view's picture.

    >>> import jax.numpy as jnp
    >>> frame = {"front": jnp.zeros((2, 2, 3)).at[0].set(1.0)}
    >>> everywhere = {"front": jnp.ones((2, 2), bool)}
    >>> mean(frame, everywhere)(everywhere, frame)["front"][0, 0].tolist()
    [0.5, 0.5, 0.5]
    """
    colours = {}
    for view, frame in frames.items():
        colours[view] = jnp.broadcast_to(_mean_colour(frame, valid[view]), frame.shape)
    return lambda removed, donor: colours


def _mean_colour(frame: Array, inside: Array) -> Float[Array, "1 1 3"]:
    total = jnp.where(inside[..., None], frame, 0.0).sum((0, 1), keepdims=True)
    return total / jnp.maximum(inside.sum(), 1).astype(frame.dtype)


def inpaint(frames: Frames, valid: Pixels) -> Instead:
    """What the surroundings continue to: Laplace's equation, solved in the pixels that are gone.

    The smoothest picture that meets what is left. Where nothing of a view is left it is the view's
    mean colour.

    >>> import jax.numpy as jnp
    >>> ramp = {"front": jnp.broadcast_to(jnp.linspace(0, 1, 9)[None, :, None], (9, 9, 3))}
    >>> everywhere, hole = ({"front": jnp.full((9, 9), x)} for x in (True, False))
    >>> hole = {"front": hole["front"].at[3:6, 3:6].set(True)}
    >>> round(float(inpaint(ramp, everywhere)(hole, {})["front"][4, 4, 0]), 2)
    0.5
    """

    def instead(removed: Pixels, donor: Frames) -> Frames:
        del donor
        colours = mean(frames, valid)(removed, frames)
        return {
            view: continued(frame, valid[view] & ~removed[view], colours[view])
            for view, frame in frames.items()
        }

    return instead


def continued(
    frame: Float[Array, "h w 3"], known: Bool[Array, "h w"], otherwise: Float[Array, "h w 3"]
) -> Float[Array, "h w 3"]:
    """The known pixels, and a smooth surface between them.

    Jacobi's steps at half the size first, whose surface starts those at the whole (nested
    iteration): they alone would take as many as a hole is wide, squared.

    >>> import jax.numpy as jnp
    >>> frame, known = jnp.ones((4, 4, 3)), jnp.ones((4, 4), bool).at[1, 1].set(False)
    >>> continued(frame.at[1, 1].set(9.0), known, frame)[1, 1].tolist()
    [1.0, 1.0, 1.0]

    Args:
        frame: A frame.
        known: Its pixels that are left.
        otherwise: What stands there where none is.
    """
    surface = _continued(jnp.where(known[..., None], frame, otherwise), known)
    return jnp.where(known.any(), surface, otherwise)


def _continued(frame: Array, known: Array) -> Array:
    height, width = known.shape
    start = frame
    if min(height, width) > 2:
        odd = ((0, height % 2), (0, width % 2))
        weight = jnp.pad(known.astype(jnp.float32), odd)[..., None]
        colour = jnp.pad(frame, (*odd, (0, 0))) * weight
        quarters = ((height + 1) // 2, 2, (width + 1) // 2, 2, -1)
        weight, colour = (x.reshape(quarters).sum((1, 3)) for x in (weight, colour))
        some = weight > 0
        half = _continued(colour / jnp.maximum(weight, 1.0), some[..., 0])
        whole = (2 * half.shape[0], 2 * half.shape[1], half.shape[2])
        start = jax.image.resize(half, whole, "linear")[:height, :width]

    def step(surface: Array, _: None) -> tuple[Array, None]:
        padded = jnp.pad(surface, ((1, 1), (1, 1), (0, 0)), mode="edge")
        near = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        return jnp.where(known[..., None], frame, near / 4.0), None

    start = jnp.where(known[..., None], frame, start)
    return jax.lax.scan(step, start, None, length=JACOBI_STEPS)[0]


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


def described(fill: str | Fill) -> str:
    """A fill in words, which `of_description` reads back but for functions of one's own.

    >>> described(mean), described(Blur(10.0))
    ('mean', 'blur of sigma 10')
    """
    if isinstance(fill, str):
        return fill
    found = named(fill)
    if isinstance(found, Blur):
        return f"{SIGMA}{found.sigma:g}"
    names = [name for name, function in FILLS.items() if function is found]
    return names[0] if names else getattr(found, "__name__", repr(found))


def of_description(text: str) -> str | Fill:
    """Inverse of `described`.

    >>> of_description("blur of sigma 10") == Blur(10.0)
    True

    Raises:
        ValueError: It is of a function of one's own.
    """
    if text.startswith(SIGMA):
        return Blur(float(text.removeprefix(SIGMA)))
    named(text)
    return text


def needs_donors(fill: str | Fill) -> bool:
    """Whether a fill looks at donors; a function of one's own is taken to.

    >>> needs_donors("background"), needs_donors("blur")
    (True, False)
    """
    return named(fill) not in (mean, inpaint) and not isinstance(named(fill), Blur)


def tinted(frames: Frames, donor: Frames, valid: Pixels) -> Frames:
    """The frames under the donor's tint: each view's channels scaled to the donor's means.

    Light as a whole stays the frame's own. Pixels are taken to be in [-1, 1], black to white; in
    [0, 1] where none is negative; in [0, 255] where one is above 1. Scaled ones are cut to that.

    >>> import jax.numpy as jnp
    >>> grey = {"front": jnp.full((4, 4, 3), 0.5)}
    >>> reddish = {"front": grey["front"] * jnp.array([1.5, 1.0, 0.5])}
    >>> tinted(grey, reddish, {"front": jnp.ones((4, 4), bool)})["front"][0, 0].tolist()
    [0.75, 0.5, 0.25]

    Args:
        frames: One frame of each view.
        donor: Of the same size.
        valid: Pixels that are picture.
    """
    everything = [*frames.values(), *donor.values()]
    low = jnp.where(jnp.stack([frame.min() for frame in everything]).min() < 0, -1.0, 0.0)
    # Resizing may leave a pixel just above white.
    high = jnp.where(jnp.stack([frame.max() for frame in everything]).max() > 1.5, 255.0, 1.0)
    changed = {}
    for view, frame in frames.items():
        own, other = (_mean_colour(f - low, valid[view]) for f in (frame, donor[view]))
        least = 1e-3 * (high - low)
        gain = other / jnp.maximum(own, least)
        gain = gain * own.mean() / jnp.maximum(other.mean(), least)
        changed[view] = jnp.clip((frame - low) * gain + low, low, high)
    return changed


__all__ = [
    "FILLS",
    "WIDE_SIGMA",
    "Blur",
    "Fill",
    "background",
    "continued",
    "described",
    "inpaint",
    "mean",
    "named",
    "needs_donors",
    "of_description",
    "tinted",
]
