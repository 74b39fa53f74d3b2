"""What a robot sends to its policy and what it gets back, as data.

The released ones have the names of openpi's training configurations; keys, sizes and conventions
are those of openpi at the commit in `third_party/README.md`. One of your own:

>>> from iss_jax.policies.configs import PolicyConfig
>>> mine = PolicyConfig(
...     name="my_arm",
...     cameras={"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"},
...     state={"joints": 6, "gripper": 1},
...     action_horizon=16,
...     action_dims=7,
... )
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from iss_jax.checks import check_finite, check_text
from iss_jax.few import few
from iss_jax.option_types import check_types
from iss_jax.pi0_fast.observation import FAST_VIEWS
from iss_jax.pi05.normalize import NORMALISATIONS
from iss_jax.pi05.observation import DEFAULT_CAMERAS, VIEWS
from iss_jax.policies import aloha

MODELS = ("", "π0.5", "π0", "π0-FAST")


def _same_state(state: np.ndarray) -> np.ndarray:
    return state


def _same_actions(actions: np.ndarray, state: np.ndarray) -> np.ndarray:
    del state
    return actions


def _deltas_to_state(actions: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Six actions relative to the first six dimensions of the state, the gripper's as it is."""
    relative = np.arange(actions.shape[-1]) < 6
    padded = np.zeros(actions.shape[-1])
    padded[:6] = state[:6]
    return np.asarray(actions, np.float64) + np.where(relative, padded, 0.0)


