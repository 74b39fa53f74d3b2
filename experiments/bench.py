"""Time of a saliency map against the time of the inferences it is made of.

    python -m experiments.bench --config=configs/bench.py

One observation of an episode, one policy, three ways to spend forward passes: a single inference;
N masked inferences one call after another; `iss_jax.saliency` with N masks. Each is run until
warm, then timed `repeats` times with the result waited for; the table gives the median. Cost is
in single inferences, so a saliency map of N masks costs N + 1 when nothing is gained.

The workdir receives `results.csv` and `results.json`.
"""

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

import iss_jax
from experiments import app
from experiments.nmr_correlation import located
from experiments.policy import load_policy
from experiments.run_directory import open_run
from iss_jax.data.lerobot import open_dataset
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.model import sample_actions
from iss_jax.pi05.observation import preprocess
from iss_jax.pi05.params import sizes_of


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/bench.py`, which says what each means."""

    checkpoint: str
    dataset: str
    tokenizer: str
    episode: int
    frame: int
    max_token_len: int
    action_horizon: int
    num_masks: int
    repeats: int
    quiet: bool


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the benchmark; returns the rows of `results.csv`."""
    options = Options(**{key: value for key, value in config.to_dict().items() if key != "name"})
    run = open_run(workdir, config)
    policy = load_policy(located(options.checkpoint, "checkpoint"), tokenizer=options.tokenizer)
    dataset = open_dataset(located(options.dataset, "dataset"))
    episode = dataset.read(options.episode, [options.frame])
    obs = make_observation(
        episode.images,
        episode.state,
        [episode.prompt],
        tokenizer=policy.tokenizer,
        norm_stats=policy.norm_stats,
        max_token_len=options.max_token_len,
    )
    rows = measure(
        policy.params,
        obs,
        action_horizon=options.action_horizon,
        num_masks=options.num_masks,
        repeats=options.repeats,
    )
    run.write_csv("results.csv", rows)
    run.write_json("results.json", rows)
    if not options.quiet:
        print_table(rows)
        print(f"\n{run.path / 'results.csv'}")
    return rows


def measure(
    params: Any, obs: Any, *, action_horizon: int, num_masks: int, repeats: int
) -> list[dict[str, Any]]:
    """A row for each way to spend the forward passes.

    Args:
        params: openpi's tree.
        obs: a batch of one observation.
        action_horizon: H.
        num_masks: N.
        repeats: timed calls after the first.
    """
    sizes = sizes_of(params)
    noise = jax.random.normal(jax.random.key(0), (1, action_horizon, sizes.action_dim))
    prepared = preprocess(obs, sizes.image.image_size)
    infer = partial(jax.jit(sample_actions), params, prepared, noise)
    config = iss_jax.ISSConfig(num_masks=num_masks)
    ways: dict[str, tuple[int, Callable[[], Any]]] = {
        "single inference": (1, infer),
        # Fetching every result is what a caller that compares actions on the host does.
        "one call a mask": (num_masks, lambda: [np.asarray(infer()) for _ in range(num_masks)]),
        "saliency": (
            num_masks + 1,
            partial(iss_jax.saliency, params, obs, noise=noise, config=config),
        ),
    }
    rows: list[dict[str, Any]] = []
    for name, (inferences, call) in ways.items():
        first, warm = timed(call, repeats)
        cost = warm / rows[0]["seconds"] if rows else 1.0
        rows.append(
            {
                "name": name,
                "inferences": inferences,
                "first_seconds": first,
                "seconds": warm,
                "cost": cost,
            }
        )
    return rows


def timed(call: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Seconds of the first call, which compiles, and the median of the `repeats` that follow."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - start)
    return seconds[0], float(np.median(seconds[1:]))


def print_table(rows: list[dict[str, Any]]) -> None:
    """Prints the rows in columns."""
    print(f"\n{'':18}{'inferences':>11}{'first call':>12}{'warm':>12}{'cost':>8}")
    for row in rows:
        print(
            f"{row['name']:18}{row['inferences']:11d}{row['first_seconds']:10.2f} s"
            f"{1000 * row['seconds']:9.1f} ms{row['cost']:8.1f}"
        )


if __name__ == "__main__":
    app.run(main, "bench", many_processes=False)
