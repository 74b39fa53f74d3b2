"""openpi's policies, from a checkpoint or live: a robot's observation in, its saliency out.

    policy = from_checkpoint("checkpoints/pi05_libero", "pi05_libero")   # needs no openpi
    policy = from_policy(openpi_policy, "pi05_libero")                   # a live openpi Policy

    sal = policy.saliency(frames, state, prompt)                   # normalised action error
    sal = policy.saliency(frames, state, prompt, units="robot")    # error in the robot's units
    sal = policy.explain(raw)                                      # the dict that the robot sends

In robot units the effect of a mask is the mean of (s_d · (â_hd − a*_hd))² over the H steps and the
robot's dimensions, s_d the scale of the un-normalisation of dimension d (with openpi's quantiles,
(q99 − q01 + 1e-6) / 2, times what the robot's own output transform does to it). It is the squared
error of the actions that the robot would execute. Where those mix units (metres, radians, an open
gripper), name one kind by `ISSConfig(action_dims=...)`: the largest unit decides otherwise.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from iss_jax.background import Background
from iss_jax.config import ISSConfig
from iss_jax.effects import Effects
from iss_jax.effects_config import EffectsConfig
from iss_jax.pi05 import model
from iss_jax.pi05.checkpoint import located, restore_params
from iss_jax.pi05.normalize import NormStats, check_stats
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.pi05.params import as_params, check_finite_params, sizes_of
from iss_jax.pi05.tokenizer import load_tokenizer
from iss_jax.pi05_effects import player_effects
from iss_jax.pi05_saliency import saliency
from iss_jax.players import Players, by_appearance
from iss_jax.policies.callback import saliency_callback
from iss_jax.policies.checkpoint_robot import config_of, own_stats, unfit
from iss_jax.policies.configs import PolicyConfig, named
from iss_jax.policies.robot_side import observe, picture, to_robot
from iss_jax.policies.units import action_scale, in_units
from iss_jax.results import Cameras, Saliency, effect_unit
from iss_jax.sampling import Sampling

__all__ = [
    "UNITS",
    "OpenpiPolicy",
    "checkpoint_tokenizer",
    "from_checkpoint",
    "from_params",
    "saliency_callback",
]

UNITS = ("normalised", "robot")


@dataclasses.dataclass(frozen=True)
class OpenpiPolicy:
    """A π0.5 with its robot (see `from_checkpoint` and `from_policy`).

    >>> import numpy as np
    >>> import iss_jax
    >>> from iss_jax import embedded
    >>> policy = iss_jax.from_checkpoint(embedded.checkpoint_path(), "embedded", dtype=None)
    >>> frames = {c: np.zeros((80, 80, 3), np.uint8) for c in policy.config.cameras.values()}
    >>> raw = policy.config.join(frames, np.zeros(8), "pick up the milk")
    >>> policy.infer(raw, noise=np.zeros((16, 7), np.float32)).shape
    (16, 7)
    >>> sal = policy.explain(raw, config=iss_jax.ISSConfig(num_masks=4))
    >>> sal.effects.shape
    (1, 4)

    Attributes:
        params: openpi's tree.
        config: The robot's side; None for a live policy of an unnamed robot.
        observe: The robot's dict -> `Observation` of batch one.
        to_robot: Normalised actions [H, A] and normalised state [s] -> the robot's actions [H, a].
        action_horizon: H.
        sampling: How its actions are sampled.
        letterbox: The robot's dict -> the pixels that are picture, where a live policy's own
            transforms tell; None where they do not.
    """

    params: Any
    config: PolicyConfig | None
    observe: Callable[[Mapping[str, Any]], Observation]
    to_robot: Callable[[np.ndarray, np.ndarray], np.ndarray]
    action_horizon: int
    sampling: Sampling = Sampling()
    letterbox: Callable[[Mapping[str, Any]], dict[str, np.ndarray] | None] | None = None

    @property
    def image_size(self) -> int:
        """Side of the square frame that the model takes, pixels."""
        return sizes_of(self.params).image.image_size

    def observation(self, frames: Mapping[str, Any], state: Any, prompt: str) -> Observation:
        """One observation, of batch one.

        Args:
            frames: Camera (the values of `config.cameras`) -> [h, w, 3], uint8 or float in [0, 1].
            state: [s], robot units.
            prompt: The instruction.

        Raises:
            ValueError: A camera is missing or unknown, a shape or range is wrong, or a live policy
                was given no configuration that says where frames belong.
        """
        return self.observe(self._raw(frames, state, prompt))

    def infer(self, raw: Mapping[str, Any], *, noise: Any) -> np.ndarray:
        """The robot's actions [H, a] for its dict, from flow noise [H, A] (float32)."""
        obs = self.observe(raw)
        noise = jnp.asarray(noise, jnp.float32)[None]
        sizes = sizes_of(self.params)
        if noise.shape[-1] != sizes.action_dim or noise.ndim != 3:
            raise ValueError(f"noise must be [H, {sizes.action_dim}], got {list(noise.shape[1:])}")
        sampling = self.sampling.resolved(model.compute_dtype(self.params))
        actions = _sample(self.params, obs, noise, sizes.image.image_size, sampling)
        return self.to_robot(np.asarray(actions)[0], np.asarray(obs.state)[0])

    def saliency(
        self, frames: Mapping[str, Any], state: Any, prompt: str, **options: Any
    ) -> Saliency:
        """`explain` of the dict that these make; arguments as for `observation`."""
        return self.explain(self._raw(frames, state, prompt), **options)

    def explain(
        self,
        raw: Mapping[str, Any],
        *,
        units: str = "normalised",
        config: ISSConfig = ISSConfig(),
        sampling: Sampling | None = None,
        **options: Any,
    ) -> Saliency:
        """Interventional saliency of what the robot sees.

        Args:
            raw: The robot's dict, as openpi's `Policy.infer` takes it.
            units: `normalised` (the policy's action space, App. A.2) or `robot`; the module says
                what the effect then is.
            config: Options of ISS. Its `action_dims` are the robot's own when None.
            sampling: How the actions are sampled; as the policy's are when None.
            options: Of `iss_jax.saliency`: key, noise, masks, mesh, valid.

        Returns:
            `Saliency` of batch one. `actions` stay normalised.

        Raises:
            ValueError: Unknown units, a malformed dict, or, in robot units, a robot whose actions
                have no one scale.
        """
        if units not in UNITS:
            raise ValueError(f"units must be one of {UNITS}, got {units!r}")
        obs = self.observe(raw)
        state = np.asarray(obs.state)[0]
        if config.action_dims is None:
            config = dataclasses.replace(config, action_dims=self._robot_dims(state))
        unit = effect_unit(config, f"{units} actions" if units != "robot" else "robot units")
        if units == "robot":
            config = in_units(config, self.action_scale(state), self.action_horizon)
        if options.get("valid") is None:
            options["valid"] = self._picture(raw, obs)
        found = saliency(
            self.params,
            obs,
            config=config,
            action_horizon=self.action_horizon,
            sampling=self.sampling if sampling is None else sampling,
            **options,
        )
        cameras = {} if self.config is None else self.config.cameras
        return dataclasses.replace(found, cameras=Cameras(cameras), unit=unit)

    def player_effects(
        self,
        frames: Mapping[str, Any],
        state: Any,
        prompt: str,
        background: Background | None = None,
        *,
        players: Players | None = None,
        prompts: Sequence[str] | None = None,
        states: Any = None,
        config: EffectsConfig = EffectsConfig(),
        **options: Any,
    ) -> Effects:
        """What the policy acts on in one frame: its things replaced by other frames' pixels.

        >>> import numpy as np
        >>> import iss_jax
        >>> from iss_jax import embedded
        >>> policy = iss_jax.from_checkpoint(embedded.checkpoint_path(), "embedded", dtype=None)
        >>> ramp = np.linspace(0, 255, 80 * 80 * 3).astype(np.uint8).reshape(80, 80, 3)
        >>> frames = {camera: ramp for camera in policy.config.cameras.values()}
        >>> config = iss_jax.EffectsConfig(fill="blur", draws=1)
        >>> found = policy.player_effects(frames, np.zeros(8), "pick up the milk", config=config)
        >>> found.effects.shape
        (1, 24)

        Args:
            frames: As for `observation`.
            state: Likewise.
            prompt: Likewise.
            background: Donors at the model's size (`iss_jax.policies.donors.background`); not
                needed by `EffectsConfig(fill="blur")`.
            players: What may be taken away; segments of each view when None.
            prompts: Instructions that replace the frame's own, one a draw: what they do is
                `found.beside["prompt"]`, beside the players.
            states: Robot states [draws, s] that replace the frame's own (`found.beside["state"]`):
                π0.5 reads them in the prompt, π0 as a token.
            config: Static options. Its `action_dims` are the robot's own when None.
            options: Of `iss_jax.player_effects`: key, groups, noise, mesh, valid.

        Returns:
            `Effects` of batch one.

        Raises:
            ValueError: As for `observation` and `iss_jax.player_effects`.
        """
        raw = self._raw(frames, state, prompt)
        obs = self.observe(raw)
        if config.action_dims is None:
            dims = self._robot_dims(np.asarray(obs.state)[0])
            config = dataclasses.replace(config, action_dims=dims)
        valid: Any = options.pop("valid", None)
        if valid is None:
            valid = self._picture(raw, obs)
        replaced: dict[str, list[dict[str, Any]]] = {}
        if prompts is not None:
            replaced["prompt"] = [self._raw(frames, state, one) for one in prompts]
        if states is not None:
            replaced["state"] = [self._raw(frames, one, prompt) for one in np.asarray(states)]
        if replaced:
            options["prompts"] = {
                name: self._tokens(name, own, config.draws) for name, own in replaced.items()
            }
        cameras = {} if self.config is None else self.config.cameras
        if players is None:
            there = {view: obs.images[view] for view in VIEWS if cameras.get(view)} or obs.images
            inside = {v: jnp.asarray(i) for v, i in (valid or {}).items() if v in there}
            players = by_appearance(there, join=False, valid=inside)
        found = player_effects(
            self.params,
            obs,
            players,
            background,
            config=config,
            action_horizon=self.action_horizon,
            sampling=self.sampling,
            valid=valid,
            **options,
        )
        return dataclasses.replace(found, cameras=Cameras(cameras))

    def _picture(self, raw: Mapping[str, Any], obs: Observation) -> dict[str, np.ndarray] | None:
        if self.letterbox is not None:
            return self.letterbox(raw)
        return None if self.config is None else picture(self.config, raw, obs)

    def action_scale(self, state: np.ndarray) -> np.ndarray:
        """Robot units of one normalised unit of each action dimension, [a].

        Args:
            state: [s], normalised; an output transform may add it to the actions.

        Raises:
            ValueError: The robot's actions are not affine in the policy's, dimension by dimension.
        """
        dims = sizes_of(self.params).action_dim
        return action_scale(lambda a: self.to_robot(a, state.copy()), self.action_horizon, dims)

    def _tokens(self, name: str, raw: list[dict[str, Any]], draws: int) -> tuple[jax.Array, ...]:
        """Tokens and mask of the prompts of several observations, [1, draws, l], and states."""
        if len(raw) != draws:
            raise ValueError(f"{name}s: {len(raw)} given, {draws} wanted, one for each draw")
        seen = [self.observe(one) for one in raw]
        names = ("tokenized_prompt", "tokenized_prompt_mask", "state")
        return tuple(
            jnp.concatenate([jnp.asarray(getattr(one, name)) for one in seen])[None]
            for name in names
        )

    def _robot_dims(self, state: np.ndarray) -> int:
        still = np.zeros((self.action_horizon, sizes_of(self.params).action_dim), np.float32)
        return np.shape(self.to_robot(still, state.copy()))[-1]

    def _raw(self, frames: Mapping[str, Any], state: Any, prompt: str) -> dict[str, Any]:
        if self.config is None:
            raise ValueError(
                "this policy has no PolicyConfig, which says where frames and state belong: name "
                "one in from_policy(policy, config=...), or call explain(raw)"
            )
        return self.config.join(frames, state, prompt)


