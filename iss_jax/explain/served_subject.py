"""A policy behind a server whose episodes are explained: one call a masked copy."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from iss_jax.background import Background, Groups
from iss_jax.config import ISSConfig
from iss_jax.data.dataset import Dataset
from iss_jax.data.episode import Episode
from iss_jax.effects_config import EffectsConfig
from iss_jax.explain.donors import Donors, PlayersAsked
from iss_jax.explain.own_size import allowed_donors, as_sent, own_size_donors
from iss_jax.explain.subject import EFFECTS, map_result
from iss_jax.players import Players
from iss_jax.policies import served, served_players
from iss_jax.policies.client import PolicyClient
from iss_jax.policies.configs import PolicyConfig
from iss_jax.policies.frames import FrameOptions, Seen
from iss_jax.results import effect_unit


@dataclasses.dataclass(frozen=True)
class ServedSubject:
    """Implements `iss_jax.explain.subject.Subject`.

    Attributes:
        client: Connected.
        address: Of the server.
        robot: What it is sent.
        cameras: View -> camera of the dataset.
        mirror: Whether frames are mirrored left to right.
        baseline_calls: Unmasked calls a frame, of which the floor is estimated.
    """

    client: PolicyClient
    address: str
    robot: PolicyConfig
    cameras: Mapping[str, str]
    mirror: bool
    baseline_calls: int

    @property
    def frame_options(self) -> FrameOptions:
        """Cameras and mirroring."""
        return FrameOptions(dict(self.cameras), mirror=self.mirror)

    @property
    def action_dims(self) -> int | None:
        """None: all that the server answers is the robot's."""
        return None

    @property
    def cannot(self) -> tuple[str, ...]:
        """What a server does not give."""
        return (
            "no gradients: estimators that differentiate the policy cannot be chosen",
            "a server that draws its own noise moves without a mask, too: what that comes to is "
            "measured and subtracted",
            "the policy is known by its address and its greeting alone: give each its own folder",
        )

    def run_keys(self) -> dict[str, Any]:
        """What a work item holds of the policy and of how it is sent frames."""
        return {
            "server": self.address,
            "metadata": json.dumps(self.client.metadata, sort_keys=True, default=str),
            "robot": self.robot.name,
            "cameras": self.frame_options.used,
            "baseline_calls": self.baseline_calls,
            **({"mirror": True} if self.mirror else {}),
        }

    def unit(self, config: ISSConfig | EffectsConfig) -> str:
        """What an effect is."""
        return effect_unit(config, "the server's actions")

    def see(self, episode: Episode) -> Seen:
        """Frames as they are sent."""
        return as_sent(episode, self.frame_options.used)

    def donors(self, dataset: Dataset, asked: PlayersAsked) -> Donors:
        """Donors at the cameras' own sizes."""
        return own_size_donors(dataset, asked, self.frame_options)

    def map_of(self, seen: Seen, frame: int, key: Any, config: ISSConfig) -> dict[str, Any]:
        """The map of one frame, and the floor that was subtracted."""
        found = served.attribute(
            self.client.infer,
            self._raw(seen, frame),
            self.robot,
            key=key,
            config=config,
            baseline_calls=self.baseline_calls,
            infer_batch=self.client.infer_batch,
        )
        result = found.saliency
        return map_result(result, seen.views) | {
            "floor": found.floor,
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
        """Effects of the players of one frame, a call a run."""
        found = served_players.attribute_players(
            self.client.infer,
            self._raw(seen, frame),
            self.robot,
            one_of(players),
            allowed_donors(bank, groups),
            key=key,
            config=config,
            baseline_calls=self.baseline_calls,
        )
        return {name: np.asarray(getattr(found, name)).tolist() for name in EFFECTS}

    def close(self) -> None:
        """Hangs up."""
        self.client.close()

    def _raw(self, seen: Seen, frame: int) -> dict[str, Any]:
        frames = {
            self.robot.cameras[view]: image[frame]
            for view, image in seen.images.items()
            if view in self.robot.cameras
        }
        return self.robot.join(frames, seen.episode.state[frame], seen.episode.prompt)


def one_of(players: Players) -> Players:
    """The players of a batch of one, without its axis."""
    labels = {view: own[0] for view, own in players.labels.items()}
    return Players(labels, names=players.names)
