"""A π0.5 or π0 whose episodes are explained, from its parameters."""

import dataclasses
from functools import partial
from typing import Any

import jax
import numpy as np

from iss_jax import Players, Sampling, player_effects, saliency
from iss_jax.background import Background, Groups
from iss_jax.config import ISSConfig
from iss_jax.data.dataset import Dataset
from iss_jax.data.episode import Episode
from iss_jax.effects_config import EffectsConfig
from iss_jax.explain.donors import Donors, PlayersAsked, load_donors
from iss_jax.explain.subject import EFFECTS, map_result
from iss_jax.jobs.options import PolicyOptions
from iss_jax.pi05.observation import Observation
from iss_jax.policies.frames import FrameOptions, Seen, present_views, see
from iss_jax.policies.restored import Policy
from iss_jax.results import effect_unit


@dataclasses.dataclass(frozen=True)
class OpenpiSubject:
    """Implements `iss_jax.explain.subject.Subject`.

    Attributes:
        policy: Restored.
        options: How it is shown frames.
        dims: Dimensions of the robot's action; those of the statistics when 0.
        trim_prompt: Whether prompts are cut to the longest of their episode. Without it all
            episodes have prompts of one length, hence one compiled program.
    """

    policy: Policy
    options: PolicyOptions
    dims: int = 0
    trim_prompt: bool = True

    @property
    def frame_options(self) -> FrameOptions:
        """Cameras, prompt and mirroring."""
        return self.options.frame_options

    @property
    def action_dims(self) -> int | None:
        """Dimensions of the robot's action."""
        return self.dims or len(self.policy.norm_stats["actions"].mean)

    @property
    def cannot(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def run_keys(self) -> dict[str, Any]:
        """What a work item holds of the policy and of the options."""
        return self.options.run_keys(self.policy)

    def unit(self, config: ISSConfig | EffectsConfig) -> str:
        """What an effect is."""
        return effect_unit(config, "normalised actions")

    def see(self, episode: Episode) -> Seen:
        """Frames as the policy sees them."""
        return see(episode, self.policy, self.frame_options, trim_prompt=self.trim_prompt)

    def donors(self, dataset: Dataset, asked: PlayersAsked) -> Donors:
        """Donors at the size of the policy's images."""
        return load_donors(
            self.options,
            self.policy,
            dataset,
            fill=asked.fill,
            root=asked.donors_from,
            most=asked.donors,
        )

    def map_of(self, seen: Seen, frame: int, key: Any, config: ISSConfig) -> dict[str, Any]:
        """The map of one frame."""
        result = _saliency(
            self.policy.params,
            one_frame(seen.obs, frame),
            key,
            views=seen.views,
            iss=config,
            action_horizon=self.options.action_horizon,
            sampling=Sampling(num_steps=self.options.num_steps),
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
        found = player_effects(
            self.policy.params,
            present_views(one_frame(seen.obs, frame), seen.views),
            players,
            bank,
            key=key,
            config=config,
            groups=groups,
            action_horizon=self.options.action_horizon,
            # Prompts were trimmed to the longest of the episode: one program serves all frames.
            sampling=untrimmed(Sampling(num_steps=self.options.num_steps)),
        )
        return {name: np.asarray(getattr(found, name))[0].tolist() for name in EFFECTS}


def one_frame(obs: Any, frame: int) -> Any:
    """One row of a batch of observations, itself a batch."""
    return jax.tree.map(lambda leaf: leaf[frame : frame + 1], obs)


def untrimmed(sampling: Sampling) -> Sampling:
    """The same without cutting prompts, each to its own length."""
    savings = dataclasses.replace(sampling.savings, trim_prompt=False)
    return dataclasses.replace(sampling, savings=savings)


@partial(jax.jit, static_argnames=("views", "iss", "action_horizon", "sampling"))
def _saliency(
    params: Any,
    obs: Observation,
    key: Any,
    *,
    views: tuple[str, ...],
    iss: ISSConfig,
    action_horizon: int,
    sampling: Sampling,
) -> Any:
    # Under jit prompts are not trimmed, each to its own length: one program serves all frames.
    return saliency(
        params,
        present_views(obs, views),
        key=key,
        config=iss,
        action_horizon=action_horizon,
        sampling=sampling,
    )
