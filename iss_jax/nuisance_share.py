"""`NuisanceShare`: NMR by effect, what is known of it and why not."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from iss_jax.effect_reasons import REASONS, UNTESTED
from iss_jax.records import Record, is_concrete, record, static


@record
class NuisanceShare(Record):
    """NMR by effect: the nuisance share of the players' effects.

    With `policy` and `obs` of `iss_jax.saliency`'s example, players that straddle the regions:

    >>> import numpy as np
    >>> import iss_jax
    >>> labels = {view: np.zeros((1, 80, 80), int) for view in obs.images}
    >>> labels["base_0_rgb"][:, :40] = 2
    >>> donors = {view: np.asarray(image)[:, ::-1] for view, image in obs.images.items()}
    >>> found = iss_jax.player_effects(
    ...     policy.params,
    ...     obs,
    ...     iss_jax.players.by_appearance(obs.images, most=3),
    ...     donors,
    ...     config=iss_jax.EffectsConfig(draws=2, action_dims=7),
    ...     action_horizon=16,
    ... )
    >>> nuisance = found.nuisance(labels)
    >>> 0 <= float(nuisance.share[0]) <= 1, round(float(nuisance.area[0]), 2)
    (True, 0.83)
    >>> low, high = nuisance.interval[0]  # read this one next to 0 and 1
    >>> 0 <= float(low) <= float(nuisance.share[0]) <= float(high) <= 1
    True

    Attributes:
        share: Of each frame.
        stderr: Its standard error. Next to 0 and 1 errors are lopsided, and the interval is wanted.
        mixed: 0 where every player is nuisance or is not, towards 1 where the effect lies on
            players that straddle regions.
        area: Nuisance share of the pixels.
        reason: 0 where the share is known, else the number of `REASONS`.
        interval: Ends of the share's interval, see `Effects.intervals`; 0 and 1 where the share is
            not known, or of one draw. None in files that were written before there was one.
        chance: The same share with the labels shifted within the frame; None where not asked for.
        chance_stderr: Its standard error.
        chance_interval: Ends of its interval.
        level: How often an interval is to hold the share that endless draws would give.
    """

    share: Float[Array, "*b"]
    stderr: Float[Array, "*b"]
    mixed: Float[Array, "*b"]
    area: Float[Array, "*b"]
    reason: Int[Array, "*b"]
    interval: Float[Array, "*b 2"] | None = None
    chance: Float[Array, "*b"] | None = None
    chance_stderr: Float[Array, "*b"] | None = None
    chance_interval: Float[Array, "*b 2"] | None = None
    level: float = static(default=0.95)

    @property
    def valid(self) -> Bool[Array, "*b"]:
        """Whether the share is known; `reason` says why not."""
        return jnp.asarray(self.reason) == 0

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """What `repr` says: a title, and a row a frame."""
        if not is_concrete(self) or np.ndim(self.share) > 1 or np.size(self.share) > 8:
            return super().summary()
        frames = np.size(self.share)
        flat = jax.tree.map(lambda leaf: np.reshape(np.asarray(leaf), (frames, -1)), self)
        rows = []
        for i, reason in enumerate(flat.reason[:, 0].tolist()):
            text = f"not known: {REASONS[reason]}"
            if not reason:
                text = f"{_in_words(flat.share, flat.stderr, flat.interval, i)}, "
                text += f"area {flat.area[i, 0]:.2f}"
            if not reason and flat.chance is not None and flat.chance_stderr is not None:
                chance = _in_words(flat.chance, flat.chance_stderr, flat.chance_interval, i)
                text += f", labels shifted {chance}"
            rows.append((f"frame {i}", text))
        title = "Nuisance share of the effects, ± one standard error"
        if self.interval is not None:
            title += f" [{100 * self.level:g} % interval]"
        return title, rows


def nuisance_reason(
    reason: Int[Array, "*b"],
    tested: Bool[Array, "*b players"],
    holds: Bool[Array, "*b players"],
) -> Int[Array, "*b"]:
    """Why a nuisance share is not known: as of the effects, or no donor changes a player of it.

    >>> import jax.numpy as jnp
    >>> two = jnp.array([True, False])
    >>> [int(nuisance_reason(jnp.array(0), two, holds)) for holds in (two, ~two, two & ~two)]
    [0, 3, 0]

    Args:
        reason: Of the effects.
        tested: Players that their donors change.
        holds: Players that hold nuisance; where none does, the share is known to be 0.
    """
    known = jnp.any(holds & tested, -1) | ~jnp.any(holds, -1)
    return jnp.where((reason == 0) & ~known, UNTESTED, reason)


def _in_words(share: Any, stderr: Any, interval: Any, i: int) -> str:
    text = f"{share[i, 0]:.3f} ± {stderr[i, 0]:.3f}"
    if interval is None or interval.shape[1] != 2:
        return text
    return f"{text} [{interval[i, 0]:.3f}, {interval[i, 1]:.3f}]"


def interval_where_known(
    low: Float[Array, "*b"], high: Float[Array, "*b"], known: Bool[Array, "*b"]
) -> Float[Array, "*b 2"]:
    """Both ends of an interval; 0 and 1 where the share is not known.

    >>> import jax.numpy as jnp
    >>> ends = jnp.array([0.25, 0.25]), jnp.array([0.5, 0.5])
    >>> interval_where_known(*ends, jnp.array([True, False])).tolist()
    [[0.25, 0.5], [0.0, 1.0]]
    """
    return jnp.stack([jnp.where(known, low, 0.0), jnp.where(known, high, 1.0)], axis=-1)