@dataclasses.dataclass(frozen=True)
class PolicyConfig:
    """One robot's side of a π0.5 or π0.

    Attributes:
        name: Of the configuration.
        cameras: View of the policy -> key of its camera in the robot's dict. A view without a
            camera is absent.
        state: Key of the robot's dict -> how many dimensions of the state it holds, in order.
        action_horizon: H, length of the predicted chunk.
        action_dims: Dimensions of the robot's action, the first of the policy's.
        discrete_state_input: Whether the prompt tells the state; never that of a π0.
        normalisation: Of state and actions: `quantiles`, or `mean_std` as π0 has it.
        model: `π0.5`, `π0` or `π0-FAST`, which the parameters are checked against; any when
            empty.
        max_token_len: Length of the prompt with its padding.
        asset_id: Folder of the normalisation statistics under the checkpoint's `assets/`; the only
            one there when it is empty or missing.
        images: Key under which the robot's dict nests its cameras; empty where they lie flat.
        channels_first: Whether the robot's frames are [3, h, w].
        optional: Views that may be missing from a robot's dict; the policy then sees none there.
        decode_state: The robot's state [s] in the space that the statistics describe.
        encode_actions: Un-normalised actions [H, a] and decoded state [s] -> what the robot takes.
            Affine in each action dimension, where attribution in robot units is wanted.
        dataset_cameras: View -> camera of a dataset, where it has another name there than in the
            robot's dict.
    """

    name: str
    cameras: Mapping[str, str]
    state: Mapping[str, int]
    action_horizon: int
    action_dims: int
    discrete_state_input: bool = True
    normalisation: str = "quantiles"
    model: str = ""
    max_token_len: int = 200
    asset_id: str = ""
    images: str = ""
    channels_first: bool = False
    optional: tuple[str, ...] = ()
    decode_state: Callable[[np.ndarray], np.ndarray] = _same_state
    encode_actions: Callable[[np.ndarray, np.ndarray], np.ndarray] = _same_actions
    dataset_cameras: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_types(self)
        views = VIEWS if self.model != "π0-FAST" else tuple(dict.fromkeys((*VIEWS, *FAST_VIEWS)))
        unknown = sorted(set(self.cameras) - set(views))
        if unknown or not self.cameras:
            raise ValueError(
                f"PolicyConfig {self.name!r}: cameras must name some of the views {list(views)}, "
                f"got {sorted(self.cameras)}"
            )
        alien = sorted(set(self.dataset_cameras) - set(self.cameras))
        if alien:
            raise ValueError(
                f"PolicyConfig {self.name!r}: dataset_cameras name {alien}, cameras name "
                f"{sorted(self.cameras)}"
            )
        for name, known in (("normalisation", NORMALISATIONS), ("model", MODELS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"PolicyConfig {self.name!r}: {name} must be one of {known}, got "
                    f"{getattr(self, name)!r}"
                )
        for name in ("action_horizon", "action_dims", "max_token_len"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"PolicyConfig {self.name!r}: {name} must be at least 1, got "
                    f"{getattr(self, name)}"
                )

    @property
    def recorded(self) -> dict[str, str]:
        """View -> what its camera is called in a dataset."""
        return {**self.cameras, **self.dataset_cameras}

    def split(self, raw: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], np.ndarray, str]:
        """A robot's dict as its frames (camera -> [h, w, 3]), its state [s] and its prompt.

        Raises:
            ValueError: A key is missing, what it holds has another shape or is not finite, or the
                prompt is no text.
        """
        held = raw.get(self.images, {}) if self.images else raw
        frames = {}
        for view, camera in self.cameras.items():
            if camera not in held:
                if view in self.optional:
                    continue
                raise ValueError(
                    f"{self.name}: the observation lacks the camera {camera!r} (view {view!r})"
                    f"{self._looked(raw)}"
                )
            frame = np.asarray(held[camera])
            if frame.ndim == 3 and frame.shape[0] == 3 and frame.shape[-1] != 3:
                frame = np.moveaxis(frame, 0, -1)
            if frame.ndim != 3 or frame.shape[-1] != 3:
                raise ValueError(
                    f"{self.name}: camera {camera!r} has shape {frame.shape}, wanted [h, w, 3]"
                )
            check_finite(f"{self.name}: camera {camera!r}", frame)
            frames[camera] = frame
        parts = []
        for key, dims in self.state.items():
            if key not in raw:
                raise ValueError(
                    f"{self.name}: the observation lacks the state {key!r}; it has "
                    f"{few(sorted(raw))}"
                )
            part = np.atleast_1d(np.asarray(raw[key], np.float32))
            check_finite(f"{self.name}: state {key!r}", part)
            if part.shape != (dims,):
                raise ValueError(
                    f"{self.name}: state {key!r} has shape {part.shape}, wanted [{dims}]"
                )
            parts.append(part)
        if "prompt" not in raw:
            raise ValueError(
                f"{self.name}: the observation lacks 'prompt'; it has {few(sorted(raw))}"
            )
        prompt = check_text(f"{self.name}: prompt", raw["prompt"])
        return frames, np.concatenate(parts), prompt

    def _looked(self, raw: Mapping[str, Any]) -> str:
        """Where the cameras were looked for, and what is there."""
        if not self.images:
            return f"; its images are {_images(raw)}"
        wanted = f"PolicyConfig(images={self.images!r})"
        if self.images not in raw:
            return f" under {self.images!r} ({wanted}), which it lacks; sent: {few(sorted(raw))}"
        return (
            f" under {self.images!r} ({wanted}); its images there are {_images(raw[self.images])}"
        )

    def join(self, frames: Mapping[str, Any], state: Any, prompt: str) -> dict[str, Any]:
        """Inverse of `split`: the dict that the robot would send.

        Raises:
            ValueError: An unknown camera, or a state of another length.
        """
        unknown = sorted(set(frames) - set(self.cameras.values()))
        if unknown:
            raise ValueError(
                f"{self.name}: unknown cameras {unknown}, wanted {sorted(self.cameras.values())}"
            )
        state = np.asarray(state, np.float32)
        if state.shape != (sum(self.state.values()),):
            raise ValueError(
                f"{self.name}: state has shape {state.shape}, wanted "
                f"[{sum(self.state.values())}] ({dict(self.state)})"
            )
        ends = np.cumsum(list(self.state.values()))[:-1]
        raw: dict[str, Any] = dict(zip(self.state, np.split(state, ends), strict=True))
        raw["prompt"] = prompt
        return self.with_frames(raw, frames)

    def with_frames(self, raw: Mapping[str, Any], frames: Mapping[str, Any]) -> dict[str, Any]:
        """The robot's dict with other frames [h, w, 3]; everything else as it is."""
        held = {
            camera: np.moveaxis(np.asarray(frame), -1, 0) if self.channels_first else frame
            for camera, frame in frames.items()
        }
        if self.images:
            return {**raw, self.images: {**raw.get(self.images, {}), **held}}
        return {**raw, **held}