def from_checkpoint(
    path: epath.PathLike,
    config: str | PolicyConfig | None = None,
    *,
    norm_stats: Mapping[str, NormStats] | None = None,
    tokenizer: epath.PathLike | None = None,
    dtype: Any = jnp.bfloat16,
    sampling: Sampling = Sampling(),
) -> OpenpiPolicy:
    """A policy from a checkpoint in openpi's layout; openpi need not be installed.

    Frames of another size than the model's are resized with padding by this package, not by the
    Pillow filter of openpi's input transform: they differ by rounding.

    >>> import iss_jax
    >>> from iss_jax import embedded
    >>> policy = iss_jax.from_checkpoint(embedded.checkpoint_path(), "embedded")
    >>> policy.image_size, policy.action_horizon, sorted(policy.config.cameras.values())
    (80, 16, ['front', 'overhead', 'wrist'])

    Args:
        path: The step's folder, which holds `params/` and `assets/`.
        config: A name in `iss_jax.policies.configs.CONFIGS`, or your own. When None it is the one
            whose statistics the checkpoint holds by name.
        norm_stats: Statistics to use instead of the checkpoint's.
        tokenizer: A sentencepiece file. When None it is the `.model` file in the checkpoint's
            assets, or PaliGemma's where openpi caches it.
        dtype: Of the floating parameters; openpi infers in bfloat16. None keeps them as saved.
        sampling: How the actions are sampled; it computes in the parameters' dtype where it names
            none.

    Raises:
        FileNotFoundError: Parameters, statistics or tokenizer are missing.
        ValueError: They are malformed, or do not fit the configuration. Or none is named and the
            checkpoint does not say; the message has those that fit.
    """
    root = located(path)
    config = config_of(root) if config is None else named(config)
    params = restore_params(root, dtype=dtype)
    if norm_stats is None:
        norm_stats = own_stats(root, config)
    return _policy(params, config, norm_stats, checkpoint_tokenizer(root, tokenizer), sampling)


