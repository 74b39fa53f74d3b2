"""Options of `explain_episode`, as a frozen dataclass."""

import dataclasses

from experiments.acting_on.donors import PlayerOptions
from iss_jax.jobs.options import ISSOptions, at_least_one


@dataclasses.dataclass(frozen=True)
class Options(PlayerOptions, ISSOptions):
    """One attribute per key of `configs/explain_episode.py`, which says what each means.

    Raises:
        ValueError: A number that must be positive is not.
    """

    quiet: bool
    paths: tuple[str, ...]
    episodes: tuple[int, ...]
    frames: int
    stride: int
    seed: int
    percents: tuple[float, ...]
    control_draws: int
    shown_frames: int
    video: bool
    video_speed: float
    gif: bool
    rerun: bool

    def __post_init__(self) -> None:
        at_least_one(self, "stride", "control_draws", "max_token_len", "shown_frames")
        self.check_players()
        if not self.percents:
            raise ValueError("config.percents: empty, at least one k wanted")
        if self.video_speed <= 0:
            raise ValueError(f"config.video_speed: {self.video_speed} given, positive wanted")
