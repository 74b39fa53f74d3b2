"""NMR by effect: the nuisance share of the regions, and its chance level."""

import jax.numpy as jnp
import numpy as np
import pytest
from embedded_scene import scene

import iss_jax
from iss_jax import EffectsConfig, Region, Sampling
from iss_jax.nmr_effect import shifted


def test_labels_move_by_half_the_picture_and_come_in_again():
    labels = jnp.arange(24).reshape(1, 4, 6)
    np.testing.assert_array_equal(shifted(labels), np.roll(labels, (2, 3), (1, 2)))
    np.testing.assert_array_equal(shifted(shifted(labels)), labels)


def test_in_a_letterbox_they_move_within_the_picture():
    valid = np.zeros((2, 6, 6), bool)
    valid[:, 1:5] = True
    labels = jnp.arange(72).reshape(2, 6, 6)
    moved = np.asarray(shifted(labels, jnp.asarray(valid)))
    np.testing.assert_array_equal(moved[:, 1:5], np.roll(labels[:, 1:5], (2, 3), (1, 2)))
    np.testing.assert_array_equal(moved[:, [0, 5]], np.asarray(labels)[:, [0, 5]])
    # As many pixels of each label as before.
    assert sorted(moved.ravel().tolist()) == list(range(72))


def test_it_is_the_share_of_the_nuisance_region_and_that_of_the_moved_labels():
    known = scene()
    config = EffectsConfig(draws=2, like_for_like=True, action_dims=7)
    call = {"action_horizon": 16, "sampling": Sampling(num_steps=2)}
    found = iss_jax.nmr_by_effect(
        known.policy.params,
        known.obs,
        known.regions,
        known.background,
        config=config,
        level=0.8,
        **call,
    )
    moved = {view: shifted(jnp.asarray(own)) for view, own in known.regions.items()}
    for labels, share, stderr, interval in (
        (known.regions, found.share, found.stderr, found.interval),
        (moved, found.chance, found.chance_stderr, found.chance_interval),
    ):
        effects = iss_jax.player_effects(
            known.policy.params,
            known.obs,
            iss_jax.players.from_regions(labels),
            known.background,
            config=config,
            regions=known.regions,
            **call,
        )
        np.testing.assert_allclose(share, effects.share[:, Region.NUISANCE], rtol=1e-5)
        np.testing.assert_allclose(stderr, effects.share_stderr[:, Region.NUISANCE], rtol=1e-4)
        ends = np.stack([end[:, Region.NUISANCE] for end in effects.intervals(0.8)], -1)
        np.testing.assert_allclose(interval, ends, rtol=1e-4, atol=1e-6)
    assert 0.0 <= float(found.share[0]) <= 1.0 and int(found.reason[0]) == 0
    area = np.mean([(known.regions[view] == 0).mean() for view in known.regions])
    np.testing.assert_allclose(found.area, area, rtol=1e-5)
    alone = iss_jax.nmr_by_effect(
        known.policy.params,
        known.obs,
        known.regions,
        known.background,
        config=config,
        chance=False,
        **call,
    )
    np.testing.assert_array_equal(alone.share, found.share)
    assert alone.chance is None and alone.chance_interval is None
    assert (alone.level, found.level) == (0.95, 0.8)
    # Two draws say little, the more so the surer one wants to be.
    width = np.diff(np.asarray(found.interval)), np.diff(np.asarray(alone.interval))
    assert (width[0] <= width[1]).all()


def test_a_nuisance_that_no_donor_changes_is_not_tested():
    """One room: the donors' nuisance is the frame's own."""
    known = scene()
    frames = {view: np.asarray(known.obs.images[view]) for view in known.regions}
    donors = {}
    for view, frame in frames.items():
        outside = np.asarray(known.regions[view])[..., None] != Region.NUISANCE
        donors[view] = np.where(outside, frame[:, ::-1], frame)
    call = {"action_horizon": 16, "sampling": Sampling(num_steps=2)}
    config = EffectsConfig(draws=2, action_dims=7)
    found = iss_jax.nmr_by_effect(
        known.policy.params, known.obs, known.regions, donors, config=config, chance=False, **call
    )
    assert found.reason.tolist() == [3] and not bool(found.valid[0])
    np.testing.assert_array_equal(found.interval, [[0.0, 1.0]])
    assert "not tested" in repr(found)
    effects = iss_jax.player_effects(
        known.policy.params,
        known.obs,
        iss_jax.players.from_regions(known.regions),
        donors,
        config=config,
        **call,
    )
    assert effects.nuisance(known.regions).reason.tolist() == [3]
    # Where there is no nuisance at all its share is known.
    none = {view: np.ones(labels.shape, np.uint8) for view, labels in known.regions.items()}
    assert effects.nuisance(none).reason.tolist() == [0]
    with pytest.raises(ValueError, match="regions"):
        effects.nuisance({view: np.asarray(own) > 0 for view, own in known.regions.items()})
