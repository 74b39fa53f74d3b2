"""Options of explained episodes, as frozen dataclasses."""

import dataclasses

from iss_jax.explain.donors import PlayersAsked
from iss_jax.few import few
from iss_jax.jobs.options import ISSOptions, PolicyOptions, at_least_one


@dataclasses.dataclass(frozen=True)
class EpisodeOptions(PlayersAsked, ISSOptions):
    """What is explained of which episodes, whatever the policy.

    Attributes:
        quiet: Without a progress bar.
        paths: Datasets whose end-effector paths are drawn besides, by success.
        episodes: Indices; all when empty.
        frames: The first so many of each episode; all when 0.
        stride: Computed are frames 0, s, 2s, ... and the last.
        seed: Of masks, donors and flow noise.
        percents: k of NMR@k; the first one is drawn.
        control_draws: Random explanations a frame.
        shown_frames: Frames of the overlay and of the region figure.
        video: Whether `episode.mp4` is written.
        video_speed: Frames of the recording a second of video, those of the dataset times this.
        gif: Whether `episode.gif` is written.
        rerun: Whether `timeline.rrd` is.

    Raises:
        ValueError: A number that must be positive is not, or an episode is no number.
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
        at_least_one(self, "stride", "control_draws", "shown_frames")
        self.check_players()
        if not self.percents:
            raise ValueError("config.percents: empty, at least one k wanted")
        if self.frames < 0:
            raise ValueError(f"config.frames: {self.frames} given, 0 (all) or more wanted")
        wrong = [one for one in self.episodes if type(one) is not int]
        if wrong:
            raise ValueError(f"config.episodes: {few(wrong)} given, whole numbers wanted")
        if self.video_speed <= 0:
            raise ValueError(f"config.video_speed: {self.video_speed} given, positive wanted")


@dataclasses.dataclass(frozen=True)
class Options(PolicyOptions, EpisodeOptions):
    """One attribute per key of `configs/explain_episode.py`, which says what each means.

    Raises:
        ValueError: A number that must be positive is not.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one(self, "max_token_len")
