"""Which donors a frame draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import Background, Groups
from iss_jax.background import as_background, draw_donors, require_donors

BANK = Background(
    {"front": jnp.zeros((6, 4, 4, 3))},
    episode=jnp.array([0, 0, 1, 2, 3, 4]),
    task=jnp.array([0, 0, 0, 1, 1, 2]),
)


def test_own_episode_and_task_stay_out():
    groups = Groups(episode=jnp.array([3, 9, 0]), task=jnp.array([1, 0, 7]))
    wanted = [[1, 1, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1]]
    np.testing.assert_array_equal(BANK.allowed(groups), np.array(wanted, bool))
    drawn = draw_donors(jax.random.key(0), BANK.allowed(groups), 40)
    for row, free in zip(np.asarray(drawn), np.array(wanted, bool), strict=True):
        assert set(row) == set(np.flatnonzero(free))


def test_donors_are_different_while_there_are_enough_and_uniform():
    free = jnp.ones((1, 6), bool).at[0, 2].set(False)
    keys = jax.random.split(jax.random.key(1), 2000)
    drawn = np.asarray(jax.vmap(lambda key: draw_donors(key, free, 4)[0])(keys))
    assert all(len(set(row)) == 4 for row in drawn)
    counts = np.bincount(drawn.ravel(), minlength=6)
    assert counts[2] == 0
    # Each of five is among four with probability 0.8: standard deviation 18 of 1600.
    assert np.abs(counts[[0, 1, 3, 4, 5]] - 1600).max() < 5 * np.sqrt(2000 * 0.8 * 0.2)


def test_one_key_gives_all_frames_the_same_and_keys_give_each_its_own():
    free = jnp.ones((3, 50), bool)
    shared = np.asarray(draw_donors(jax.random.key(0), free, 8))
    assert (shared == shared[:1]).all()
    keys = jax.random.split(jax.random.key(0), 3)
    own = np.asarray(draw_donors(keys, free, 8))
    assert len({tuple(row) for row in own}) == 3
    for row, key in zip(own, keys, strict=True):
        np.testing.assert_array_equal(row, draw_donors(key, free[:1], 8)[0])


def test_a_frame_without_a_donor_is_named_where_that_is_known():
    allowed = jnp.array([[True, False], [False, False]])
    with pytest.raises(ValueError, match=r"frames \[1\] may draw none of 2 donors"):
        require_donors(allowed)
    jax.jit(lambda own: require_donors(own))(allowed)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"wrist": jnp.zeros((2, 4, 4, 3))}, r"no images of \['front'\], only of \['wrist'\]"),
        ({"front": jnp.zeros((4, 4, 3))}, r"must be \[r, h, w, 3\]"),
        ({"front": jnp.zeros((0, 4, 4, 3))}, "one at least"),
        (Background({"front": jnp.zeros((2, 4, 4, 3))}, task=jnp.zeros(3, int)), r"task.*\[2\].*3"),
        (
            Background(
                {"front": jnp.zeros((2, 4, 4, 3))}, regions={"front": jnp.zeros((2, 4, 5), int)}
            ),
            r"regions of 'front' must be \[2, 4, 4\].*\[2, 4, 5\]",
        ),
    ],
)
def test_banks_that_cannot_be_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        as_background(given, ("front",))


def test_a_bank_comes_back_from_its_file(tmp_path):
    bank = Background(
        {"front": np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3)},
        regions={"front": np.ones((2, 4, 4), np.uint8)},
        episode=np.array([3, 4]),
        task=np.array([0, 1]),
        state=np.ones((2, 8), np.float32),
        tasks=("milk", "bowl"),
        prompts=("pick up the milk", "put the bowl on the stove"),
    )
    bank.save(tmp_path / "bank.npz")
    back = Background.load(tmp_path / "bank.npz")
    assert (back.tasks, back.prompts) == (bank.tasks, bank.prompts)
    jax.tree.map(np.testing.assert_array_equal, back, bank)
