"""The nuisance share of one inference: what the monitor computes beside the policy."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from iss_jax.background import Background, Groups
from iss_jax.checks import check_options
from iss_jax.effect_estimators import weighted_share
from iss_jax.effect_reasons import NOT_TESTED, REASONS
from iss_jax.effects import Effects
from iss_jax.effects_config import EffectsConfig
from iss_jax.few import few
from iss_jax.nmr_effect import CONFIG
from iss_jax.nuisance_share import nuisance_reason
from iss_jax.pi05.params import as_params
from iss_jax.pi05_effects import player_effects
from iss_jax.players import REGIONS, Players
from iss_jax.sampling import Sampling

__all__ = ["Shares", "SharesProgram", "not_tested", "shares_of"]


class Shares(NamedTuple):
    """What the policy acts on in one frame.

    >>> import numpy as np
    >>> found = Shares(0.25, 0.05, {"wall": 0.25, "can": 0.75}, {"wall": 1.2, "can": 0.9}, 0.1)
    >>> found.known, found.numbers()["share/can"]
    (True, 0.75)

    Attributes:
        nuisance: Share of the effects that the nuisance players have; nan where it is not known.
        stderr: Its standard error.
        players: Share of each player by name.
        moved: How much the donors change each player; next to 0 nothing was tested.
        effect: Sum of the effects, squared normalised actions.
        reason: Why there is no share, in words; empty where there is one.
        actions: [H, A], normalised, where the program was given the policy's own noise.
    """

    nuisance: float
    stderr: float
    players: dict[str, float]
    moved: dict[str, float]
    effect: float
    reason: str = ""
    actions: np.ndarray | None = None

    @property
    def known(self) -> bool:
        """Whether there is a share."""
        return not self.reason

    def numbers(self) -> dict[str, float]:
        """All numbers by name, as a logger or a reply takes them."""
        return {
            "nuisance_share": self.nuisance,
            "nuisance_share_stderr": self.stderr,
            "effect": self.effect,
            **{f"share/{name}": share for name, share in self.players.items()},
            **{f"moved/{name}": moved for name, moved in self.moved.items()},
        }


@dataclasses.dataclass(frozen=True)
class SharesProgram:
    """One compiled program: observation and labels in, `Shares` out.

    With four draws and three players it runs the policy sixteen times, and once more to see its own
    noise. Who is nuisance is said before the episode: the players are the three regions, or things
    by name.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> import jax
    >>> import numpy as np
    >>> from iss_jax import Background
    >>> from iss_jax.monitoring.shares import SharesProgram
    >>> labels = {view: np.zeros((1, 80, 80), np.int32) for view in obs.images}
    >>> labels["base_0_rgb"][:, :40] = 2
    >>> donors = {view: np.asarray(image) // 2 for view, image in obs.images.items()}
    >>> bank = Background(donors, regions=labels)
    >>> program = SharesProgram(policy.params, bank, action_horizon=16)
    >>> found = program(obs, labels, jax.random.key(0))
    >>> found.known, round(sum(found.players.values()), 3)
    (True, 1.0)

    Attributes:
        params: openpi's parameter tree.
        background: Donors, with region labels where `config.like_for_like`.
        names: Of the players, in the order of the labels' numbers.
        nuisance: Those of them that are nuisance.
        config: Static options.
        action_horizon: H.
        sampling: How the policy is run.
    """

    params: Any
    background: Background
    names: tuple[str, ...] = REGIONS
    nuisance: tuple[str, ...] = REGIONS[:1]
    config: EffectsConfig = CONFIG
    action_horizon: int = 50
    sampling: Sampling = Sampling()

    def __post_init__(self) -> None:
        check_options("config", self.config, EffectsConfig)
        unknown = sorted(set(self.nuisance) - set(self.names))
        if unknown or not self.nuisance:
            raise ValueError(
                f"nuisance: {few(unknown) if unknown else 'none'} given, some of the players "
                f"{few(self.names)} wanted"
            )
        object.__setattr__(self, "params", as_params(self.params))

    @property
    def runs(self) -> int:
        """Policy runs of one frame; one more tells whether the policy repeats itself."""
        return self.config.runs(len(self.names))

    def __call__(
        self,
        obs: Any,
        labels: Mapping[str, Int[Any, "1 h w"]],
        key: Key[Array, ""],
        *,
        regions: Mapping[str, Int[Any, "1 h w"]] | None = None,
        noise: Float[Any, "horizon dims"] | None = None,
        task: int = -1,
        episode: int = -1,
    ) -> Shares:
        """The shares of one frame.

        Args:
            obs: Batch of one with openpi's `Observation` attributes; prompts are not trimmed, so
                that all frames share one compilation.
            labels: View -> number of each pixel's player, -1 for none.
            key: Of donors and flow noise.
            regions: View -> region labels, for `like_for_like`; the labels themselves when None,
                which is right where the players are the three regions.
            noise: The policy's own flow noise of this inference. With it all draws have this noise,
                and `actions` is what the policy does: its rows joined the policy's own.
            task: Number of the frame's task in the bank, whose donors stay out; -1 for none.
            episode: Likewise.

        Raises:
            ValueError: As `iss_jax.player_effects`.
        """
        found, reason, share, stderr = self.traced(
            obs, labels, key, regions=regions, noise=noise, task=task, episode=episode
        )
        return _on_host(found, reason, share, stderr, self.names, noise is not None)

    def traced(
        self,
        obs: Any,
        labels: Mapping[str, Int[Any, "1 h w"]],
        key: Key[Array, ""],
        *,
        regions: Mapping[str, Int[Any, "1 h w"]] | None = None,
        noise: Float[Any, "horizon dims"] | None = None,
        task: int = -1,
        episode: int = -1,
    ) -> Any:
        """What `__call__` computes, still on the device: effects, reason, share and its error."""
        own = {view: jnp.asarray(image, jnp.int32) for view, image in labels.items()}
        marked = own if regions is None else {v: jnp.asarray(r) for v, r in regions.items()}
        groups = Groups(jnp.array([episode], jnp.int32), jnp.array([task], jnp.int32))
        return _program(
            self.params,
            obs,
            own,
            marked if self.config.like_for_like else None,
            self.background,
            key,
            groups,
            None if noise is None else jnp.asarray(noise, jnp.float32),
            names=self.names,
            nuisance=self.nuisance,
            config=self.config,
            action_horizon=self.action_horizon,
            sampling=self.sampling,
        )


@partial(jax.jit, static_argnames=("names", "nuisance", "config", "action_horizon", "sampling"))
def _program(
    params: Any,
    obs: Any,
    labels: dict[str, Array],
    regions: dict[str, Array] | None,
    background: Background,
    key: Array,
    groups: Groups,
    noise: Array | None,
    *,
    names: tuple[str, ...],
    nuisance: tuple[str, ...],
    config: EffectsConfig,
    action_horizon: int,
    sampling: Sampling,
) -> Any:
    draws = None
    if noise is not None:
        draws = jnp.broadcast_to(noise[None, None], (1, config.draws, *noise.shape))
    found = player_effects(
        params,
        obs,
        Players(labels, names=names),
        background,
        key=key,
        config=config,
        groups=groups,
        regions=regions,
        noise=draws,
        action_horizon=None if noise is not None else action_horizon,
        sampling=sampling,
    )
    return _numbers(found, nuisance)


def _numbers(found: Effects, nuisance: tuple[str, ...]) -> Any:
    """Of one frame: what each player has, why there is no share, the share and its error."""
    chosen = jnp.array([[name in nuisance for name in found.names]])
    share, stderr = weighted_share(
        found.effects, found.covariance, chosen.astype(jnp.float32)[:, None]
    )
    holds = (found.area > 0) & chosen
    reason = nuisance_reason(jnp.asarray(found.reason), found.tested, holds)
    small = (found.effects[0], found.share[0], found.moved[0], found.actions[0])
    return small, reason[0], share[0, 0], stderr[0, 0]


def shares_of(found: Effects, nuisance: Sequence[str]) -> Shares:
    """The shares of effects that are known already, such as those of another policy's.

    >>> import jax.numpy as jnp
    >>> from iss_jax import EffectsConfig, Players, attribute_players
    >>> from iss_jax.monitoring.shares import shares_of
    >>> def policy(images):  # looks at the left half
    ...     return images["front"][:, :, :4].mean((1, 2))[:, None, :]
    >>> halves = {"front": jnp.zeros((1, 8, 8), jnp.int32).at[..., 4:].set(1)}
    >>> donors = {"front": jnp.linspace(0.0, 1.0, 384).reshape(2, 8, 8, 3)}
    >>> found = attribute_players(
    ...     policy,
    ...     {"front": jnp.zeros((1, 8, 8, 3))},
    ...     Players(halves, names=("can", "wall")),
    ...     donors,
    ...     config=EffectsConfig(draws=2),
    ... )
    >>> shares_of(found, ["wall"]).nuisance
    0.0

    Args:
        found: Of a batch of one.
        nuisance: Players that are nuisance, by name.

    Raises:
        ValueError: A batch of another size.
    """
    if found.effects.shape[:-1] != (1,):
        raise ValueError(f"effects: a batch {found.effects.shape[:-1]} given, of one wanted")
    small, reason, share, stderr = _numbers(found, tuple(nuisance))
    return _on_host(small, reason, share, stderr, found.names, False)


def _on_host(
    found: Any, reason: Any, share: Any, stderr: Any, names: Sequence[str], own: bool
) -> Shares:
    effects, shares, moved, actions = (np.asarray(one) for one in found)
    number = int(reason)
    known = number == 0
    return Shares(
        nuisance=float(share) if known else float("nan"),
        stderr=float(stderr) if known else float("nan"),
        players={
            name: float(one) if known else float("nan")
            for name, one in zip(names, shares, strict=True)
        },
        moved={name: float(one) for name, one in zip(names, moved, strict=True)},
        effect=float(effects.sum()),
        reason=REASONS[number] if number else "",
        actions=actions if own else None,
    )


def not_tested(found: Shares) -> list[str]:
    """Players that their donors did not change.

    >>> not_tested(Shares(0.0, 0.0, {"a": 0.0}, {"a": 0.0}, 1.0))
    ['a']
    """
    return [name for name, moved in found.moved.items() if not moved > NOT_TESTED]
