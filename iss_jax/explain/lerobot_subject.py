"""A LeRobot policy in PyTorch whose episodes are explained, as a black box in this process."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from iss_jax.background import Background, Groups
from iss_jax.config import ISSConfig
from iss_jax.data.dataset import Dataset
from iss_jax.data.episode import Episode
from iss_jax.effects_config import EffectsConfig
from iss_jax.explain.donors import Donors, PlayersAsked
from iss_jax.explain.own_size import CameraOptions, allowed_donors, as_sent, own_size_donors
from iss_jax.explain.served_subject import one_of
from iss_jax.explain.subject import EFFECTS, map_result
from iss_jax.players import Players
from iss_jax.policies.frames import FrameOptions, Seen
from iss_jax.results import effect_unit


@dataclasses.dataclass(frozen=True)
class LerobotSubject:
    """Implements `iss_jax.explain.subject.Subject`.

    Attributes:
        policy: Of `iss_jax.policies.lerobot.from_pretrained`: `saliency` and `player_effects` of
            frames (camera -> [h, w, 3]), state and instruction.
        cameras: Camera of the policy -> camera of the dataset.
        mirror: Whether frames are mirrored left to right.
        fingerprint: Tells the policy from others.
        baseline_calls: Unmasked rows a frame, of which the floor is estimated.
    """

    policy: Any
    cameras: Mapping[str, str]
    mirror: bool
    fingerprint: str
    baseline_calls: int

    @property
    def frame_options(self) -> FrameOptions:
        """Cameras and mirroring."""
        return CameraOptions(dict(self.cameras), mirror=self.mirror)

    @property
    def action_dims(self) -> int | None:
        """None: all dimensions are the robot's."""
        return None

    @property
    def cannot(self) -> tuple[str, ...]:
        """What JAX cannot do with PyTorch."""
        return ("no gradients: estimators that differentiate the policy cannot be chosen",)

    def run_keys(self) -> dict[str, Any]:
        """What a work item holds of the policy and of how it is shown frames."""
        return {
            "checkpoint": self.fingerprint,
            "model": type(getattr(self.policy, "policy", self.policy)).__name__,
            "cameras": self.frame_options.used,
            "baseline_calls": self.baseline_calls,
            **({"mirror": True} if self.mirror else {}),
        }

    def unit(self, config: ISSConfig | EffectsConfig) -> str:
        """What an effect is."""
        return effect_unit(config, "normalised actions")

    def see(self, episode: Episode) -> Seen:
        """Frames as they are given to the policy's own processors."""
        return as_sent(episode, self.frame_options.used)

    def donors(self, dataset: Dataset, asked: PlayersAsked) -> Donors:
        """Donors at the cameras' own sizes."""
        return own_size_donors(dataset, asked, self.frame_options)

    def map_of(self, seen: Seen, frame: int, key: Any, config: ISSConfig) -> dict[str, Any]:
        """The map of one frame, and the floor that was subtracted."""
        result = self.policy.saliency(
            *_frame(seen, frame), key=key, config=config, baseline_calls=self.baseline_calls
        )
        return map_result(result, seen.views) | {
            "floor": float(getattr(result, "floor", 0.0) or 0.0),
        }

    def effects_of(
        self,
        seen: Seen,
        frame: int,
        players: Players,
        bank: Background | None,
        groups: Groups | None,
        key: Any,
        config: EffectsConfig,
    ) -> dict[str, Any]:
        """Effects of the players of one frame."""
        found = self.policy.player_effects(
            *_frame(seen, frame),
            allowed_donors(bank, groups),
            players=one_of(players),
            key=key,
            config=config,
            baseline_calls=self.baseline_calls,
        )
        return {name: np.asarray(getattr(found, name)).tolist() for name in EFFECTS}


def _frame(seen: Seen, frame: int) -> tuple[dict[str, np.ndarray], np.ndarray, str]:
    frames = {view: image[frame] for view, image in seen.images.items()}
    return frames, seen.episode.state[frame], seen.episode.prompt
