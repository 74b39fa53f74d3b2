"""Saliency along an episode: computed every s-th frame, linear in between."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

__all__ = [
    "interpolate",
    "stream",
    "stride_frames",
]

Frame = TypeVar("Frame")


def stride_frames(num_frames: int, stride: int) -> Int[np.ndarray, " frames"]:
    """Frames 0, s, 2s, ... and the last one, at which saliency is computed.

    Algorithm 1 (line 21) interpolates towards the last frame but never computes it; here it is.

    >>> from iss_jax import strides
    >>> strides.stride_frames(8, stride=3).tolist()
    [0, 3, 6, 7]

    Args:
        num_frames: T.
        stride: s.

    Raises:
        ValueError: Fewer than one frame, or a stride below one.
    """
    if num_frames < 1 or stride < 1:
        raise ValueError(f"num_frames and stride must be at least 1, got {num_frames} and {stride}")
    frames = np.arange(0, num_frames, stride)
    last = num_frames - 1
    return frames if frames[-1] == last else np.append(frames, last)


def interpolate(
    values: Float[Array, "frames *shape"], frames: Int[Array, " frames"], num_frames: int
) -> Float[Array, "t *shape"]:
    """Linear interpolation between computed frames (Algorithm 1, lines 18-25).

    >>> import jax.numpy as jnp
    >>> from iss_jax import strides
    >>> strides.interpolate(jnp.array([0.0, 3.0, 4.0]), jnp.array([0, 3, 4]), 5).tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]

    Args:
        values: One value a computed frame; integers are taken as float32.
        frames: Their indices, rising, the first 0 and the last T - 1.
        num_frames: T.

    Raises:
        ValueError: Frames that are not so.
    """
    at = np.asarray(frames)
    if at.shape != (values.shape[0],):
        raise ValueError(f"frames must be [{values.shape[0]}] like the values, got {at.shape}")
    if at[0] != 0 or at[-1] != num_frames - 1 or np.any(np.diff(at) <= 0):
        raise ValueError(f"frames must rise from 0 to {num_frames - 1}, got {at.tolist()}")
    values = jnp.asarray(values)
    if not jnp.issubdtype(values.dtype, jnp.floating):
        values = values.astype(jnp.float32)
    time = np.arange(num_frames)
    before = np.clip(np.searchsorted(at, time, side="right") - 1, 0, max(len(at) - 2, 0))
    after = np.minimum(before + 1, len(at) - 1)
    span = np.maximum(at[after] - at[before], 1)
    alpha = jnp.asarray((time - at[before]) / span, values.dtype)
    alpha = alpha.reshape(-1, *(1,) * (values.ndim - 1))
    # A computed frame is itself, whatever its neighbour is: 0 times NaN is NaN.
    found = (1.0 - alpha) * values[before] + alpha * values[after]
    return jnp.where(alpha == 0, values[before], jnp.where(alpha == 1, values[after], found))


def stream(
    compute: Callable[[Frame], Any], frames: Iterable[Frame], *, stride: int
) -> Iterator[Any]:
    """Yields one result a frame, of a stream whose length need not be known.

    Results are held back until the next computed frame, `stride` of them at most.

    >>> from iss_jax import strides
    >>> [float(value) for value in strides.stream(lambda frame: 10.0 * frame, range(5), stride=2)]
    [0.0, 10.0, 20.0, 30.0, 40.0]

    Args:
        compute: Frame -> saliency, any pytree of floating-point arrays.
        frames: Frames in order.
        stride: s; `compute` is called on frames 0, s, 2s, ... and the last.

    Raises:
        ValueError: A stride below one.
    """
    if stride < 1:
        raise ValueError(f"stride must be at least 1, got {stride}")
    return _stream(compute, frames, stride)


def _stream(compute: Callable[[Frame], Any], frames: Iterable[Frame], stride: int) -> Iterator[Any]:
    previous, waiting = None, []
    for index, frame in enumerate(frames):
        if index % stride:
            # Only the last one may still be computed; the others count.
            waiting = [*([None] * len(waiting)), frame]
            continue
        current = compute(frame)
        if index:
            yield from _between(previous, current, stride)
        yield current
        previous, waiting = current, []
    if waiting:
        current = compute(waiting[-1])
        yield from _between(previous, current, len(waiting))
        yield current


def _between(start: Any, end: Any, steps: int) -> Iterator[Any]:
    for step in range(1, steps):
        alpha = step / steps
        yield jax.tree.map(lambda a, b, alpha=alpha: (1.0 - alpha) * a + alpha * b, start, end)
