"""A π0-FAST whose episodes are explained, from its parameters: by the KL of its action tokens."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from iss_jax import Players, Sampling, player_effects, saliency
from iss_jax.background import Background, Groups
from iss_jax.config import ISSConfig
from iss_jax.data.dataset import Dataset
from iss_jax.data.episode import Episode
from iss_jax.effects_config import EffectsConfig
from iss_jax.explain.donors import Donors, PlayersAsked, find_donors
from iss_jax.explain.openpi_subject import one_frame, untrimmed
from iss_jax.explain.own_size import CameraOptions
from iss_jax.explain.subject import EFFECTS, map_result
from iss_jax.pi0_fast.inputs import fast_observation, views_of
from iss_jax.pi0_fast.saliency import kl_unit
from iss_jax.policies.donors import background
from iss_jax.policies.frames import FrameOptions, Seen, geometry
from iss_jax.policies.restored import Policy


@dataclasses.dataclass(frozen=True)
class FastSubject:
    """Implements `iss_jax.explain.subject.Subject`.

    Attributes:
        policy: Restored.
        cameras: View -> camera of the dataset.
        max_token_len: Prompts are padded to this.
        mirror: Whether frames are mirrored left to right.
        answer_tokens: Of an answer, at most.
        dtype: Of the parameters, by name.
    """

    policy: Policy
    cameras: Mapping[str, str]
    max_token_len: int
    mirror: bool
    answer_tokens: int
    dtype: str

    @property
    def frame_options(self) -> FrameOptions:
        """Cameras and mirroring."""
        ordered = {view: self.cameras.get(view, "") for view in views_of(self.cameras)}
        return CameraOptions(ordered, self.max_token_len, mirror=self.mirror)

    @property
    def action_dims(self) -> int | None:
        """None: an answer's tokens have no dimensions."""
        return None

    @property
    def cannot(self) -> tuple[str, ...]:
        """What a π0-FAST has not."""
        return (
            "effects are of whole answers: single action dimensions and steps of a chunk cannot be "
            "chosen, and there is no flow noise to average over",
        )

    def run_keys(self) -> dict[str, Any]:
        """What a work item holds of the policy and of how it is shown frames."""
        return {
            "checkpoint": self.policy.fingerprint,
            "model": "π0-FAST",
            "dtype": self.dtype,
            "cameras": self.frame_options.used,
            "max_token_len": self.max_token_len,
            "answer_tokens": self.answer_tokens,
            **({"mirror": True} if self.mirror else {}),
        }

    def unit(self, config: ISSConfig | EffectsConfig) -> str:
        """What an effect is."""
        return kl_unit(config.reduction)

    def see(self, episode: Episode) -> Seen:
        """Frames as the policy sees them."""
        used = self.frame_options.used
        obs: Any = fast_observation(
            {camera: episode.images[camera] for camera in used.values()},
            self.policy.states(episode.state),
            [episode.prompt] * len(episode),
            tokenizer=self.policy.tokenizer,
            norm_stats=self.policy.norm_stats,
            max_token_len=self.max_token_len,
            cameras=used,
        )
        longest = int(np.asarray(obs.tokenized_prompt_mask).sum(-1).max())
        obs = dataclasses.replace(
            obs,
            tokenized_prompt=obs.tokenized_prompt[:, :longest],
            tokenized_prompt_mask=obs.tokenized_prompt_mask[:, :longest],
        )
        return Seen(episode, obs, used, **geometry(episode, used, self.policy.image_size))

    def donors(self, dataset: Dataset, asked: PlayersAsked) -> Donors:
        """Donors at the size of the policy's images."""
        shown = self.frame_options
        return find_donors(
            partial(background, image_size=self.policy.image_size, options=shown),
            dataset,
            shown,
            fill=asked.fill,
            root=asked.donors_from,
            most=asked.donors,
        )

    def map_of(self, seen: Seen, frame: int, key: Any, config: ISSConfig) -> dict[str, Any]:
        """The map of one frame."""
        obs = one_frame(seen.obs, frame)
        result = saliency(
            self.policy.params,
            obs,
            key=key,
            config=config,
            valid=self._without_blank(obs),
            sampling=untrimmed(self._sampling),
        )
        return map_result(result, seen.views)

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
        obs = one_frame(seen.obs, frame)
        if bank is not None:
            # A view without a camera is black in every frame.
            black = jnp.zeros_like(next(iter(bank.images.values())))
            blank = {view: black for view in obs.images if view not in bank.images}
            bank = dataclasses.replace(bank, images={**bank.images, **blank}, regions=None)
        found = player_effects(
            self.policy.params,
            obs,
            players,
            bank,
            key=key,
            config=config,
            groups=groups,
            valid=self._without_blank(obs),
            sampling=untrimmed(self._sampling),
        )
        return {name: np.asarray(getattr(found, name))[0].tolist() for name in EFFECTS}

    @property
    def _sampling(self) -> Sampling:
        return Sampling(answer_tokens=self.answer_tokens)

    def _without_blank(self, obs: Any) -> dict[str, Any] | None:
        """Nothing of a view without a camera is picture."""
        used = self.frame_options.used
        blank: dict[str, Any] = {
            view: np.zeros(image.shape[:3], bool)
            for view, image in obs.images.items()
            if view not in used
        }
        return blank or None
