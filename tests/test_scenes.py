"""Labels at the policy's size, and whose pixels a draw's donor holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import Background, EffectsConfig, Groups
from iss_jax.data.regions import fit_regions
from iss_jax.scenes import donor_frames, drawn, fitted_labels, make_scene

RNG = np.random.default_rng(0)
CONFIG = EffectsConfig(draws=3)


@pytest.mark.parametrize("size", [(24, 32), (32, 24), (64, 64), (16, 48)])
def test_labels_are_fitted_as_the_datasets_readers_fit_them(size):
    """`fit_regions` is tested against the resizing of the frames themselves."""
    labels = RNG.integers(0, 3, (2, *size)).astype(np.uint8)
    found = np.asarray(fitted_labels(jnp.asarray(labels).astype(jnp.int32), 32, 32, -1))
    wanted, inside = fit_regions(labels, 32, 32)
    np.testing.assert_array_equal(found >= 0, np.broadcast_to(inside, found.shape))
    np.testing.assert_array_equal(np.where(found < 0, 0, found), wanted)


def test_a_scene_holds_no_label_outside_the_picture():
    frames = {"front": jnp.zeros((1, 4, 4, 3))}
    labels = {"front": jnp.full((1, 4, 4), 2).at[0, 0, 0].set(-7)}
    valid = {"front": jnp.ones((1, 4, 4), bool).at[:, 3].set(False)}
    scene = make_scene(frames, labels, valid, None, CONFIG)
    wanted = np.full((4, 4), 2)
    wanted[3], wanted[0, 0] = -1, -1
    np.testing.assert_array_equal(scene.labels["front"][0], wanted)
    # Without donors a draw's is the frame itself.
    assert scene.donors["front"].shape == (1, 3, 4, 4, 3)


def test_donors_of_all_views_are_of_one_frame():
    bank = Background(
        {v: jnp.arange(5.0)[:, None, None, None] * jnp.ones((1, 2, 2, 3)) for v in ("a", "b")},
        regions={v: jnp.arange(5)[:, None, None] * jnp.ones((1, 2, 2), int) for v in ("a", "b")},
    )
    chosen = jnp.array([[4, 0, 2], [1, 1, 3]])
    images, regions = donor_frames(bank, chosen, ("a", "b"))
    assert images is not None and regions is not None
    for view in ("a", "b"):
        np.testing.assert_array_equal(images[view][..., 1, 0, 2], chosen.astype(jnp.float32))
        np.testing.assert_array_equal(regions[view][..., 1, 0], chosen)
    assert donor_frames(bank, None, ("a",)) == (None, None)


def test_a_pixel_is_taken_from_the_first_draw_whose_label_is_its_own():
    """One pixel a column: of the draw's own donor, of the next, of the last, of none."""
    frames = {"front": jnp.full((1, 1, 4, 3), 9.0)}
    own = {"front": jnp.array([[[0, 1, 2, 5]]])}
    labels = {"front": jnp.array([[[[0, 0, 0, 0]], [[1, 1, 1, 1]], [[1, 1, 2, 0]]]])}
    donors = {"front": jnp.arange(3.0)[None, :, None, None, None] * jnp.ones((1, 1, 1, 4, 3))}
    valid = {"front": jnp.ones((1, 1, 4), bool)}
    config = EffectsConfig(draws=3, like_for_like=True)
    scene = make_scene(frames, own, valid, donors, config, regions=own, donor_regions=labels)
    found = np.asarray(scene.donors["front"])[0, :, 0, :, 0]
    np.testing.assert_array_equal(found, [[0, 1, 2, 9], [0, 1, 2, 9], [0, 2, 2, 9]])


def test_who_draws_what():
    keys = jax.random.split(jax.random.key(0), 2)
    bank = Background({"front": jnp.zeros((4, 2, 2, 3))}, episode=jnp.arange(4))
    donors, some = drawn(keys, bank, Groups(jnp.array([0, 3]), jnp.array([7, 7])), 2, CONFIG)
    assert donors is not None and donors.shape == (2, 3) and some.all()
    assert 0 not in np.asarray(donors)[0] and 3 not in np.asarray(donors)[1]
    assert drawn(keys, None, None, 2, EffectsConfig(fill="blur"))[0] is None
    assert drawn(keys, bank, None, 2, EffectsConfig(draws=3, fill="blur", tint=True))[0] is not None
    with pytest.raises(ValueError, match=r"groups.task must be \[2\], got \[1\]"):
        drawn(keys, bank, Groups(jnp.array([0, 3]), jnp.array([7])), 2, CONFIG)
