"""What runs say of a frame's contrasts, as weighted least squares whose minimum they have in mean.

Two losses of predicted contrasts c, given a frame's runs of masks m (d = 1 - m, dropped with q):

- `plain`, of the effects alone: sum over runs of (delta - mean - (d - q) c)^2. Drop bits are
  independent, so in expectation it is least at the exact contrasts (FastSHAP's argument: Jethani et
  al. 2022), however few runs a frame has.
- `gradient`: sum over runs and cells of w (c + g)^2, g the derivative with respect to the mask and
  w = 1 / 2p where the cell is kept, 1 / 2q where it is dropped: least at the trapezoid of
  `iss_jax.gradient_estimators`. With clipping, runs' gradients are shortened to the median length
  of the frame's other runs: less variance, and the bias of `clipped`.

Frames differ by orders of magnitude in scale, so each run counts by the mean square of the *other*
runs' gradients. A run's weight does not depend on itself: the minimum stays where it is.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


class Targets(NamedTuple):
    """Of s samples (frames under one variation) with n runs each, cells flattened.

    Attributes:
        wanted: Weighted mean of the runs' contrasts by gradients.
        weight: Its weights.
        drops: Drop bits less q, times the root of the run's weight.
        rest: Effects less the mean of the other runs', likewise.
        scale: Root mean square of the gradients, of all runs of a sample.
    """

    wanted: Float[np.ndarray, "s cells"]
    weight: Float[np.ndarray, "s cells"]
    drops: Float[np.ndarray, "s n cells"]
    rest: Float[np.ndarray, "s n"]
    scale: Float[np.ndarray, " s"]


def targets(
    masks: Bool[np.ndarray, "s n cells"],
    effects: Float[np.ndarray, "s n"],
    gradients: Float[np.ndarray, "s n cells"],
    *,
    keep_prob: float,
    clip: bool,
) -> Targets:
    """Both losses of every sample.

    Args:
        masks: Keep bits, two runs a sample at least.
        effects: Of each.
        gradients: Of each, with respect to its mask.
        keep_prob: p.
        clip: Whether gradients are shortened.
    """
    runs = masks.shape[1]
    lengths = np.sqrt(np.square(gradients).sum(-1))
    without = np.stack(
        [np.delete(lengths, run, axis=1) for run in range(runs)], axis=1
    )  # [s, n, n - 1]
    if clip:
        short = np.minimum(1.0, np.median(without, -1) / np.maximum(lengths, 1e-30))
        gradients = gradients * short[..., None]
        without = np.minimum(without, np.median(without, -1, keepdims=True))
    square = np.square(without).mean(-1) / masks.shape[-1]
    # Beside a floor, far below what moves an action, so that a frame without any effect counts.
    count = 1.0 / (square + 1e-12)
    ends = np.where(masks, 0.5 / keep_prob, 0.5 / (1.0 - keep_prob)) * count[..., None]
    weight = ends.sum(1)
    wanted = -(ends * gradients).sum(1) / weight
    others = (effects.sum(1, keepdims=True) - effects) / (runs - 1)
    root = np.sqrt(count)
    return Targets(
        wanted,
        weight / runs,
        (~masks - (1.0 - keep_prob)) * root[..., None],
        (effects - others) * root,
        np.sqrt(np.square(lengths).mean(1) / masks.shape[-1]),
    )
