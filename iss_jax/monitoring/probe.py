"""Whether a policy's own features foretell failure: logistic regression on them.

The signal of SAFE (Gu et al. 2025), which reads a policy's last features with a small network. A
linear one is taken here: it has one optimum. Unlike the other signals it is taught by failures.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["Probe", "fit_probe"]


class Probe(NamedTuple):
    """A fitted probe (see `fit_probe`).

    Attributes:
        mean: Of the features it was fitted to.
        spread: Their standard deviation.
        weights: Of the standardised features.
        bias: Added to them.
    """

    mean: Float[np.ndarray, " f"]
    spread: Float[np.ndarray, " f"]
    weights: Float[np.ndarray, " f"]
    bias: float

    def __call__(self, features: Float[np.ndarray, "n f"]) -> Float[np.ndarray, " n"]:
        """Log odds of failure."""
        scaled = (np.asarray(features, np.float64) - self.mean) / self.spread
        return scaled @ self.weights + self.bias


def fit_probe(
    features: Float[np.ndarray, "n f"],
    failed: Bool[np.ndarray, " n"],
    weight: Float[np.ndarray, " n"] | None = None,
    *,
    penalty: float = 1.0,
    steps: int = 50,
) -> Probe:
    """Logistic regression with a ridge penalty, to its optimum by Newton's steps.

    >>> import numpy as np
    >>> from iss_jax.monitoring.probe import fit_probe
    >>> features = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> probe = fit_probe(features, np.array([False, False, True, True]))
    >>> (probe(features) > 0).tolist()
    [False, False, True, True]

    Args:
        features: Of frames of successful and of failed episodes.
        failed: Whether the frame's episode did.
        weight: Of each frame, such as one over its episode's length; all alike when None.
        penalty: On the squared weights of the standardised features; the bias is free.
        steps: At most.

    Raises:
        ValueError: Shapes that do not fit, features that are not finite, or one outcome alone.
    """
    features, failed = np.asarray(features, np.float64), np.asarray(failed, bool)
    if features.ndim != 2 or failed.shape != features.shape[:1] or not np.isfinite(features).all():
        raise ValueError(
            f"features: {list(features.shape)}, failed: {list(failed.shape)} given, finite [n, f] "
            "and [n] wanted"
        )
    if failed.all() or not failed.any():
        raise ValueError("failed: frames of successful and of failed episodes wanted, got one kind")
    given = np.ones(len(failed)) if weight is None else np.asarray(weight, np.float64)
    each = given * len(given) / given.sum()
    mean, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 1e-6, spread, 1.0)
    x = np.column_stack([(features - mean) / spread, np.ones(len(failed))])
    ridge = np.full(x.shape[1], penalty)
    ridge[-1] = 0.0
    found = np.zeros(x.shape[1])

    def cost(at: np.ndarray) -> float:
        odds = x @ at
        return float((each * (np.logaddexp(0.0, odds) - failed * odds)).sum() + ridge @ at**2 / 2)

    for _ in range(steps):
        chance = 1 / (1 + np.exp(-np.clip(x @ found, -500, 500)))
        slope = x.T @ (each * (chance - failed)) + ridge * found
        curve = (x * (each * np.maximum(chance * (1 - chance), 1e-9))[:, None]).T @ x
        move = np.linalg.solve(curve + np.diag(ridge) + 1e-9 * np.eye(len(found)), slope)
        size = 1.0
        # A whole step may overshoot where the odds are steep.
        while cost(found - size * move) > cost(found) and size > 1e-6:
            size /= 2
        found = found - size * move
        if np.abs(move).max() < 1e-8:
            break
    return Probe(mean, spread, found[:-1], float(found[-1]))
