"""`EffectsConfig`: the static options of the effects of players."""

import dataclasses
from typing import Any

from iss_jax import divergence, fills
from iss_jax.option_types import check_types

ESTIMATORS = ("one_at_a_time", "banzhaf", "shapley")

# Exact Shapley values take 2^k runs a draw.
MOST_SHAPLEY_PLAYERS = 6


@dataclasses.dataclass(frozen=True)
class EffectsConfig:
    """Static options of `player_effects`; hashable, so that it may be a static argument of `jit`.

    >>> from iss_jax import EffectsConfig
    >>> config = EffectsConfig(draws=4)
    >>> config.fill, config.estimator, config.runs(players=3)
    ('background', 'one_at_a_time', 16)

    Attributes:
        draws: k. Every draw has its own donor and its own flow noise, with its own baseline.
        fill: What stands where a player was: a name of `iss_jax.fills.FILLS`, or a function like
            those there.
        estimator: `one_at_a_time`: each player is replaced alone. `banzhaf`: random halves of the
            players are replaced, for causes that are doubled. `shapley`: all sets of up to six
            players. Shares of the last two may leave [0, 1], see `Effects.beyond`.
        pairs: Of `banzhaf`: a draw runs this many random halves, each with its complement.
        like_for_like: Whether a pixel is replaced by donor pixels of its own region label, so that
            no object is pasted where none was.
        tint: Whether the tint, channel gains taken from the donor, is replaced too. It lies
            beside the players and is no part of their shares.
        views: Whether each whole view is replaced too, beside the players.
        micro_batch: Rows run at once; chosen from the device's memory when None.
        action_dims: See `ISSConfig`, as the rest.
        horizon: The first steps of the chunk that count; all when None.
        reduction: `mean` or `sum` of the squared errors.
        action_weights: Weight of each chosen action dimension; all alike when None.
    """

    draws: int = 8
    fill: str | fills.Fill = "background"
    estimator: str = "one_at_a_time"
    pairs: int = 4
    like_for_like: bool = False
    tint: bool = False
    views: bool = False
    micro_batch: int | None = None
    action_dims: int | tuple[int, ...] | None = None
    horizon: int | None = None
    reduction: str = "mean"
    action_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if self.action_dims is not None and not isinstance(self.action_dims, int):
            object.__setattr__(self, "action_dims", tuple(self.action_dims))
        if self.action_weights is not None:
            object.__setattr__(self, "action_weights", tuple(map(float, self.action_weights)))
        divergence.check_chosen("EffectsConfig", self.action_dims, self.action_weights)
        for name, allowed in (("estimator", ESTIMATORS), ("reduction", divergence.REDUCTIONS)):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"EffectsConfig.{name} must be one of {allowed}, got {value!r}")
        fills.named(self.fill)
        for name in ("draws", "pairs", "micro_batch", "horizon"):
            value = getattr(self, name)
            if value is None and name in ("micro_batch", "horizon"):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"EffectsConfig.{name} must be an integer >= 1, got {value!r}")

        if self.like_for_like and not fills.needs_donors(self.fill):
            raise ValueError(
                "EffectsConfig.like_for_like chooses among donors, which fill "
                f"{fills.described(self.fill)!r} has none of: wanted fill='background'"
            )

    def sets(self, players: int) -> int:
        """Sets of players that one draw replaces."""
        counts = {
            "one_at_a_time": players,
            "banzhaf": 2 * self.pairs,
            "shapley": 2**players - 1,
        }
        return counts[self.estimator]

    def runs(self, players: int, beside: int = 0) -> int:
        """Policy runs of one frame, baselines included.

        Args:
            players: How many.
            beside: Things replaced beside them: tint, views, prompts.
        """
        return self.draws * (1 + self.sets(players) + beside)

    @property
    def divergence(self) -> dict[str, Any]:
        """Options of `divergence.effects`."""
        return {
            "reduction": self.reduction,
            "action_dims": self.action_dims,
            "horizon": self.horizon,
            "weights": self.action_weights,
        }