def from_params(
    params: Any,
    config: str | PolicyConfig,
    *,
    norm_stats: Mapping[str, NormStats],
    tokenizer: Any,
    sampling: Sampling = Sampling(),
) -> OpenpiPolicy:
    """A policy from parameters in memory, such as those of a training state.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from iss_jax import embedded
    >>> from iss_jax.pi05.checkpoint import restore_params
    >>> from iss_jax.pi05.normalize import load_norm_stats
    >>> from iss_jax.policies.openpi import checkpoint_tokenizer, from_params
    >>> folder = embedded.checkpoint_path()
    >>> policy = from_params(
    ...     restore_params(folder, dtype=jnp.float32),
    ...     "embedded",
    ...     norm_stats=load_norm_stats(folder),
    ...     tokenizer=checkpoint_tokenizer(folder),
    ... )
    >>> policy.action_horizon
    16

    Args:
        params: Any form that `iss_jax.saliency` takes.
        config: A name in `iss_jax.policies.configs.CONFIGS`, or your own.
        norm_stats: {"state", "actions"}.
        tokenizer: A sentencepiece model.
        sampling: How the actions are sampled.

    Raises:
        ValueError: Statistics or model are of fewer dimensions than the robot, or hold numbers that
            are not finite.
    """
    params = as_params(params)
    sizes_of(params)
    check_finite_params(params)
    for name, stats in norm_stats.items():
        check_stats(f"norm_stats[{name!r}]", stats)
    return _policy(params, named(config), norm_stats, tokenizer, sampling)


