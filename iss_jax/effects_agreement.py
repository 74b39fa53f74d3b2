"""Whether two sets of players of one frame say the same of where a policy looks.

Looks that are joined over views catch a cause that is shown twice, looks of each view give a
picture that is read at once. Where the two disagree, a cause is doubled, or a look holds more than
one thing: that is a finding itself.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from iss_jax.few import few
from iss_jax.players import painted, sums
from iss_jax.records import Record, batch_index, record, require_concrete

# Maps that share less than this part of what their errors let them share disagree.
LEAST = 0.5
# Of a flat map, over the square of its mean.
ROUNDING = 1e-10


@record
class Agreement(Record):
    """How alike two maps of effect per area are, as `Effects.agreement` says.

    Attributes:
        correlation: Pearson's, over the pixels that have a player in both; 0 where a map is flat.
        ceiling: What it would be on average were the maps alike but for the errors of their draws.
        disagree: Whether the correlation is below half of that ceiling, or one of the two found
            effects and the other none.
        known: Whether the errors leave anything to compare. Where they do not, nothing disagrees.
    """

    correlation: Float[Array, "*b"]
    ceiling: Float[Array, "*b"]
    disagree: Bool[Array, "*b"]
    known: Bool[Array, "*b"]

    def sentence(self, index: int | tuple[int, ...] = 0) -> str:
        """What it says of one frame, in words.

        >>> import jax.numpy as jnp
        >>> found = Agreement(*map(jnp.asarray, (0.1, 0.9, True, True)))
        >>> found.sentence().split(":")[0]
        'the two disagree (r = 0.10, of 0.90 that their errors leave)'

        Args:
            index: Of the frame in the batch.

        Raises:
            TypeError: Called on traced values, inside `jit`.
            IndexError: No such frame.
        """
        require_concrete(self, "sentence()")
        chosen = batch_index(tuple(jnp.shape(self.correlation)), index)
        r, ceiling, disagree, known = (
            np.asarray(own)[chosen].item()
            for own in (self.correlation, self.ceiling, self.disagree, self.known)
        )
        if not known:
            return "nothing to compare: the errors of the two leave nothing"
        if disagree and not ceiling:
            return "the two disagree: one found effects and the other none, a cause may be doubled"
        numbers = f"(r = {r:.2f}, of {ceiling:.2f} that their errors leave)"
        if disagree:
            return (
                f"the two disagree {numbers}: a cause is shown twice, or a look holds more than "
                "one thing"
            )
        return f"the two agree {numbers}"


def agreement(
    labels: tuple[Mapping[str, Any], Mapping[str, Any]],
    density: tuple[Float[Array, "*b k"], Float[Array, "*b j"]],
    covariance: tuple[Float[Array, "*b k k"], Float[Array, "*b j j"]],
    reasons: tuple[Int[Array, "*b"], Int[Array, "*b"]],
) -> Agreement:
    """Compares two maps of the same frames, see `Effects.agreement`.

    Args:
        labels: Of each map, view -> number of each pixel's player.
        density: Of each, effect per area of every player.
        covariance: Of each, of the densities.
        reasons: Of each, why it has no shares, see `iss_jax.effect_reasons.REASONS`.

    Raises:
        ValueError: No view in common, or labels of different sizes.
    """
    views = [view for view in labels[0] if view in labels[1]]
    if not views:
        raise ValueError(f"no view in common: {few(labels[0])} and {few(labels[1])}")
    shapes = {v: (labels[0][v].shape, labels[1][v].shape) for v in views}
    unlike = {view: pair for view, pair in shapes.items() if pair[0] != pair[1]}
    if unlike:
        raise ValueError(f"labels of the two differ in size: {unlike}")

    def flat(pixels: Mapping[str, Array]) -> Float[Array, "*b n"]:
        return jnp.concatenate([pixels[v].reshape(*pixels[v].shape[:-2], -1) for v in views], -1)

    both = {v: (labels[0][v] >= 0) & (labels[1][v] >= 0) for v in views}
    total = jnp.maximum(flat(both).sum(-1), 1).astype(jnp.float32)
    weight = flat(both).astype(jnp.float32) / total[..., None]

    def moments(own: Mapping[str, Any], values: Array, noise: Array) -> tuple[Array, Array, Array]:
        pixels = flat({v: painted(own[v], values) for v in views})
        mean = (weight * pixels).sum(-1, keepdims=True)
        rest = pixels - mean
        spread = (weight * jnp.square(rest)).sum(-1)
        spread = jnp.where(spread > ROUNDING * jnp.square(mean[..., 0]), spread, 0.0)
        # The noise of a pixel's difference to the mean, a mean over pixels: a' diag(C) - a' C a.
        area = sum(sums(own[v], both[v], values.shape[-1]) for v in views) / total[..., None]
        each = (area * jnp.diagonal(noise, axis1=-2, axis2=-1)).sum(-1)
        common = jnp.einsum("...i,...ij,...j->...", area, noise, area, precision="highest")
        return rest, spread, each - common

    (rest, spread, noise), (other, other_spread, other_noise) = map(
        moments, labels, density, covariance
    )

    def over(part: Array, whole: Array) -> Array:
        return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1.0), 0.0)

    correlation = over((weight * rest * other).sum(-1), jnp.sqrt(spread * other_spread))
    # The part of each map's spread that is no noise, see Spearman's correction for attenuation.
    reliable = (1 - over(noise, spread)).clip(0) * (1 - over(other_noise, other_spread)).clip(0)
    ceiling = jnp.where((spread > 0) & (other_spread > 0), jnp.sqrt(reliable), 0.0)
    found, none = (jnp.stack([reason == number for reason in reasons]) for number in (0, 1))
    compared = found.all(0) & (ceiling > 0)
    alone = found.any(0) & none.any(0)
    disagree = alone | (compared & (correlation < LEAST * ceiling))
    return Agreement(correlation, ceiling, disagree, compared | alone)
