"""Options of `explain_episode`, as a frozen dataclass."""

import dataclasses

from experiments.acting_on.donors import AUTO
from experiments.acting_on.players import PLAYERS
from iss_jax import fills
from iss_jax.jobs.options import ISSOptions, PolicyOptions, at_least_one


@dataclasses.dataclass(frozen=True)
class Options(PolicyOptions, ISSOptions):
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
    players: str
    draws: int
    fill: str
    donors: int
    donors_from: str

    def __post_init__(self) -> None:
        counts = ("stride", "control_draws", "max_token_len", "shown_frames", "draws", "donors")
        at_least_one(self, *counts)
        if self.players and self.players not in PLAYERS:
            wanted = ("", *PLAYERS)
            raise ValueError(f"config.players: {self.players!r} given, one of {wanted} wanted")
        if self.fill != AUTO:
            fills.named(self.fill)
        if not self.percents:
            raise ValueError("config.percents: empty, at least one k wanted")
        if self.video_speed <= 0:
            raise ValueError(f"config.video_speed: {self.video_speed} given, positive wanted")
