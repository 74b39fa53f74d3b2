"""`Effects`: what replacing players did to the actions."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from iss_jax import effect_estimators, fills
from iss_jax.checks import check_labels
from iss_jax.effect_reasons import NOT_TESTED, REASONS
from iss_jax.effects_agreement import Agreement, agreement
from iss_jax.effects_config import EffectsConfig
from iss_jax.few import few
from iss_jax.nmr import Region
from iss_jax.nuisance_share import NuisanceShare, interval_where_known, nuisance_reason
from iss_jax.players import Players, painted, sums
from iss_jax.records import (
    Record,
    batch_index,
    drawing,
    is_concrete,
    record,
    require_concrete,
    static,
)
from iss_jax.results import Cameras
from iss_jax.share_intervals import share_intervals

# Effects below this, in units of the squared actions, are rounding.
ROUNDING = 1e-10


@record
class Effects(Record):
    """Effects of the players of a batch of b frames, from k draws each.

    A frozen dataclass and a pytree, as `iss_jax.Saliency` is. `repr` says what the policy acts on,
    `plot` draws it, `save` keeps it.

    >>> import jax.numpy as jnp
    >>> from iss_jax import EffectsConfig, attribute_players, players
    >>> def policy(images):  # looks at the bowl more than at the plate, and at nothing else
    ...     red = images["front"][..., 0]
    ...     return jnp.stack([2 * red[:, 0, 0], red[:, 7, 7]], -1)[:, None]
    >>> labels = {"front": jnp.full((8, 8), 3).at[:4, :4].set(1).at[4:, 4:].set(2)}
    >>> found = attribute_players(
    ...     policy,
    ...     {"front": jnp.zeros((8, 8, 3))},
    ...     players.from_instances(labels, {1: "black bowl", 2: "plate", 3: "table"}),
    ...     {"front": jnp.linspace(0.2, 1, 40)[:, None, None, None] * jnp.ones((40, 8, 8, 3))},
    ...     config=EffectsConfig(draws=4, reduction="sum"),
    ... )
    >>> found.sentence()
    'black bowl 80 ± 0 %, plate 20 ± 0 %, table 0 ± 0 %'
    >>> [round(float(share), 2) for share in found.share]
    [0.8, 0.2, 0.0]

    Attributes:
        by_draw: Effect of every player in every draw: how far the actions move (see `unit`).
        moved: How much its donors change a player: the standardised change of its own mean colour
            and spread, a mean over draws. Below `NOT_TESTED` nothing was tested.
        beside: Name -> effects of what overlaps with the players, such as `tint`, a whole view or
            a prompt; no part of any share.
        floor: Effect of the frame's own copy as donor: 0 but for rounding, unless the policy draws
            noise of its own.
        reason: 0 where shares are known, else the number of `REASONS`.
        players: Labels and names.
        actions: Baseline in the policy's normalised space, a mean over draws.
        frames: View -> the frames that are explained, as the policy saw them.
        donors: Number of the donor of each draw.
        cameras: View -> name of its camera.
        config: The options.
        unit: What an effect is.
    """

    by_draw: Float[Array, "*b draws players"]
    moved: Float[Array, "*b players"]
    beside: dict[str, Float[Array, "*b draws"]]
    floor: Float[Array, "*b"]
    reason: Int[Array, "*b"]
    players: Players
    actions: Float[Array, "*b horizon dims"]
    frames: dict[str, Shaped[Array, "*b h w 3"]] | None = None
    donors: Int[Array, "*b draws"] | None = None
    cameras: Cameras = static(default=Cameras())
    config: EffectsConfig | None = static(default=None)
    unit: str = static(default="")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the players."""
        return self.players.names

    def shown_names(self) -> tuple[str, ...]:
        """Names of the players, a view's replaced by its camera's where one is known."""
        found = []
        for name in self.names:
            view = next((v for v in self.cameras if f"{name} ".startswith(f"{v} ")), "")
            found.append(self.cameras[view] + name.removeprefix(view) if view else name)
        return tuple(found)

    @property
    def effects(self) -> Float[Array, "*b players"]:
        """Mean over draws."""
        return jnp.asarray(self.by_draw).mean(-2)

    @property
    def covariance(self) -> Float[Array, "*b players players"]:
        """Of the effects, from the spread of the draws."""
        return effect_estimators.mean_and_covariance(jnp.asarray(self.by_draw))[1]

    @property
    def stderr(self) -> Float[Array, "*b players"]:
        """Standard errors of the effects; infinite with one draw."""
        return jnp.sqrt(jnp.diagonal(self.covariance, axis1=-2, axis2=-1))

    @property
    def share(self) -> Float[Array, "*b players"]:
        """Each player's share of the sum of the effects.

        Below 0 or above 1 where an effect is negative, which `banzhaf` and `shapley` allow: see
        `beyond`. Nothing is cut off.
        """
        return effect_estimators.shares(self.effects, self.covariance)[0]

    @property
    def share_stderr(self) -> Float[Array, "*b players"]:
        """Standard errors of the shares, from the joint covariance of the effects."""
        return effect_estimators.shares(self.effects, self.covariance)[1]

    def intervals(
        self, level: float = 0.95
    ) -> tuple[Float[Array, "*b players"], Float[Array, "*b players"]]:
        """Lower and upper ends of the shares' intervals, see `iss_jax.share_intervals`.

        Few draws with heavy tails hold the true share more seldom than the level says: about 0.9
        instead of 0.95, however many of 4 to 16 there are.

        Args:
            level: How often an interval is to hold the share that endless draws would give.

        Returns:
            Ends in [0, 1]; 0 and 1 where shares are not known. Of `banzhaf` and `shapley`, whose
            effects may be negative, ends are not cut off, and infinite where shares are not known.

        Raises:
            ValueError: A level that is no probability.
        """
        by_draw, bounded = jnp.asarray(self.by_draw), self._bounded
        low, high = share_intervals(by_draw, by_draw.sum(-1), level, bounded=bounded)
        known = self.valid[..., None]
        lowest, highest = (0.0, 1.0) if bounded else (-jnp.inf, jnp.inf)
        return jnp.where(known, low, lowest), jnp.where(known, high, highest)

    @property
    def _bounded(self) -> bool:
        return self.config is None or self.config.estimator == "one_at_a_time"

    @property
    def beyond(self) -> Bool[Array, "*b"]:
        """Whether a share lies outside [0, 1], because a player has a negative effect.

        A replaced player moves the actions or does not, so alone it has no negative effect. Beside
        others it may undo what they do: `banzhaf` and `shapley` then give it a negative one. With
        few draws and pairs `banzhaf` does so for players that do nothing, too, since they are
        replaced beside others that do. More of either mends the second; the first is the answer.
        """
        shares = self.share
        return self.valid & ((shares < 0) | (shares > 1)).any(-1)

    @property
    def valid(self) -> Bool[Array, "*b"]:
        """Whether shares are known; `reason` says why not."""
        return jnp.asarray(self.reason) == 0

    @property
    def area(self) -> Float[Array, "*b players"]:
        """Share of the pixels that each player holds."""
        return self.players.areas()

    @property
    def density(self) -> Float[Array, "*b players"]:
        """Effect per area; total effects favour large players. 0 for players without a pixel."""
        area = self.area
        return jnp.where(area > 0, self.effects / jnp.where(area > 0, area, 1.0), 0.0)

    @property
    def tested(self) -> Bool[Array, "*b players"]:
        """Whether the donors changed a player at all."""
        return jnp.asarray(self.moved) > NOT_TESTED

    @property
    def maps(self) -> dict[str, Float[Array, "*b h w"]]:
        """View -> the effect of the player of each pixel, 0 where there is none."""
        effects = self.effects
        return {view: painted(labels, effects) for view, labels in self.players.labels.items()}

    def nuisance(self, regions: Mapping[str, Any], level: float = 0.95) -> NuisanceShare:
        """The nuisance share of the effects, players that straddle regions divided by area.

        Args:
            regions: View -> labels at the players' size, see `iss_jax.Region`.
            level: How often the share's interval is to hold what endless draws would give.

        Raises:
            ValueError: Views without labels, labels of another size or other than the integers 0,
                1 and 2, or a level that is no probability.
        """
        check_labels("regions", regions, {})
        missing = sorted(set(self.players.labels) - set(regions))
        if missing:
            raise ValueError(f"regions lack views {few(missing)}, they name {few(sorted(regions))}")
        count = len(self.players)
        zeros = jnp.zeros_like(self.effects)
        inside, whole = zeros, zeros
        for view, labels in self.players.labels.items():
            own = jnp.asarray(regions[view])
            if own.shape != labels.shape:
                raise ValueError(
                    f"regions of {view!r} must be {list(labels.shape)} like the players, got "
                    f"{list(own.shape)}"
                )
            inside = inside + sums(labels, own == Region.NUISANCE, count)
            whole = whole + sums(labels, jnp.ones(labels.shape), count)
        part = inside / jnp.maximum(whole, 1.0)
        share, stderr = effect_estimators.weighted_share(
            self.effects, self.covariance, part[..., None, :]
        )
        # 0 where every player is all nuisance or none, 1 where all are halves.
        mixed = (jnp.abs(self.share) * 4.0 * part * (1.0 - part)).sum(-1)
        area = inside.sum(-1) / jnp.maximum(whole.sum(-1), 1.0)
        by_draw = jnp.asarray(self.by_draw)
        nuisance = jnp.einsum("...dp,...p->...d", by_draw, part, precision="highest")[..., None]
        low, high = share_intervals(nuisance, by_draw.sum(-1), level, bounded=self._bounded)
        # Where nuisance is spread over players, one that is changed tests it.
        holds = (part > 0) & (self.area > 0)
        reason = nuisance_reason(jnp.asarray(self.reason), self.tested, holds)
        return NuisanceShare(
            share[..., 0],
            stderr[..., 0],
            mixed,
            area,
            reason,
            interval_where_known(low[..., 0], high[..., 0], reason == 0),
            level=level,
        )

    def agreement(self, other: "Effects") -> Agreement:
        """Whether other players of the same frames say the same of where the policy looks.

        Meant for looks joined over views and looks of each view, `by_appearance(join=...)`: joined
        ones catch what is shown twice, the others give the clearer picture.

        >>> import jax.numpy as jnp
        >>> from iss_jax import EffectsConfig, attribute_players, players
        >>> def policy(images):  # the panel in either view will do
        ...     panels = [image[:, 0, 0, 0] for image in images.values()]
        ...     return jnp.maximum(*panels)[:, None, None]
        >>> frame = jnp.zeros((8, 8, 3)).at[:4, :4].set(1.0)
        >>> views = {"front": frame, "wrist": frame}
        >>> donors = {view: jnp.zeros((4, 8, 8, 3)) for view in views}
        >>> joined, apart = (
        ...     attribute_players(
        ...         policy,
        ...         views,
        ...         players.by_appearance(views, most=2, join=join),
        ...         donors,
        ...         config=EffectsConfig(draws=4),
        ...     )
        ...     for join in (True, False)
        ... )
        >>> joined.effects.tolist(), apart.effects.tolist()
        ([1.0, 0.0], [0.0, 0.0, 0.0, 0.0])
        >>> bool(joined.agreement(apart).disagree)
        True

        Args:
            other: Of the same frames, with players of its own.

        Raises:
            ValueError: No view in common, or players at different sizes.
        """

        def covariance(found: Effects) -> Array:
            area = found.area
            scale = jnp.where(area > 0, 1.0 / jnp.where(area > 0, area, 1.0), 0.0)
            return found.covariance * scale[..., None] * scale[..., None, :]

        return agreement(
            (self.players.labels, other.players.labels),
            (self.density, other.density),
            (covariance(self), covariance(other)),
            (jnp.asarray(self.reason), jnp.asarray(other.reason)),
        )

    def ranked(self, index: int | tuple[int, ...] = 0) -> list[tuple[str, float, float, bool]]:
        """Name, share, its error and whether it was tested, of one frame; the largest first."""
        require_concrete(self, "ranked()")
        one = example(self, index)
        rows = zip(
            one.shown_names(),
            np.asarray(one.share, float).tolist(),
            np.asarray(one.share_stderr, float).tolist(),
            np.asarray(one.tested).tolist(),
            np.asarray(one.area).tolist(),
            strict=True,
        )
        there = [row[:4] for row in rows if row[4] > 0 or row[3]]
        return sorted(there, key=lambda row: -row[1])

    def sentence(self, index: int | tuple[int, ...] = 0, *, most: int = 3) -> str:
        """The largest shares of one frame, in words: "black bowl 41 ± 5 %, gripper 23 ± 4 %".

        Args:
            index: Of the frame in the batch.
            most: Players that are named.
        """
        one = example(self, index)
        reason = int(np.asarray(one.reason))
        if reason:
            return f"no shares: {REASONS[reason]}"
        rows = self.ranked(index)
        parts = []
        for name, share, error, tested in rows[:most]:
            if not tested:
                parts.append(f"{name} not tested")
            elif np.isfinite(error):
                parts.append(f"{name} {100 * share:.0f} ± {100 * error:.0f} %")
            else:
                parts.append(f"{name} {100 * share:.0f} %")
        negative = [name for name, share, _, tested in rows if tested and share < 0]
        below = f"; below 0 %: {', '.join(negative)}" if negative else ""
        return ", ".join(parts) + below

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """What `repr` says: a title, and rows of a name and a text."""
        try:
            batch, (draws, count) = tuple(self.by_draw.shape[:-2]), self.by_draw.shape[-2:]
            fill = fills.described(self.config.fill) if self.config else "unknown"
            rows = [
                ("players", f"{count}: {', '.join(self.names[:6])}{', ...' if count > 6 else ''}"),
                ("runs", f"{draws} draws, fill {fill}"),
                ("unit", self.unit or "unknown"),
            ]
        except (AttributeError, TypeError, ValueError):
            return super().summary()
        title = {(): "one observation", (1,): "a batch of one observation"}.get(
            batch, f"{' x '.join(map(str, batch))} observations"
        )
        if is_concrete(self):
            with jax.ensure_compile_time_eval():
                for index in np.ndindex(batch):
                    if len(rows) > 7:
                        rows.append(("...", ""))
                        break
                    rows.append(("acts on", self.sentence(index if batch else 0)))
        return f"Effects of {title}", rows

    def plot(self, index: int | tuple[int, ...] = 0) -> Any:
        """One frame with its players coloured by their share, and the shares with their errors.

        Args:
            index: Of the observation in the batch.

        Raises:
            ModuleNotFoundError: Matplotlib is missing; the message names the extra.
            TypeError: Called on traced values, inside `jit`.
        """
        require_concrete(self, "plot()")
        with jax.ensure_compile_time_eval():
            return drawing("effects_figure").effects_figure(example(self, index))

    def facts(self) -> dict[str, Any]:
        """The static fields as JSON holds them."""
        config = None
        if self.config is not None:
            config = dataclasses.asdict(dataclasses.replace(self.config, fill="background"))
            config["fill"] = fills.described(self.config.fill)
        return {"cameras": dict(self.cameras), "config": config, "unit": self.unit}

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> dict[str, Any]:
        """Inverse of `facts`; a fill that is a function of one's own comes back as none."""
        config = facts["config"]
        return {
            "cameras": Cameras(facts["cameras"]),
            "config": None if config is None else _config(config),
            "unit": facts["unit"],
        }


def _config(facts: dict[str, Any]) -> EffectsConfig | None:
    try:
        return EffectsConfig(**{**facts, "fill": fills.of_description(facts["fill"])})
    except ValueError:
        return None


def example(found: Effects, index: int | tuple[int, ...] = 0) -> Effects:
    """One observation of a batch, without the batch axes.

    Raises:
        IndexError: No such observation.
    """
    chosen = batch_index(tuple(found.by_draw.shape[:-2]), index)
    return jax.tree.map(lambda leaf: leaf[chosen], found)
