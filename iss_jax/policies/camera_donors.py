"""A bank of donor frames at the cameras' own sizes, for policies that are asked with those."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from iss_jax.background import Background
from iss_jax.data.dataset import Dataset
from iss_jax.few import few
from iss_jax.policies.donors import donor_frames, task_of


def camera_background(
    dataset: Dataset,
    cameras: Sequence[str] | None = None,
    *,
    most: int = 64,
    seed: int = 0,
) -> Background:
    """Donors from a dataset, as its cameras gave them.

    >>> from iss_jax import embedded
    >>> from iss_jax.data.dataset import open_dataset
    >>> from iss_jax.policies.camera_donors import camera_background
    >>> bank = camera_background(open_dataset(embedded.episodes_path()), ["front"], most=4)
    >>> len(bank), bank.images["front"].shape, len(bank.prompts), bank.state.shape
    (4, (4, 80, 80, 3), 4, (4, 8))

    Args:
        dataset: Episodes; a frame of a known task draws no donor of that task.
        cameras: Which of its cameras; all when None.
        most: Donors, spread over the tasks.
        seed: Of the choice.

    Returns:
        `Background` whose views are the cameras, uint8.

    Raises:
        ValueError: Cameras that the dataset lacks, pictures of one camera in several sizes, or
            fewer than one donor.
    """
    names = dataset.cameras if cameras is None else tuple(cameras)
    unknown = sorted(set(names) - set(dataset.cameras))
    if unknown:
        raise ValueError(f"cameras: {unknown} given, the dataset has {few(dataset.cameras)}")
    chosen = donor_frames(dataset, most, seed)
    tasks = list(dict.fromkeys(task_of(dataset.metadata(i)) for i in range(len(dataset))))
    read = [dataset.read(episode, [frame], regions=False) for episode, frame in chosen]
    images = {}
    for camera in names:
        own = [episode.images[camera] for episode in read]
        sizes = sorted({pictures.shape[1:3] for pictures in own})
        if len(sizes) != 1:
            raise ValueError(f"camera {camera!r}: pictures of sizes {few(sizes)}, one wanted")
        images[camera] = jnp.asarray(np.concatenate(own))
    return Background(
        images=images,
        episode=jnp.array([episode for episode, _ in chosen], jnp.int32),
        task=jnp.array([tasks.index(task_of(dataset.metadata(e))) for e, _ in chosen], jnp.int32),
        state=jnp.asarray(np.concatenate([episode.state for episode in read])),
        tasks=tuple("/".join(filter(None, task)) for task in tasks),
        prompts=tuple(episode.prompt for episode in read),
    )
