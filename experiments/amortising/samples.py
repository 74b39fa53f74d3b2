"""What a head is taught from: many frames, a few masked runs with their gradients on each.

A frame is shown in several variations: as it is and, in turn, moved by a few pixels under the
instruction of another training task. Each has flow noise and masks of its own.
"""

import dataclasses
import functools
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import iss_jax
from experiments.accuracy.frames import GRID, USUAL, item_key
from iss_jax.data.dataset import Dataset, Episodes
from iss_jax.data.episode import Episode
from iss_jax.masks import sample_masks
from iss_jax.pi05.observation import VIEWS
from iss_jax.pi05.params import sizes_of
from iss_jax.policies.frames import FrameOptions, read_frames, see
from iss_jax.policies.restored import Policy
from iss_jax.sampling import Sampling


class Split(NamedTuple):
    """Episodes of a dataset by what a head may learn of them.

    Attributes:
        learning: Those that it learns from.
        new_episodes: Of the same tasks, from another seed than all of those.
        new_tasks: Of tasks that it never sees, whatever the suite.
    """

    learning: list[int]
    new_episodes: list[int]
    new_tasks: list[int]


def split(dataset: Episodes, every: int) -> Split:
    """Every so manieth task is new; of the others the last seed's episodes are.

    Args:
        dataset: Its episodes, or what is known of them.
        every: The last of so many tasks, by name, is new.

    Raises:
        ValueError: One of the three is empty.
    """
    about = [dataset.metadata(index) for index in range(len(dataset))]
    unseen = set(sorted({one["task"] for one in about})[every - 1 :: every])
    last = max(one["seed"] for one in about)
    found = Split([], [], [])
    for index, one in enumerate(about):
        kind = 2 if one["task"] in unseen else int(one["seed"] == last)
        found[kind].append(index)
    if not all(found):
        raise ValueError(
            f"{dataset.root}: {len(about)} episodes cannot be split, every {every}-th task and the "
            "last seed held out"
        )
    return found


def moved(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Images [t, h, w, 3] moved by some pixels; what comes in repeats the edge."""
    _, height, width, _ = images.shape
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return images[:, rows][:, :, columns]


def varied(episode: Episode, item: Mapping[str, Any], prompts: Sequence[str]) -> list[Episode]:
    """One frame's variations; every other one is moved and has one of the prompts."""
    found = []
    for number in range(item["variations"]):
        if number % 2 == 0:
            found.append(episode)
            continue
        draws = np.random.default_rng(_seed(item, number))
        images = {
            camera: moved(image, *draws.integers(-item["shift"], item["shift"] + 1, 2))
            for camera, image in episode.images.items()
        }
        prompt = str(draws.choice(np.asarray(prompts)))
        found.append(dataclasses.replace(episode, images=images, prompt=prompt))
    return found


def observed(
    item: Mapping[str, Any], dataset: Dataset, policy: Policy, prompts: Sequence[str]
) -> tuple[Any, jax.Array, jax.Array]:
    """Observation, flow noise and masks of all variations of an item's frame."""
    options = FrameOptions.of_item({**USUAL, **item})
    episode = read_frames(dataset, item["episode"], [item["frame"]], options, labels="none")
    seen = [see(one, policy, options).obs for one in varied(episode, item, prompts)]
    obs = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *seen)
    shape = (len(seen), item["action_horizon"], sizes_of(policy.params).action_dim)
    masks = sample_masks(
        item_key(item, "sample masks"),
        len(seen) * item["runs"],
        len(VIEWS),
        grid=GRID,
        keep_prob=item["keep_prob"],
        design="bernoulli",
    )
    masks = masks.reshape(len(seen), item["runs"], *masks.shape[1:])
    return obs, jax.random.normal(item_key(item, "sample noise"), shape), masks


def measure(
    item: Mapping[str, Any], dataset: Dataset, policy: Policy, prompts: Sequence[str]
) -> dict[str, Any]:
    """Effects [variations, runs] of an item's masks, their gradients and the unmasked actions."""
    obs, noise, masks = observed(item, dataset, policy, prompts)
    config = iss_jax.ISSConfig(
        num_masks=item["runs"],
        keep_prob=item["keep_prob"],
        design="bernoulli",
        estimator="gradient",
        micro_batch=item["runs"] + 1,
    )
    sampling = Sampling(num_steps=item.get("num_steps", USUAL["num_steps"]))
    found = _run(policy.params, obs, noise, masks, config, sampling)
    return dict(zip(("effects", "gradients", "actions"), map(np.asarray, found), strict=True))


@functools.partial(jax.jit, static_argnames=("config", "sampling"))
def _run(
    params: Any,
    obs: Any,
    noise: jax.Array,
    masks: jax.Array,
    config: iss_jax.ISSConfig,
    sampling: Sampling,
) -> Any:
    found = iss_jax.saliency(
        params, obs, noise=noise, masks=masks, config=config, sampling=sampling
    )
    return found.effects, found.gradients, found.actions


def _seed(item: Mapping[str, Any], number: int) -> int:
    return zlib.crc32(f"{item['episode']}/{item['frame']}/{number}".encode())
