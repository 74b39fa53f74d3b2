"""How new a frame is to the policy: random network distillation on its image features.

A random network is fixed, and another one is taught to answer as it does on features of successful
episodes. Where the two differ, the features are unlike those (Burda et al. 2018). FIPER (Römer et
al. 2025) reads it off a policy's embedding.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

__all__ = ["Novelty", "fit_novelty"]

HIDDEN, OUT = 64, 32
RATE = 3e-3  # of Adam


class Novelty(NamedTuple):
    """A fitted pair of networks (see `fit_novelty`).

    Attributes:
        mean: Of the features it was fitted to.
        spread: Their standard deviation.
        fixed: Weights of the random network.
        taught: Weights of the other one.
    """

    mean: Float[np.ndarray, " f"]
    spread: Float[np.ndarray, " f"]
    fixed: Any
    taught: Any

    def __call__(self, features: Float[np.ndarray, "n f"]) -> Float[np.ndarray, " n"]:
        """The mean squared difference of the two networks' answers."""
        scaled = jnp.asarray((np.asarray(features) - self.mean) / self.spread, jnp.float32)
        return np.asarray(_difference(self.taught, self.fixed, scaled), np.float64)


def fit_novelty(
    features: Float[np.ndarray, "n f"], *, key: Array | None = None, steps: int = 400
) -> Novelty:
    """Teaches one network another's answers on features of successful episodes.

    >>> import numpy as np
    >>> from iss_jax.monitoring.novelty import fit_novelty
    >>> known = np.random.default_rng(0).normal(size=(200, 8))
    >>> novelty = fit_novelty(known, steps=200)
    >>> bool(novelty(known + 8.0).mean() > 10 * novelty(known).mean())
    True

    Args:
        features: Of frames of successful episodes.
        key: Of both networks' first weights, `jax.random.key(0)` when None.
        steps: Of Adam, each on all frames.

    Raises:
        ValueError: Fewer than two frames, or features that are not finite.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
        raise ValueError(
            f"features: shape {list(features.shape)} given, at least 2 finite rows [n, f] wanted"
        )
    mean, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 1e-6, spread, 1.0)
    scaled = jnp.asarray((features - mean) / spread, jnp.float32)
    one, other = jax.random.split(jax.random.key(0) if key is None else key)
    fixed, first = (_weights(own, features.shape[1]) for own in (one, other))
    return Novelty(mean, spread, fixed, _taught(first, fixed, scaled, steps=steps))


def _weights(key: Array, width: int) -> list[tuple[Array, Array]]:
    sizes = (width, HIDDEN, HIDDEN, OUT)
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        (jax.random.normal(k, (a, b)) * jnp.sqrt(2.0 / a), jnp.zeros(b))
        for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def _answers(weights: list[tuple[Array, Array]], x: Array) -> Array:
    for number, (kernel, bias) in enumerate(weights):
        x = x @ kernel + bias[None]
        x = jax.nn.relu(x) if number + 1 < len(weights) else x
    return x


@jax.jit
def _difference(taught: Any, fixed: Any, x: Array) -> Float[Array, " n"]:
    return jnp.square(_answers(taught, x) - _answers(fixed, x)).mean(-1)


@partial(jax.jit, static_argnames=("steps",))
def _taught(first: Any, fixed: Any, x: Array, *, steps: int) -> Any:
    def loss(weights: Any) -> Array:
        return _difference(weights, fixed, x).mean()

    def step(carry: Any, number: Array) -> tuple[Any, None]:
        weights, mean, square = carry
        slope = jax.grad(loss)(weights)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, slope)
        square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, square, slope)
        at = number + 1.0
        scale = RATE * jnp.sqrt(1.0 - 0.999**at) / (1.0 - 0.9**at)
        weights = jax.tree.map(
            lambda w, m, s: w - scale * m / (jnp.sqrt(s) + 1e-8), weights, mean, square
        )
        return (weights, mean, square), None

    zeros = jax.tree.map(jnp.zeros_like, first)
    numbers = jnp.arange(steps, dtype=jnp.float32)
    (weights, _, _), _ = jax.lax.scan(step, (first, zeros, zeros), numbers)
    return weights
