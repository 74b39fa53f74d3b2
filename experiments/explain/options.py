"""Options of `explain_episode`, as a frozen dataclass."""

import dataclasses

import ml_collections

from iss_jax.jobs.options import ISSOptions


@dataclasses.dataclass(frozen=True)
class Options(ISSOptions):
    """One attribute per key of `configs/explain_episode.py`, which says what each means."""

    quiet: bool
    checkpoint: str
    dataset: str
    paths: tuple[str, ...]
    episodes: tuple[int, ...]
    frames: int
    tokenizer: str
    dtype: str
    cameras: dict[str, str]
    discrete_state_input: bool
    max_token_len: int
    action_horizon: int
    num_steps: int
    stride: int
    seed: int
    percents: tuple[float, ...]
    control_draws: int
    shown_frames: int
    video: bool
    video_speed: float
    gif: bool
    rerun: bool


def from_config(config: ml_collections.ConfigDict) -> Options:
    """The config's keys, without its name, lists as tuples.

    Raises:
        TypeError: a key is missing or unknown.
        ValueError: a path is empty, or a number that must be positive is not.
    """
    content = {key: value for key, value in config.to_dict().items() if key != "name"}
    for key in ("paths", "episodes", "percents"):
        content[key] = tuple(content[key])
    options = Options(**content)
    for key in ("checkpoint", "dataset"):
        if not getattr(options, key):
            raise ValueError(f"config.{key}: empty; give --config.{key}=<path>")
    for key in ("stride", "control_draws", "max_token_len", "shown_frames"):
        if getattr(options, key) < 1:
            raise ValueError(f"config.{key}: {getattr(options, key)} given, at least 1 wanted")
    if not options.percents:
        raise ValueError("config.percents: empty, at least one k wanted")
    if options.video_speed <= 0:
        raise ValueError(f"config.video_speed: {options.video_speed} given, positive wanted")
    return options
