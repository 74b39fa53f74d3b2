"""Options of a comparison, as a frozen dataclass."""

import dataclasses

from iss_jax.explain.donors import PlayersAsked
from iss_jax.jobs.options import at_least_one


@dataclasses.dataclass(frozen=True)
class CompareOptions(PlayersAsked):
    """Which frames, players and donors two policies are compared on.

    Attributes:
        episodes: Indices; spread over the dataset when empty.
        num_episodes: How many of them then.
        frames_per_episode: Frames, evenly spread.
        seed: Of donors and flow noise.
        confidence: Of intervals.
        resamples: Of episodes.
        quiet: Without a progress bar and words.

    Raises:
        ValueError: A number that must be positive is not, or players or a fill that are not known.
    """

    episodes: tuple[int, ...]
    num_episodes: int
    frames_per_episode: int
    seed: int
    confidence: float
    resamples: int
    quiet: bool

    def __post_init__(self) -> None:
        at_least_one(self, "num_episodes", "frames_per_episode", "resamples")
        self.check_players()
        if not self.players:
            raise ValueError("config.players: empty; a comparison takes some")
        if not 0 < self.confidence < 1:
            raise ValueError(f"config.confidence: {self.confidence} given, wanted inside (0, 1)")
