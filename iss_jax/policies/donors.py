"""A bank of donor frames from a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from iss_jax.background import Background, Groups
from iss_jax.data.dataset import Dataset
from iss_jax.data.regions import fit_regions
from iss_jax.pi05.observation import resize_with_pad
from iss_jax.policies.frames import FrameOptions, read_frames


def donor_frames(dataset: Dataset, most: int, seed: int = 0) -> list[tuple[int, int]]:
    """Episode and frame of each donor: as many of every task as there is room for.

    Args:
        dataset: The episodes.
        most: Donors wanted.
        seed: Of the choice within a task.

    Raises:
        ValueError: Fewer than one donor is wanted.
    """
    if most < 1:
        raise ValueError(f"donors: at least 1 wanted, got {most}")
    rng = np.random.default_rng(seed)
    by_task: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for episode in range(len(dataset)):
        line = dataset.metadata(episode)
        by_task.setdefault(task_of(line), []).append((episode, int(rng.integers(line["length"]))))
    for frames in by_task.values():
        rng.shuffle(frames)
    rounds = max(map(len, by_task.values()), default=0)
    dealt = [own[i] for i in range(rounds) for own in by_task.values() if i < len(own)]
    return sorted((int(episode), int(frame)) for episode, frame in dealt[:most])


def task_of(line: Mapping[str, object]) -> tuple[str, str]:
    """Suite and task of an episode; the instruction where the metadata name no task."""
    tasks = line.get("tasks")
    prompt = str(tasks[0]) if isinstance(tasks, Sequence) and tasks else ""
    return str(line.get("suite", "")), str(line.get("task", prompt))


def background(
    dataset: Dataset, image_size: int, options: FrameOptions, *, most: int = 128, seed: int = 0
) -> Background:
    """Donors from a dataset, as a policy sees them, with labels where all that are drawn have them.

    >>> from iss_jax import embedded
    >>> from iss_jax.data.dataset import open_dataset
    >>> dataset = open_dataset(embedded.episodes_path())
    >>> bank = background(dataset, 80, FrameOptions(), most=4)
    >>> len(bank), bank.images["base_0_rgb"].shape, len(bank.tasks)
    (4, (4, 80, 80, 3), 41)

    Args:
        dataset: Episodes of several tasks: a frame draws no donor of its own task.
        image_size: Side of the policy's images, pixels.
        options: Cameras and mirroring.
        most: Donors, spread over the tasks.
        seed: Of the choice.

    Raises:
        ValueError: As `read_frames`, or fewer than one donor.
    """
    chosen = donor_frames(dataset, most, seed)
    tasks = list(dict.fromkeys(task_of(dataset.metadata(i)) for i in range(len(dataset))))
    read = [read_frames(dataset, e, [f], options, labels="optional") for e, f in chosen]
    used = options.used
    labelled = all(set(used.values()) <= set(episode.regions) for episode in read)
    images: dict[str, list[np.ndarray]] = {view: [] for view in used}
    regions: dict[str, list[np.ndarray]] = {view: [] for view in used}
    for episode in read:
        for view, camera in used.items():
            frame = jnp.asarray(episode.images[camera])
            images[view].append(np.asarray(resize_with_pad(frame, image_size, image_size)))
            if labelled:
                fitted, _ = fit_regions(episode.regions[camera], image_size, image_size)
                regions[view].append(fitted)
    return Background(
        images={view: jnp.asarray(np.concatenate(own)) for view, own in images.items()},
        regions={view: jnp.asarray(np.concatenate(own)) for view, own in regions.items()}
        if labelled
        else None,
        episode=jnp.array([episode for episode, _ in chosen], jnp.int32),
        task=jnp.array([tasks.index(task_of(dataset.metadata(e))) for e, _ in chosen], jnp.int32),
        state=jnp.asarray(np.concatenate([episode.state for episode in read])),
        tasks=tuple("/".join(filter(None, task)) for task in tasks),
        prompts=tuple(episode.prompt for episode in read),
    )


def groups(dataset: Dataset, bank: Background, episodes: Sequence[int]) -> Groups:
    """Episode and task of explained frames of the bank's own dataset.

    Args:
        dataset: That the bank was made from.
        bank: As `background` gives it.
        episodes: Of each frame.
    """
    names = ["/".join(filter(None, task_of(dataset.metadata(e)))) for e in episodes]
    numbers = {name: number for number, name in enumerate(bank.tasks)}
    return Groups(
        jnp.array(list(episodes), jnp.int32),
        jnp.array([numbers.get(name, -1) for name in names], jnp.int32),
    )