def _policy(
    params: Any,
    config: PolicyConfig,
    norm_stats: Mapping[str, NormStats],
    tokenizer: Any,
    sampling: Sampling,
) -> OpenpiPolicy:
    sizes = sizes_of(params)
    wrong = unfit(config, norm_stats, sizes)
    if wrong:
        raise ValueError(f"{config.name}: {wrong}")
    return OpenpiPolicy(
        params=params,
        config=config,
        observe=partial(observe, config=config, norm_stats=norm_stats, tokenizer=tokenizer),
        to_robot=partial(to_robot, config=config, norm_stats=norm_stats),
        action_horizon=config.action_horizon,
        sampling=sampling,
    )


def checkpoint_tokenizer(root: epath.PathLike, given: epath.PathLike | None = None) -> Any:
    """The tokenizer of a checkpoint: the given file, the checkpoint's own, else PaliGemma's.

    >>> from iss_jax import embedded
    >>> from iss_jax.policies.openpi import checkpoint_tokenizer
    >>> checkpoint_tokenizer(embedded.checkpoint_path()).encode("pick up the milk", add_bos=True)[0]
    2

    Raises:
        FileNotFoundError: There is none.
    """
    own = sorted((located(root) / "assets").glob("*.model"))
    return load_tokenizer(given or (own[0] if own else None))


@partial(jax.jit, static_argnames=("image_size", "sampling"))
def _sample(
    params: Any, obs: Observation, noise: jax.Array, image_size: int, sampling: Sampling
) -> jax.Array:
    return model.sample_actions(params, preprocess(obs, image_size), noise, sampling)
