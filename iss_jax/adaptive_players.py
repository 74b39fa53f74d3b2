"""Effects of players of a requested accuracy: rounds of draws until the shares' errors are small.

How many draws a share takes differs from frame to frame. So draws are made in rounds of equal size,
one compiled program for all of them, and a frame is done when the largest standard error among its
shares is small enough, or at a cap. Rounds are independent: each has keys, donors and flow noise of
its own, and the result is that of all draws together.

Stopping on what was seen understates the error, for draws that happen to agree end a frame early.
Effects as skewed as those of donors have 1.3 times the mean square error that is claimed at the
stop with at least 12 draws, 1.5 times with 8 and twice with 4 (`tests/test_adaptive_players.py`).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from iss_jax.attribution import Policy
from iss_jax.background import Background
from iss_jax.effect_reasons import NOT_FINITE
from iss_jax.effects import Effects
from iss_jax.effects_config import EffectsConfig
from iss_jax.pi05_effects import player_effects
from iss_jax.player_attribution import attribute_players
from iss_jax.players import Players
from iss_jax.records import Record, is_concrete, record

# Draws before the first look: fewer agree by chance too often.
LEAST_DRAWS = 12


@record
class AdaptiveEffects(Record):
    """Effects, and how far they came.

    >>> import jax.numpy as jnp
    >>> import iss_jax
    >>> def policy(images):
    ...     return images["front"][:, ::4, 0, 0][:, None]
    >>> halves = {"front": jnp.repeat(jnp.arange(2), 4)[:, None] * jnp.ones((1, 8), int)}
    >>> donors = {"front": jnp.linspace(0, 1, 256).reshape(64, 2, 2, 1)}
    >>> donors = {"front": jnp.repeat(jnp.repeat(donors["front"], 4, 1), 4, 2) * jnp.ones(3)}
    >>> found = iss_jax.attribute_players_until(
    ...     policy,
    ...     {"front": jnp.zeros((8, 8, 3))},
    ...     halves,
    ...     donors,
    ...     target_stderr=0.02,
    ...     most_draws=64,
    ... )
    >>> bool(found.reached), found.effects.by_draw.shape
    (True, (16, 2))

    Attributes:
        effects: From all draws of all rounds.
        error: Largest standard error of a share; infinite where no shares are known.
        reached: Whether that is at most the target; otherwise the cap ended it, or there is nothing
            to share.
        rounds: How many.
        key_data: Of the key, by which an earlier result is known again.
    """

    effects: Effects
    error: Float[np.ndarray, "*b"]
    reached: Bool[np.ndarray, "*b"]
    rounds: Int[np.ndarray, ""]
    key_data: UInt32[np.ndarray, "..."]

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """What `repr` says: the effects' own rows, and how far they came."""
        title, rows = self.effects.summary()
        if not is_concrete(self):
            return f"Adaptive: {title}", rows
        errors, reached = np.ravel(self.error), np.ravel(self.reached)
        text = f"{errors.max():.3g} at most, target reached by {reached.sum()} of {reached.size}"
        return f"Adaptive: {title}", [*rows, ("error", text)]

    def plot(self, index: int | tuple[int, ...] = 0) -> Any:
        """As `Effects.plot`."""
        return self.effects.plot(index)


