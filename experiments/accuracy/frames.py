"""Frames of `estimator_accuracy` and the runs on them, which are work items of their own.

Effects and gradients are stored run by run, so that estimators can be changed without any new run.
"""

import dataclasses
import functools
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import iss_jax
from iss_jax.data.dataset import Dataset
from iss_jax.jobs.options import PolicyOptions
from iss_jax.masks import sample_masks
from iss_jax.pi05.observation import DEFAULT_CAMERAS, VIEWS
from iss_jax.pi05.params import sizes_of
from iss_jax.policies.frames import FrameOptions, read_frames, see, source_of
from iss_jax.policies.restored import Policy
from iss_jax.sampling import Sampling

GRID = (7, 7)
# The fastest on two CPU cores, by measurement.
MICRO_BATCH = {"centred": 16, "gradient": 8}


@dataclasses.dataclass(frozen=True)
class Frame:
    """One observation, the flow noise that all its runs share, its labels, how it is run."""

    obs: Any
    noise: jax.Array
    regions: dict[str, jax.Array]
    sampling: Sampling = Sampling()


@dataclasses.dataclass(frozen=True)
class Runs:
    """Masks with their effects and, where they were taken, gradients; all repeats in a row."""

    masks: jax.Array
    effects: jax.Array
    gradients: jax.Array | None

    def part(self, start: int, stop: int) -> "Runs":
        """Some of them."""
        rows = slice(start, stop)
        gradients = None if self.gradients is None else self.gradients[rows]
        return Runs(self.masks[rows], self.effects[rows], gradients)


def choose_frames(dataset: Dataset, count: int) -> list[tuple[int, int]]:
    """(episode, frame) of `count` frames, by turns of successful and failed episodes.

    The episodes of either outcome are spread over the tasks that have it, in their order in the
    dataset; each takes its first and its last frame in turn.

    Raises:
        ValueError: the dataset has no successful, or no failed, episode.
    """
    by_outcome: dict[bool, dict[str, list[int]]] = {True: {}, False: {}}
    for index in range(len(dataset)):
        about = dataset.metadata(index)
        by_outcome[about["success"]].setdefault(about["task"], []).append(index)
    for outcome, tasks in by_outcome.items():
        if not tasks:
            raise ValueError(f"{dataset.root}: no episode with success = {outcome}")
    chosen = []
    for number in range(count):
        tasks = list(by_outcome[number % 2 == 0].values())
        rank, of = number // 2, (count + 1) // 2
        episodes = tasks[rank * len(tasks) // of]
        episode = episodes[rank % len(episodes)]
        chosen.append((episode, (dataset.metadata(episode)["length"] - 1) * (rank % 2)))
    return chosen


@dataclasses.dataclass(frozen=True)
class AccuracyOptions(PolicyOptions):
    """A policy, how many frames it is shown, and p."""

    frames: int
    keep_prob: float

    def __post_init__(self) -> None:
        without = [view for view in VIEWS if not self.cameras.get(view)]
        if without:
            raise ValueError(
                f"config.cameras: views {without} have none; cells of all views are compared here"
            )


# Work items say what they were computed with only where it is not this, as they always were.
USUAL = {
    "dtype": "float32",
    "cameras": DEFAULT_CAMERAS,
    "discrete_state_input": True,
    "num_steps": Sampling().num_steps,
}


def frame_item(
    dataset: Dataset, policy: Policy, episode: int, frame: int, options: AccuracyOptions
) -> dict[str, Any]:
    """What every run on a frame depends on."""
    about, asked = dataset.metadata(episode), options.run_keys(policy)
    return {
        **{name: value for name, value in asked.items() if USUAL.get(name) != value},
        **source_of(dataset, episode),
        "task": about["task"],
        "seed": about["seed"],
        "success": about["success"],
        "episode": episode,
        "frame": frame,
        "keep_prob": options.keep_prob,
    }


def read_frame(item: Mapping[str, Any], dataset: Dataset, policy: Policy) -> Frame:
    """The item's observation with noise of its own."""
    options = FrameOptions.of_item({**USUAL, **item})
    episode = read_frames(dataset, item["episode"], [item["frame"]], options)
    seen = see(episode, policy, options)
    shape = (1, item["action_horizon"], sizes_of(policy.params).action_dim)
    regions = {view: jnp.asarray(labels) for view, labels in seen.regions.items()}
    return Frame(
        seen.obs,
        jax.random.normal(item_key(item, "noise"), shape),
        regions,
        Sampling(num_steps=item.get("num_steps", USUAL["num_steps"])),
    )


def item_key(item: Mapping[str, Any], use: str) -> jax.Array:
    """A key for one use on one frame."""
    return jax.random.key(zlib.crc32(f"{item['episode']}/{item['frame']}/{use}".encode()))


def drawn_masks(item: Mapping[str, Any]) -> jax.Array:
    """The masks of a work item, one repeat after the other; its key and shape are the item's."""
    use = "/".join(str(item[name]) for name in ("use", "estimator", "design", "runs"))
    draw = functools.partial(
        sample_masks,
        num_masks=item["runs"],
        num_views=len(VIEWS),
        grid=GRID,
        keep_prob=item["keep_prob"],
        design=item["design"],
    )
    return jnp.concatenate(
        [draw(key) for key in jax.random.split(item_key(item, use), item["repeats"])]
    )


def measure(item: Mapping[str, Any], frame: Frame, policy: Policy, chunk: int) -> dict[str, Any]:
    """Effects of the item's masks, and their gradients where its estimator takes them."""
    effects, gradients = run(
        policy, frame, item["keep_prob"], item["estimator"], drawn_masks(item), chunk
    )
    return {"effects": effects, "gradients": gradients}


def stored_runs(item: Mapping[str, Any], result: Mapping[str, Any]) -> Runs:
    """What `measure` found, with the masks drawn again."""
    gradients = result["gradients"]
    return Runs(
        drawn_masks(item),
        jnp.asarray(result["effects"], jnp.float32),
        None if gradients is None else jnp.asarray(gradients, jnp.float32),
    )


def run(
    policy: Policy, frame: Frame, keep_prob: float, estimator: str, masks: jax.Array, chunk: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Effects of masks, and their gradients where the estimator takes them; `chunk` at a time."""
    config = iss_jax.ISSConfig(
        num_masks=chunk,
        keep_prob=keep_prob,
        design="bernoulli",
        estimator=estimator,
        micro_batch=MICRO_BATCH[estimator],
    )
    fill = jnp.ones((-len(masks) % chunk, *masks.shape[1:]), bool)
    effects, gradients = [], []
    for part in jnp.split(jnp.concatenate([masks, fill]), (len(masks) + len(fill)) // chunk):
        found = _run(policy.params, frame.obs, frame.noise, part, config, frame.sampling)
        effects.append(np.asarray(found[0]))
        if found[1] is not None:
            gradients.append(np.asarray(found[1]))
    joined = np.concatenate(gradients)[: len(masks)] if gradients else None
    return np.concatenate(effects)[: len(masks)], joined


@functools.partial(jax.jit, static_argnames=("config", "sampling"))
def _run(
    params: Any,
    obs: Any,
    noise: jax.Array,
    masks: jax.Array,
    config: iss_jax.ISSConfig,
    sampling: Sampling,
) -> Any:
    # Under jit prompts keep their padding, so that one program serves all frames.
    found = iss_jax.saliency(
        params, obs, noise=noise, masks=masks, config=config, sampling=sampling
    )
    return found.effects[0], None if found.gradients is None else found.gradients[0]
