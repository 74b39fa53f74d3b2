"""A frame draws no donor of its own episode; another dataset's episodes are not its own."""

import jax.numpy as jnp
import numpy as np
import other_policies

from iss_jax import Background
from iss_jax.data.dataset import open_dataset
from iss_jax.explain.donors import Donors
from iss_jax.policies.donors import task_of


def test_episodes_are_told_apart_within_one_dataset_alone(tmp_path):
    dataset = other_policies.two_tasks(tmp_path / "mine")
    other = other_policies.two_tasks(tmp_path / "other")
    tasks = [task_of(dataset.metadata(episode)) for episode in range(2)]
    bank = Background(
        {"front": jnp.zeros((2, 4, 4, 3))},
        episode=jnp.arange(2),
        task=jnp.arange(2),
        tasks=tuple("/".join(filter(None, task)) for task in tasks),
    )
    own = Donors("background", bank, open_dataset(dataset.root)).groups(dataset, 1, 2)
    assert own is not None
    assert (own.episode.tolist(), own.task.tolist()) == ([1, 1], [1, 1])
    # Its episodes are numbered anew; its tasks are the same.
    away = Donors("background", bank, other).groups(dataset, 1, 2)
    assert away is not None
    assert (away.episode.tolist(), away.task.tolist()) == ([-1, -1], [1, 1])
    np.testing.assert_array_equal(bank.allowed(away), [[True, False]] * 2)
    assert Donors("blur").groups(dataset, 1) is None