def player_effects_until(
    params: Any,
    obs: Any,
    players: Players | Mapping[str, Int[Array, "b h w"]],
    background: Background | Mapping[str, Float[Array, "r h w 3"]] | None = None,
    *,
    target_stderr: float,
    most_draws: int,
    key: Key[Array, ""] | Key[Array, " b"] | None = None,
    config: EffectsConfig = EffectsConfig(),
    so_far: AdaptiveEffects | None = None,
    **options: Any,
) -> AdaptiveEffects:
    """`player_effects` with as many draws as an error of the shares takes.

    A loop on the host: it cannot be traced, and compiles one round once. A batch goes on until
    every one of its observations has got there, so give one at a time where they differ.

    With `policy` and `obs` of `iss_jax.saliency`'s example:

    >>> import iss_jax
    >>> found = iss_jax.player_effects_until(
    ...     policy.params,
    ...     obs,
    ...     iss_jax.players.by_appearance(obs.images, most=2),
    ...     {view: image[:, ::-1] for view, image in obs.images.items()},
    ...     target_stderr=0.1,
    ...     most_draws=16,
    ...     config=iss_jax.EffectsConfig(draws=4, action_dims=7),
    ...     action_horizon=16,
    ... )
    >>> found.effects.by_draw.shape[1] in (12, 16)
    True

    Args:
        params: As for `player_effects`.
        obs: As for `player_effects`.
        players: As for `player_effects`.
        background: As for `player_effects`.
        target_stderr: The standard error of the shares that is wanted, of the largest one: 0.05 is
            five per cent of the sum of the effects.
        most_draws: No more draws than this; whole rounds, `LEAST_DRAWS` at least.
        key: See `player_effects`; round r has `fold_in(key, r)`.
        config: Its `draws` are those of one round.
        so_far: What an earlier call with the same inputs found; its draws are not made again. The
            result is that of one call.
        **options: Further arguments of `player_effects`, but for `noise` and `prompts`, which hold
            what one round draws.

    Raises:
        TypeError: Called inside `jit`, `vmap`, `grad` or `scan`.
        ValueError: A target or cap that cannot be, noise, or `so_far` of other inputs.
    """
    given = sorted({"noise", "prompts"} & set(options))
    if given:
        raise ValueError(f"{given} hold what one round draws, and there are several: wanted a key")

    def step(key: Array) -> Effects:
        return player_effects(params, obs, players, background, key=key, config=config, **options)

    return _until(step, target_stderr, most_draws, key, config, so_far)


def attribute_players_until(
    policy: Policy,
    images: Mapping[str, Float[Array, "*b h w 3"]],
    players: Players | Mapping[str, Int[Array, "*b h w"]],
    background: Background | Mapping[str, Float[Array, "r h w 3"]] | None = None,
    *,
    target_stderr: float,
    most_draws: int,
    key: Key[Array, ""] | Key[Array, " b"] | None = None,
    config: EffectsConfig = EffectsConfig(),
    so_far: AdaptiveEffects | None = None,
    noise: Callable[[Array], Any] | None = None,
    **options: Any,
) -> AdaptiveEffects:
    """`attribute_players` with as many draws as an error of the shares takes.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> import iss_jax
    >>> def policy(images, noise):
    ...     return images["front"][:, ::4, 0, 0][:, None] * (1 + 0.1 * noise)
    >>> halves = {"front": jnp.repeat(jnp.arange(2), 4)[:, None] * jnp.ones((1, 8), int)}
    >>> found = iss_jax.attribute_players_until(
    ...     policy,
    ...     {"front": jnp.zeros((8, 8, 3))},
    ...     halves,
    ...     {"front": jnp.ones((3, 8, 8, 3))},
    ...     target_stderr=0.02,
    ...     most_draws=400,
    ...     noise=lambda key: jax.random.normal(key, (8, 2)),
    ... )
    >>> bool(found.reached), float(found.error) <= 0.02
    (True, True)

    Args:
        policy: As for `attribute_players`.
        images: As for `attribute_players`.
        players: As for `attribute_players`.
        background: As for `attribute_players`.
        target_stderr: As for `player_effects_until`, and so is what follows.
        most_draws: See there.
        key: See there.
        config: See there.
        so_far: See there.
        noise: For a policy that samples: a round's key -> a pytree with leading axis
            `config.draws`.
        **options: Further arguments of `attribute_players`.

    Raises:
        TypeError: Called inside `jit`, `vmap`, `grad` or `scan`.
        ValueError: A target or cap that cannot be, or `so_far` of other inputs.
    """

    def step(key: Array) -> Effects:
        # All frames of a batch share one draw of the noise.
        drawn = None if noise is None else noise(key if key.ndim == 0 else key[0])
        call: dict[str, Any] = {"key": key, "config": config, "noise": drawn, **options}
        return attribute_players(policy, images, players, background, **call)

    return _until(step, target_stderr, most_draws, key, config, so_far)


