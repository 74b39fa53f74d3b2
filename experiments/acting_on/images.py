"""Whether a policy uses its images, over many frames: one ratio, with an interval by task."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from iss_jax.few import few
from iss_jax.stats.groups import Estimate
from iss_jax.stats.resampling import cluster_weights, expanded_interval, too_few

# Below this a policy is said to make no use of its images.
LEAST = 0.05


def pooled(
    images: Float[np.ndarray, " n"],
    everything: Float[np.ndarray, " n"],
    tasks: Shaped[np.ndarray, " n"],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Σ images / Σ everything over frames, with the 95 % interval of resampled tasks.

    >>> import numpy as np
    >>> found = pooled(np.arange(8.0), 2 * np.arange(8.0) + 1e-9, np.arange(8))
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.5, 0.5, 0.5)

    Args:
        images: Of each frame, what other images do.
        everything: Likewise, what all inputs do.
        tasks: Of each frame.
        resamples: Of the interval.
        seed: Of them.

    Returns:
        The ratio; its interval is nan of fewer than six tasks.
    """
    value = float(images.sum() / everything.sum())
    _, labels = np.unique(tasks, return_inverse=True)
    if too_few(labels):
        return Estimate(value, float("nan"), float("nan"))
    count = int(labels.max()) + 1
    weights = cluster_weights(count, resamples, seed)[:, labels]
    draws = (weights @ images) / (weights @ everything)
    return Estimate(value, *expanded_interval(draws, count, 0.95))


def sentence(found: Estimate, frames: int) -> str:
    """The verdict in words.

    >>> sentence(Estimate(0.01, 0.0, 0.02), 16)
    'It does not use its images: they do 1 [0, 2] % of what all inputs do (16 frames).'

    Args:
        found: Of `pooled`.
        frames: How many.
    """
    value, low, high = (100 * one for one in found)
    count = "one frame" if frames == 1 else f"{frames} frames"
    ends = f" [{low:.0f}, {high:.0f}]" if np.isfinite(low) else ""
    end = f"they do {value:.0f}{ends} % of what all inputs do ({count})."
    if not np.isfinite(low):
        return f"Too few tasks for a verdict on its images: {end}"
    if found.high < LEAST:
        return f"It does not use its images: {end}"
    if found.low < LEAST:
        return f"Whether it uses its images is open: {end}"
    return f"It uses its images: {end}"


def rows_of(frames: Sequence[Mapping[str, Any]], found: Sequence[Any]) -> list[dict[str, Any]]:
    """A row a frame: both effects, their ratio, its error and its interval.

    Args:
        frames: Columns that tell it from others.
        found: `ImageUse` of each, without batch axis.

    Raises:
        ValueError: Effects that are NaN or infinite, which would pass for none.
    """
    rows, broken = [], []
    for frame, own in zip(frames, found, strict=True):
        if not np.isfinite([own.images, own.everything]).all():
            broken.append((frame["episode"], frame["frame"]))
        low, high = np.asarray(own.interval).tolist()
        rows.append(
            {
                **frame,
                "images": float(np.mean(own.images)),
                "everything": float(np.mean(own.everything)),
                "ratio": float(own.ratio),
                "stderr": float(own.stderr),
                "low": low,
                "high": high,
                "reason": int(own.reason),
            }
        )
    if broken:
        raise ValueError(
            f"the policy's actions are NaN or infinite in {few(broken)} (episode, frame)"
        )
    return rows
