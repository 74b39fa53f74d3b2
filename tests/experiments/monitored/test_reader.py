"""The policy whose cause is known reads its panel, and nothing else."""

import jax.numpy as jnp
import numpy as np

from experiments.monitored.reader import PART, seen


def test_a_panel_is_read_as_far_as_enough_of_it_shows():
    where = {"front": jnp.zeros((10, 10), bool).at[2:6, 2:6].set(True)}
    colour = jnp.array([0.5, -0.5, 0.0])
    whole = jnp.full((10, 10, 3), -1.0).at[2:6, 2:6].set(colour)
    little = jnp.full((10, 10, 3), -1.0).at[2:3, 2:4].set(colour)
    off = whole + 0.31
    elsewhere = jnp.full((10, 10, 3), -1.0).at[6:, 6:].set(colour)
    frames = {"front": jnp.stack([whole, little, off, elsewhere])}
    np.testing.assert_allclose(seen(where, colour, frames), [1, 2 / 16 / PART, 0, 0], atol=1e-6)


def test_of_two_views_the_clearer_one_counts():
    where = {view: jnp.ones((2, 2), bool) for view in ("front", "wrist")}
    frames = {"front": jnp.ones((1, 2, 2, 3)), "wrist": jnp.zeros((1, 2, 2, 3))}
    assert seen(where, jnp.ones(3), frames).tolist() == [1.0]
