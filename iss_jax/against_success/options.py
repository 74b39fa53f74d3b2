"""Options of the NMR experiment, as a frozen dataclass."""

import dataclasses
from typing import Any

from iss_jax.against_success.effects import EffectOptions
from iss_jax.jobs.options import ISSOptions, PolicyOptions, at_least_one


@dataclasses.dataclass(frozen=True)
class Options(PolicyOptions, ISSOptions):
    """One attribute per key of `configs/nmr_correlation.py`, which says what each means.

    Raises:
        ValueError: A number that must be positive is not.
    """

    quiet: bool
    effects: dict[str, Any]
    success: str
    policy_seed: int
    seeds: tuple[int, ...]
    split_key: str
    seed_key: str
    splits: tuple[str, ...]
    num_tasks: int
    episodes_per_task: int
    frames_per_episode: int
    stride: int
    batch: int
    percents: tuple[float, ...]
    control_draws: int
    confidence: float
    resamples: int
    permutations: int
    overlay_rows: int

    @property
    def effect_options(self) -> EffectOptions:
        """Of NMR by effect."""
        return EffectOptions(**self.effects)

    def __post_init__(self) -> None:
        at_least_one(self, "stride", "batch", "control_draws", "max_token_len")
        _ = self.effect_options
