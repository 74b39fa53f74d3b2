"""A π0-FAST with its robot: what it sees in, its actions and its maps out."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from iss_jax.background import Background
from iss_jax.config import ISSConfig
from iss_jax.effects import Effects
from iss_jax.effects_config import EffectsConfig
from iss_jax.pi0_fast.observation import FastObservation, fast_inputs
from iss_jax.pi0_fast.params import fast_sizes_of
from iss_jax.pi0_fast.saliency import greedy_answer
from iss_jax.pi05.model import compute_dtype
from iss_jax.pi05_effects import player_effects
from iss_jax.pi05_saliency import saliency
from iss_jax.players import Players
from iss_jax.results import Saliency
from iss_jax.sampling import Sampling


@dataclasses.dataclass(frozen=True)
class FastPolicy:
    """A π0-FAST as openpi's policy wraps it (`iss_jax.policies.live.from_policy`).

    >>> import inspect
    >>> from iss_jax.policies.fast import FastPolicy
    >>> [field for field in inspect.signature(FastPolicy).parameters]
    ['params', 'observe', 'to_robot', 'sampling', 'letterbox']

    Attributes:
        params: openpi's tree.
        observe: The robot's dict -> `FastObservation` of batch one.
        to_robot: Token ids [t] and normalised state [s] -> the robot's actions [H, a].
        sampling: How it answers: dtype and most tokens.
        letterbox: The robot's dict -> the pixels that are picture; all count when None.
    """

    params: Any
    observe: Callable[[Mapping[str, Any]], FastObservation]
    to_robot: Callable[[np.ndarray, np.ndarray], np.ndarray]
    sampling: Sampling = Sampling()
    letterbox: Callable[[Mapping[str, Any]], dict[str, np.ndarray] | None] | None = None

    def infer(self, raw: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The robot's actions for its dict, by the greedy answer.

        `served.attribute(policy.infer, raw, robot)` explains the squared error of these actions,
        for which the KL of tokens needs no stand-in.

        Returns:
            `actions` [H, a].
        """
        obs, sizes = self.observe(raw), fast_sizes_of(self.params)
        inputs = fast_inputs(obs, sizes.vocab)
        sampling = self.sampling.resolved(compute_dtype(self.params))
        answer = greedy_answer(self.params, inputs, sizes.image.image_size, sampling)
        state = np.asarray(obs.state)[0]
        # openpi's detokeniser takes the floats that its sampler gives.
        return {"actions": np.asarray(self.to_robot(np.asarray(answer, np.float32)[0], state))}

    def explain(
        self, raw: Mapping[str, Any], *, config: ISSConfig = ISSConfig(), **options: Any
    ) -> Saliency:
        """Interventional saliency of what the robot sees, by the KL of action tokens.

        Args:
            raw: The robot's dict.
            config: Options of ISS.
            options: Of `iss_jax.saliency`: key, masks, mesh, valid.

        Raises:
            ValueError: As for `iss_jax.saliency`.
        """
        given: Any = {"sampling": self.sampling} | self._picture(raw) | options
        return saliency(self.params, self.observe(raw), config=config, **given)

    def player_effects(
        self,
        raw: Mapping[str, Any],
        players: Players,
        background: Background | None = None,
        *,
        config: EffectsConfig = EffectsConfig(),
        **options: Any,
    ) -> Effects:
        """What the policy acts on in one frame, by the KL of action tokens.

        Args:
            raw: The robot's dict.
            players: What may be taken away, at the size of the policy's frames.
            background: Donors at that size.
            config: Static options.
            options: Of `iss_jax.player_effects`: key, groups, regions, mesh, valid.

        Raises:
            ValueError: As for `iss_jax.player_effects`.
        """
        given: Any = {"sampling": self.sampling} | self._picture(raw) | options
        obs = self.observe(raw)
        return player_effects(self.params, obs, players, background, config=config, **given)

    def _picture(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        return {} if self.letterbox is None else {"valid": self.letterbox(raw)}