def _until(
    step: Callable[[Array], Effects],
    target: float,
    most_draws: int,
    key: Array | None,
    config: EffectsConfig,
    so_far: AdaptiveEffects | None,
) -> AdaptiveEffects:
    if not target > 0.0:
        raise ValueError(f"target_stderr must be positive, got {target}")
    least = -(-LEAST_DRAWS // config.draws) * config.draws
    if most_draws < least:
        raise ValueError(
            f"most_draws must hold at least {least} draws, whole rounds of {config.draws} "
            f"(EffectsConfig.draws), got {most_draws}"
        )
    key = jax.random.key(0) if key is None else key
    found = None if so_far is None else so_far.effects
    if so_far is not None:
        _require_alike(so_far, key, config)
    while True:
        draws = 0 if found is None else found.by_draw.shape[-2]
        if found is not None and draws >= least:
            error, reached, done = _judged(found, target)
            if done or draws + config.draws > most_draws:
                data = np.asarray(jax.random.key_data(key))
                rounds = np.asarray(draws // config.draws)
                return AdaptiveEffects(found, error, reached, rounds, data)
        number = draws // config.draws
        fold = jax.random.fold_in if key.ndim == 0 else jax.vmap(jax.random.fold_in, (0, None))
        new = step(fold(key, number))
        if not is_concrete(new.by_draw):
            raise TypeError(
                "effects of a requested error take as many draws as these tell, and cannot be "
                "traced: call it outside jit, vmap, grad and scan, or take a fixed number of "
                "draws with player_effects or attribute_players"
            )
        found = new if found is None else _together(found, new)


def _judged(found: Effects, target: float) -> tuple[np.ndarray, np.ndarray, bool]:
    """The largest error of a share, whether it is small enough, and whether all frames are done."""
    errors = np.where(np.asarray(found.area) > 0, np.asarray(found.share_stderr, np.float64), 0.0)
    known = np.asarray(found.valid)
    error = np.where(known, errors.max(-1), np.inf)
    reached = error <= target
    # What has no shares would not have any after more draws either, or hardly.
    return error, reached, bool((reached | ~known).all())


def _together(one: Effects, other: Effects) -> Effects:
    """The result of two rounds; what does not depend on the draws is the first's."""

    def joined(a: Any, b: Any, axis: int) -> Any:
        return jnp.concatenate([jnp.asarray(a), jnp.asarray(b)], axis)

    before, after = one.by_draw.shape[-2], other.by_draw.shape[-2]
    part = before / (before + after)

    def mean(a: Any, b: Any) -> Array:
        return part * jnp.asarray(a) + (1.0 - part) * jnp.asarray(b)

    config = one.config
    assert config is not None
    return dataclasses.replace(
        one,
        by_draw=joined(one.by_draw, other.by_draw, -2),
        moved=mean(one.moved, other.moved),
        beside={name: joined(own, other.beside[name], -1) for name, own in one.beside.items()},
        floor=jnp.maximum(jnp.asarray(one.floor), jnp.asarray(other.floor)),
        reason=_reason_of_both(jnp.asarray(one.reason), jnp.asarray(other.reason)),
        actions=mean(one.actions, other.actions),
        donors=None if one.donors is None else joined(one.donors, other.donors, -1),
        config=dataclasses.replace(config, draws=before + after),
    )


def _reason_of_both(one: Array, other: Array) -> Array:
    """Effects that exceed the floor in any round exceed it; NaN in any round stays NaN."""
    broken = (one == NOT_FINITE) | (other == NOT_FINITE)
    return jnp.where(broken, NOT_FINITE, jnp.minimum(one, other))


def _require_alike(so_far: AdaptiveEffects, key: Array, config: EffectsConfig) -> None:
    """Raises where an earlier result is of another key or of other options."""
    if not np.array_equal(so_far.key_data, jax.random.key_data(key)):
        raise ValueError("so_far is of another key")
    before = so_far.effects.config
    draws = so_far.effects.by_draw.shape[-2]
    alike = before == dataclasses.replace(config, draws=draws)
    if not alike or draws != int(so_far.rounds) * config.draws:
        raise ValueError(
            f"so_far has {int(so_far.rounds)} rounds, together {before}; rounds of {config} do not "
            "go on from there"
        )