PI05_LIBERO = PolicyConfig(
    name="pi05_libero",
    model="π0.5",
    cameras={
        "base_0_rgb": "observation/image",
        "left_wrist_0_rgb": "observation/wrist_image",
    },
    state={"observation/state": 8},
    action_horizon=10,
    action_dims=7,
    discrete_state_input=False,
    asset_id="physical-intelligence/libero",
)

PI05_DROID = PolicyConfig(
    name="pi05_droid",
    model="π0.5",
    cameras={
        "base_0_rgb": "observation/exterior_image_1_left",
        "left_wrist_0_rgb": "observation/wrist_image_left",
    },
    state={"observation/joint_position": 7, "observation/gripper_position": 1},
    action_horizon=15,
    action_dims=8,
    asset_id="droid",
)

PI05_ALOHA = PolicyConfig(
    name="pi05_aloha",
    model="π0.5",
    cameras={
        "base_0_rgb": "cam_high",
        "left_wrist_0_rgb": "cam_left_wrist",
        "right_wrist_0_rgb": "cam_right_wrist",
    },
    state={"state": 14},
    action_horizon=50,
    action_dims=14,
    asset_id="trossen",
    images="images",
    channels_first=True,
    optional=("left_wrist_0_rgb", "right_wrist_0_rgb"),
    decode_state=aloha.decode_state,
    encode_actions=aloha.encode_actions,
)

PI05_XICM = PolicyConfig(
    name="pi05-xicm",
    model="π0.5",
    cameras=DEFAULT_CAMERAS,
    state={"state": 8},
    action_horizon=16,
    action_dims=8,
    images="images",
)
"""The paper's (App. C): three cameras, seven joints and a gripper, chunks of 16. The paper does not
say which camera feeds which view: this is the mapping by their names."""

EMBEDDED = PolicyConfig(
    name="embedded",
    model="π0.5",
    cameras=DEFAULT_CAMERAS,
    state={"state": 8},
    action_horizon=16,
    action_dims=7,
    max_token_len=40,
    images="images",
)
"""The small policy that ships with this package."""

_PI0: dict[str, Any] = {
    "model": "π0",
    "discrete_state_input": False,
    "normalisation": "mean_std",
    "max_token_len": 48,
}

PI0_LIBERO = dataclasses.replace(
    PI05_LIBERO, name="pi0_libero", action_horizon=50, encode_actions=_deltas_to_state, **_PI0
)
"""Its released configuration takes LIBERO's actions, which are deltas, as if they were positions:
six of them are stored less the state, and the state is added again."""

PI0_DROID = dataclasses.replace(PI05_DROID, name="pi0_droid", action_horizon=10, **_PI0)

PI0_ALOHA = dataclasses.replace(PI05_ALOHA, name="pi0_aloha", **_PI0)

CONFIGS: dict[str, PolicyConfig] = {
    config.name: config
    for config in (
        PI05_LIBERO,
        PI05_DROID,
        PI05_ALOHA,
        PI05_XICM,
        PI0_LIBERO,
        PI0_DROID,
        PI0_ALOHA,
        EMBEDDED,
    )
}


def _images(held: Mapping[str, Any]) -> list[str]:
    """What a robot's dict holds that may be a frame: no states, no prompt."""
    return sorted(key for key, value in held.items() if np.ndim(value) >= 3)


def named(config: "str | PolicyConfig") -> PolicyConfig:
    """A configuration by its name; one of your own is returned as it is.

    Raises:
        ValueError: No such name.
    """
    if isinstance(config, PolicyConfig):
        return config
    if config not in CONFIGS:
        raise ValueError(
            f"config {config!r}: one of {sorted(CONFIGS)}, or a PolicyConfig of your own"
        )
    return CONFIGS[config]
