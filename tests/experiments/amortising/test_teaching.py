"""A head learns what there is to learn, and what it was not shown stays unknown to it."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.amortising.targets import Targets
from experiments.amortising.teaching import folds_of, teach
from iss_jax.amortised.head import Features

SAMPLES, CELLS = 48, 3 * 49


@pytest.fixture(scope="module")
def taught():
    """One feature of a token says how much its quarter of the first view matters."""
    random = np.random.default_rng(0)
    tokens = random.normal(size=(SAMPLES, 3, 4, 5)).astype(np.float32)
    shared = random.normal(size=(SAMPLES, 3)).astype(np.float32)
    wanted = np.zeros((SAMPLES, 3, 7, 7))
    wanted[:, 0, :3, :3] = tokens[:, 0, 0, 0][:, None, None]
    flat = 0.1 * wanted.reshape(SAMPLES, CELLS)
    found = Targets(
        flat,
        np.full((SAMPLES, CELLS), 100.0),
        np.zeros((SAMPLES, 1, CELLS)),
        np.zeros((SAMPLES, 1)),
        np.full(SAMPLES, 0.1),
    )
    shown = folds_of([str(i % 4) for i in range(SAMPLES)], 2)
    return (
        shown,
        flat,
        teach(
            Features(jnp.asarray(tokens), jnp.asarray(shared)),
            found,
            shown,
            seed=0,
            epochs=30,
            batch=16,
            width=8,
            rate=1e-2,
            decay=0.0,
            plain=0.0,
            noise=0.0,
        ),
    )


def test_it_learns_and_says_so_of_what_was_left_out(taught):
    shown, wanted, found = taught
    assert found.losses[-1][0] < 0.5 * found.losses[0][0]
    a, b = found.left_out.ravel(), wanted.ravel()
    assert np.corrcoef(a, b)[0, 1] > 0.5
    assert found.head.members == 2 and not (~shown).all(0).any()


def test_every_sample_is_kept_from_one_member_with_its_whole_group():
    shown = folds_of(["a", "b", "c", "a"], 2)
    np.testing.assert_array_equal(shown, [[False, True, False, False], [True, False, True, True]])
