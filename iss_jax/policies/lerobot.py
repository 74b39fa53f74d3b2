"""LeRobot's policies in PyTorch, in this process: ACT, Diffusion, SmolVLA, π0, π0.5 and others.

    policy = from_policy(act, preprocessor, postprocessor)      # as LeRobot's factory makes them
    policy = from_pretrained("outputs/train/act/checkpoints/last/pretrained_model")

    found = policy.saliency(frames, state, prompt)              # {camera: [h, w, 3]}, [s], text
    found = policy.player_effects(frames, state, prompt, background)

A black box: batches of masked copies go through its own processors and its own network, on its own
device, without gradients. An answer is a chunk. Neither torch nor lerobot is imported before a
policy is asked; neither is part of an extra.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from iss_jax.background import Background
from iss_jax.checks import check_finite, check_text
from iss_jax.config import ISSConfig
from iss_jax.effects import Effects
from iss_jax.effects_config import EffectsConfig
from iss_jax.few import few
from iss_jax.players import Players, by_appearance
from iss_jax.policies import batched
from iss_jax.policies.shared_noise import free_rows, shared_noise
from iss_jax.results import Saliency

__all__ = ["LerobotPolicy", "from_policy", "from_pretrained"]

UNITS = ("normalised", "robot")
STATE, IMAGES, ACTION = "observation.state", "observation.images.", "action"


@dataclasses.dataclass(frozen=True)
class LerobotPolicy:
    """A policy of LeRobot with its processors (see `from_policy`).

    Attributes:
        policy: LeRobot's own object.
        cameras: Camera -> its feature.
        preprocessor: Batch -> what the policy takes; None where it takes the batch as it is.
        postprocessor: Actions [n, a] -> the robot's; None where they are those.
        seed: Of the noise that all rows share; None leaves each its own.
        executed: Whether a chunk is what `select_action` gives step by step, and not what
            `predict_action_chunk` gives at once.
        fixed: Sizes of what the policy draws for all rows together, found on its first answer.
    """

    policy: Any
    cameras: Mapping[str, str]
    preprocessor: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None
    postprocessor: Callable[[Any], Any] | None = None
    seed: int | None = 0
    executed: bool = False
    fixed: set[int] | None = dataclasses.field(default=None, repr=False, compare=False)

    def actions(
        self,
        frames: Mapping[str, Any],
        state: Any,
        prompt: str = "",
        *,
        draw: int = 0,
        units: str = "robot",
    ) -> np.ndarray:
        """Action chunks [n, H, A] for n frames of every camera.

        Args:
            frames: Camera -> uint8 [n, h, w, 3].
            state: [s], the robot's; or feature -> [s] for a policy that takes several. All frames
                have the same.
            prompt: The instruction, for policies that take one.
            draw: Number of the noise draw; with a seed, the same number gives the same noise.
            units: `robot`, after the postprocessor, or `normalised`, before it.

        Raises:
            ValueError: Unknown units, cameras that are missing or unknown, frames of another form.
        """
        if units not in UNITS:
            raise ValueError(f"units must be one of {UNITS}, got {units!r}")
        own = self._checked(frames)
        count = len(next(iter(own.values())))
        rows = free_rows(count, self._fixed(own, state, prompt)) if self._shares else count
        # Rows beyond those asked for are answered, and dropped.
        padded = {c: np.concatenate([f, f[-1:].repeat(rows - count, 0)]) for c, f in own.items()}
        return self._answered(padded, state, prompt, draw, units)[0][:count]

    def saliency(
        self,
        frames: Mapping[str, Any],
        state: Any,
        prompt: str = "",
        *,
        units: str = "normalised",
        config: ISSConfig | None = None,
        **options: Any,
    ) -> Saliency:
        """Interventional saliency of one frame of every camera.

        Args:
            frames: Camera -> [h, w, 3], uint8 or floats in [0, 1].
            state: As for `actions`.
            prompt: Likewise.
            units: `normalised`, the policy's own action space, or `robot`.
            config: Options of ISS; `noise_draws` above 1 averages over as many shared draws.
            options: Of `iss_jax.policies.batched.saliency`: key, masks, valid, baseline_calls,
                progress.

        Returns:
            `Saliency` without a batch axis. Its `floor` is what the policy's own noise gives, and
            is subtracted; zero where noise is shared.

        Raises:
            ValueError: As for `actions` and `iss_jax.policies.batched.saliency`.
        """
        own = self._own(frames)
        answers = self._answers(state, prompt, units)
        unit = f"{units} actions" if units != "robot" else "robot units"
        return batched.saliency(answers, own, config=config, unit=unit, **options)

    def player_effects(
        self,
        frames: Mapping[str, Any],
        state: Any,
        prompt: str = "",
        background: Background | None = None,
        *,
        players: Players | None = None,
        prompts: Sequence[str] | None = None,
        states: Any = None,
        units: str = "normalised",
        config: EffectsConfig = EffectsConfig(),
        **options: Any,
    ) -> Effects:
        """What the policy acts on in one frame: its things replaced by other frames' pixels.

        Args:
            frames: As for `saliency`.
            state: Likewise.
            prompt: Likewise.
            background: Donors of each camera at its size
                (`iss_jax.policies.camera_donors.camera_background`); not needed by
                `EffectsConfig(fill="blur")`.
            players: What may be taken away; segments of each camera when None.
            prompts: Instructions that replace the frame's own, one a draw
                (`found.beside["prompt"]`).
            states: States [draws, s] that replace the frame's own (`found.beside["state"]`).
            units: As for `saliency`.
            config: Static options.
            options: Of `iss_jax.policies.batched.player_effects`: key, groups, regions, valid,
                baseline_calls, progress.

        Returns:
            `Effects` without a batch axis.

        Raises:
            ValueError: As for `actions` and `iss_jax.policies.batched.player_effects`.
        """
        own = self._own(frames)
        beside: dict[str, batched.Answers] = {}
        for name, given in (("prompt", prompts), ("state", states)):
            if given is not None and len(given) != config.draws:
                raise ValueError(
                    f"{name}s: {len(given)} given, {config.draws} wanted, one for each draw"
                )
        if prompts is not None:
            beside["prompt"] = lambda f, d: self._answers(state, prompts[d], units)(f, d)
        if states is not None:
            beside["state"] = lambda f, d: self._answers(states[d], prompt, units)(f, d)
        if players is None:
            pictures = batched.checked_frames(own)
            players = by_appearance(
                {camera: jnp.asarray(frame) for camera, frame in pictures.items()},
                join=False,
                valid=options.get("valid"),
            )
        return batched.player_effects(
            self._answers(state, prompt, units),
            own,
            players,
            background,
            beside=beside,
            config=config,
            unit=f"{units} actions" if units != "robot" else "robot units",
            **options,
        )

    def _answers(self, state: Any, prompt: str, units: str) -> batched.Answers:
        return lambda frames, draw: self.actions(frames, state, prompt, draw=draw, units=units)

    def _own(self, frames: Mapping[str, Any]) -> dict[str, Any]:
        """Frames in the order of the policy's cameras."""
        unknown = sorted(set(frames) - set(self.cameras))
        lacking = [c for c in self.cameras if c not in frames and not _is_empty(c)]
        if unknown or lacking:
            raise ValueError(
                f"frames: cameras {few(sorted(frames))} given, {few(list(self.cameras))} wanted"
            )
        return {camera: frames[camera] for camera in self.cameras if camera in frames}

    def _answered(
        self, frames: Mapping[str, np.ndarray], state: Any, prompt: str, draw: int, units: str
    ) -> tuple[np.ndarray, set[int]]:
        """Chunks of all rows, and leading sizes of noise that is not theirs."""
        batch = self._batch(frames, state, prompt)
        count = len(next(iter(frames.values())))
        with _quiet(self.policy), self._noise(count, draw) as sizes:
            inputs = batch if self.preprocessor is None else self.preprocessor(batch)
            inputs = {name: self._placed(value) for name, value in dict(inputs).items()}
            inputs.pop(ACTION, None)
            chunk = self._chunk(inputs)
            steps = [chunk[:, step] for step in range(chunk.shape[1])]
            if units == "robot" and self.postprocessor is not None:
                # A processor of actions takes one step of every row.
                steps = [self.postprocessor(step) for step in steps]
            return np.stack([_to_numpy(step) for step in steps], 1), sizes

    def _fixed(self, frames: Mapping[str, np.ndarray], state: Any, prompt: str) -> set[int]:
        """Sizes that a policy draws whatever the number of rows: asked once, for two and three."""
        if self.fixed is None:
            few_rows = ({c: f[:1].repeat(n, 0) for c, f in frames.items()} for n in (2, 3))
            sizes = [self._answered(own, state, prompt, 0, "robot")[1] for own in few_rows]
            object.__setattr__(self, "fixed", set().union(*sizes))
        return self.fixed or set()

    def _checked(self, frames: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Frames in the order of the policy's cameras, all uint8 [n, h, w, 3]."""
        own = {camera: np.asarray(frame) for camera, frame in self._own(frames).items()}
        shown = {camera: list(frame.shape) for camera, frame in own.items()}
        wrong = any(frame.ndim != 4 or frame.shape[-1] != 3 for frame in own.values())
        if wrong or len({len(frame) for frame in own.values()}) != 1:
            raise ValueError(f"frames must all be [n, h, w, 3], got {shown}")
        for camera, frame in own.items():
            if frame.dtype != np.uint8:
                raise ValueError(f"frames[{camera!r}]: {frame.dtype} given, uint8 wanted")
        return own

    def _batch(self, frames: Mapping[str, np.ndarray], state: Any, prompt: str) -> dict[str, Any]:
        count = len(next(iter(frames.values())))
        batch: dict[str, Any] = {}
        for camera, frame in frames.items():
            # [n, 3, h, w] in [0, 1], as LeRobot's datasets give it.
            pixels = np.ascontiguousarray(np.moveaxis(frame, -1, 1)).astype(np.float32) / 255
            batch[self.cameras[camera]] = self._tensor(pixels)
        states = state if isinstance(state, Mapping) else {STATE: state}
        for name, value in states.items():
            value = np.asarray(value, np.float32)
            if value.ndim != 1:
                raise ValueError(f"state {name!r}: shape {list(value.shape)}, wanted [s]")
            check_finite(f"state {name!r}", value)
            batch[name] = self._tensor(np.repeat(value[None], count, 0))
        batch["task"] = [check_text("prompt", prompt)] * count
        return batch

    def _chunk(self, inputs: dict[str, Any]) -> Any:
        if self.executed:
            self.policy.reset()
            steps = int(self.policy.config.n_action_steps)
            chosen = [self.policy.select_action(dict(inputs)) for _ in range(steps)]
            self.policy.reset()
            return (
                np.stack([_to_numpy(step) for step in chosen], 1)
                if self._device is None
                else (_torch().stack(chosen, 1))
            )
        chunk = self.policy.predict_action_chunk(inputs)
        if len(np.shape(chunk)) != 3:
            raise ValueError(
                f"{type(self.policy).__name__} answered shape {list(np.shape(chunk))}, a chunk "
                "[n, H, A] wanted"
            )
        return chunk

    @property
    def _device(self) -> Any:
        """Of the policy's parameters; None where it has none, and takes numpy arrays."""
        parameters = getattr(self.policy, "parameters", None)
        return None if parameters is None else next(iter(parameters())).device

    def _tensor(self, array: np.ndarray) -> Any:
        return array if self._device is None else _torch().from_numpy(array).to(self._device)

    def _placed(self, value: Any) -> Any:
        return value.to(self._device) if hasattr(value, "to") and self._device else value

    @property
    def _shares(self) -> bool:
        return self.seed is not None and self._device is not None

    def _noise(self, rows: int, draw: int) -> contextlib.AbstractContextManager[set[int]]:
        if self.seed is None or self._device is None:
            return contextlib.nullcontext(set())
        return shared_noise(rows, self.seed + draw, self._device)


def from_policy(
    policy: Any,
    preprocessor: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
    postprocessor: Callable[[Any], Any] | None = None,
    *,
    cameras: Mapping[str, str] | None = None,
    seed: int | None = 0,
    executed: bool | None = None,
) -> LerobotPolicy:
    """A policy of LeRobot, as a black box that answers batches.

    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> from iss_jax import ISSConfig
    >>> from iss_jax.policies.lerobot import from_policy
    >>> class Policy:  # the methods of LeRobot's; one without parameters takes numpy arrays
    ...     config = SimpleNamespace(image_features={"observation.images.front": None})
    ...     def predict_action_chunk(self, batch):
    ...         return batch["observation.images.front"][..., :7, :].mean((2, 3))[:, None]
    >>> policy = from_policy(Policy())
    >>> frame = np.linspace(0, 255, 14 * 14 * 3).astype(np.uint8).reshape(14, 14, 3)
    >>> found = policy.saliency({"front": frame}, np.zeros(6), config=ISSConfig(num_masks=10))
    >>> found.maps["front"].shape, policy.actions({"front": frame[None]}, np.zeros(6)).shape
    ((14, 14), (1, 1, 3))

    Args:
        policy: LeRobot's, 0.4 or later: an object with `predict_action_chunk` or `select_action`.
            Its own queue of actions is emptied where it keeps one of observations.
        preprocessor: Of LeRobot's `make_pre_post_processors`.
        postprocessor: Likewise.
        cameras: Camera -> its feature, where they shall have other names than those of the
            policy's `config.image_features` without `observation.images.`.
        seed: Of the noise that all rows of a draw share; None leaves each row its own, and what it
            does is measured and subtracted.
        executed: Whether a chunk is what `select_action` gives in `n_action_steps` calls. When None
            it is for policies that keep past observations (Diffusion, VQ-BeT): they take the frame
            for all of them, as at the start of an episode.

    Raises:
        TypeError: No such policy.
        ValueError: A policy without cameras, or cameras that name features it lacks.
    """
    if not hasattr(policy, "config") or not (
        hasattr(policy, "predict_action_chunk") or hasattr(policy, "select_action")
    ):
        raise TypeError(
            f"policy: {type(policy).__name__} given, a LeRobot policy with `config` and "
            "`predict_action_chunk` or `select_action` wanted"
        )
    features = list(getattr(policy.config, "image_features", None) or {})
    if cameras is None:
        cameras = {name.removeprefix(IMAGES): name for name in features}
    unknown = sorted(set(cameras.values()) - set(features))
    if unknown or not cameras:
        raise ValueError(f"cameras: features {unknown} given, the policy has {few(features)}")
    if executed is None:
        executed = _keeps_observations(policy)
    return LerobotPolicy(policy, dict(cameras), preprocessor, postprocessor, seed, executed)


def from_pretrained(path: Any, *, device: str | None = None, **options: Any) -> LerobotPolicy:
    """A policy from a folder that LeRobot wrote: configuration, weights and processors.

    >>> from iss_jax.policies.lerobot import from_pretrained
    >>> policy = from_pretrained("checkpoints/last/pretrained_model")  # doctest: +SKIP

    Args:
        path: The folder `pretrained_model` of a checkpoint.
        device: Such as `cpu` or `cuda`; the one in its configuration when None.
        options: Of `from_policy`: cameras, seed, executed.

    Raises:
        ModuleNotFoundError: LeRobot is not installed.
        FileNotFoundError: No such folder, or it holds no configuration.
    """
    from pathlib import Path

    folder = Path(path)
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder}: no config.json, the folder pretrained_model wanted")
    try:
        from lerobot.configs.policies import PreTrainedConfig
        from lerobot.policies.factory import get_policy_class, make_pre_post_processors
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is not installed: LeRobot and what its policies import are wanted",
            name=error.name,
        ) from error
    config = PreTrainedConfig.from_pretrained(folder)
    config.device = device or config.device
    policy = get_policy_class(config.type).from_pretrained(folder, config=config)
    place = {"device_processor": {"device": str(config.device)}}
    before, after = make_pre_post_processors(
        config, pretrained_path=str(folder), preprocessor_overrides=place
    )
    return from_policy(policy, before, after, **options)


def _keeps_observations(policy: Any) -> bool:
    return not hasattr(policy, "predict_action_chunk") or any(
        name != ACTION for name in getattr(policy, "_queues", None) or {}
    )


def _is_empty(camera: str) -> bool:
    """Whether a policy stands in for the camera itself, as LeRobot's π0 does."""
    return camera.startswith("empty_camera")


@contextlib.contextmanager
def _quiet(policy: Any) -> Iterator[None]:
    """No gradients, and the mode of evaluation; the policy is afterwards in the mode it was in."""
    training = getattr(policy, "training", False)
    if hasattr(policy, "eval"):
        policy.eval()
    no_gradients = _torch().inference_mode() if hasattr(policy, "parameters") else None
    try:
        with no_gradients or contextlib.nullcontext():
            yield
    finally:
        if training:
            policy.train()


def _to_numpy(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().to("cpu").float().numpy()
    return np.asarray(value, np.float32)


def _torch() -> Any:
    import torch

    return torch
