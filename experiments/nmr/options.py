"""Options of the NMR experiment, as a frozen dataclass."""

import dataclasses

import ml_collections

from iss_jax.jobs.options import ISSOptions


@dataclasses.dataclass(frozen=True)
class Options(ISSOptions):
    """One attribute per key of `configs/nmr_correlation.py`, which says what each means."""

    quiet: bool
    checkpoint: str
    dataset: str
    success: str
    tokenizer: str
    dtype: str
    cameras: dict[str, str]
    discrete_state_input: bool
    mirror: bool
    max_token_len: int
    action_horizon: int
    num_steps: int
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


def from_config(config: ml_collections.ConfigDict) -> Options:
    """The config's keys, without its name, lists as tuples.

    Raises:
        TypeError: a key is missing or unknown.
        ValueError: a number that must be positive is not.
    """
    content = {key: value for key, value in config.to_dict().items() if key != "name"}
    for key in ("seeds", "splits", "percents"):
        content[key] = tuple(content[key])
    options = Options(**content)
    for key in ("stride", "batch", "control_draws", "max_token_len"):
        if getattr(options, key) < 1:
            raise ValueError(f"config.{key}: {getattr(options, key)} given, at least 1 wanted")
    return options
