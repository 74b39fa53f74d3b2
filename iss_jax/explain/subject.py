"""What an explained policy has to answer, of whatever kind it is."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from iss_jax.background import Background, Groups
from iss_jax.config import ISSConfig
from iss_jax.data.dataset import Dataset
from iss_jax.data.episode import Episode
from iss_jax.effects_config import EffectsConfig
from iss_jax.explain.donors import Donors, PlayersAsked
from iss_jax.players import Players
from iss_jax.policies.frames import FrameOptions, Seen
from iss_jax.results import Saliency


class Subject(Protocol):
    """A policy whose episodes are explained: how frames are shown, and what they come to."""

    @property
    def frame_options(self) -> FrameOptions:
        """Cameras and mirroring."""
        ...

    @property
    def action_dims(self) -> int | None:
        """Dimensions of the robot's action; None where all that it answers counts."""
        ...

    @property
    def cannot(self) -> tuple[str, ...]:
        """What this kind of policy cannot do, a sentence each."""
        ...

    def run_keys(self) -> dict[str, Any]:
        """What a work item holds of the policy and of how it is shown frames."""
        ...

    def unit(self, config: ISSConfig | EffectsConfig) -> str:
        """What an effect is."""
        ...

    def see(self, episode: Episode) -> Seen:
        """Frames as the policy sees them."""
        ...

    def donors(self, dataset: Dataset, asked: PlayersAsked) -> Donors:
        """What replaces players, at the size at which frames are explained."""
        ...

    def map_of(self, seen: Seen, frame: int, key: Any, config: ISSConfig) -> dict[str, Any]:
        """The map of one frame.

        Returns:
            `cells`, `stderr` and `contrast_stderr` [views, gh, gw] in the order of `seen.views`,
            `effect`, and what else a result may hold.
        """
        ...

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
        """Effects of the players of one frame, a batch of one.

        Returns:
            `by_draw`, `moved`, `floor`, `reason` and `actions`, without an axis of the batch.
        """
        ...


EFFECTS = ("by_draw", "moved", "floor", "reason", "actions")
"""What a result holds of an `iss_jax.Effects`."""


def map_result(found: Saliency, views: Sequence[str]) -> dict[str, Any]:
    """What an item stores of the map of one frame, alone or a batch of one.

    Args:
        found: The map.
        views: The order in which its cells are stored.
    """
    rows = [list(found.maps).index(view) for view in views]
    parts = {name: np.asarray(getattr(found, name)) for name in ("cells", "stderr")}
    parts["contrast_stderr"] = np.asarray(found.contrast_stderr)
    stored = {name: (part[0] if part.ndim == 4 else part)[rows] for name, part in parts.items()}
    return {**stored, "effect": float(found.effects.mean())}
