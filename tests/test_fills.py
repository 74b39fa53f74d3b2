"""What stands in the pixels of a player that is gone."""

import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import EffectsConfig, fills

SIZE = 32
RNG = np.random.default_rng(0)
FRAMES = {v: jnp.asarray(RNG.random((SIZE, SIZE, 3)), jnp.float32) for v in ("front", "wrist")}
EVERYWHERE = {v: jnp.ones((SIZE, SIZE), bool) for v in FRAMES}
HOLE = {v: jnp.zeros((SIZE, SIZE), bool).at[8:20, 10:22].set(True) for v in FRAMES}
DONOR = {v: 1.0 - frame for v, frame in FRAMES.items()}


def test_donors_come_as_they_are():
    found = fills.background(FRAMES, EVERYWHERE)(HOLE, DONOR)
    for view in FRAMES:
        np.testing.assert_array_equal(found[view], DONOR[view])


def test_the_wide_blur_leaves_no_colour_of_a_player_and_the_papers_does():
    """A panel a quarter of the frame wide: how much of its contrast is left in its middle."""
    panel = {"front": jnp.zeros((SIZE, SIZE, 3)).at[12:20, 12:20].set(1.0)}
    left = {}
    for sigma in (10.0, fills.WIDE_SIGMA):
        found = fills.Blur(sigma)(panel, {"front": jnp.ones((SIZE, SIZE), bool)})({}, {})["front"]
        left[sigma] = float(found[15, 15, 0] - found[0, 0, 0])
    assert left[10.0] > 0.8 and abs(left[fills.WIDE_SIGMA]) < 0.05


def test_the_mean_is_that_of_the_picture():
    inside = EVERYWHERE["front"].at[:, :4].set(False)
    found = fills.mean(FRAMES, EVERYWHERE | {"front": inside})(HOLE, DONOR)["front"]
    wanted = np.asarray(FRAMES["front"])[:, 4:].mean((0, 1))
    np.testing.assert_allclose(found, np.broadcast_to(wanted, found.shape), rtol=1e-5)


def test_inpainting_solves_laplaces_equation():
    """Linear and xy are harmonic: they come back in a hole, whatever stands there."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    surface = np.stack([x, y, x * y], -1).astype(np.float32)
    given = jnp.asarray(np.where(np.asarray(HOLE["front"])[..., None], 7.0, surface), jnp.float32)
    found = fills.inpaint({"front": given}, EVERYWHERE)({"front": HOLE["front"]}, {})["front"]
    np.testing.assert_allclose(found, surface, atol=1e-3)
    # A view of which nothing is left, and one of which nothing is gone.
    gone = {"front": EVERYWHERE["front"], "wrist": ~EVERYWHERE["wrist"]}
    found = fills.inpaint(FRAMES, EVERYWHERE)(gone, DONOR)
    wanted = fills.mean(FRAMES, EVERYWHERE)(gone, DONOR)["front"]
    np.testing.assert_allclose(found["front"], wanted, rtol=1e-5)
    np.testing.assert_array_equal(found["wrist"], FRAMES["wrist"])


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_a_tint_moves_the_channels_and_keeps_the_light(low):
    scale = 0.4 if low == 0.0 else 0.8
    frames = {v: low + scale * frame for v, frame in FRAMES.items()}
    reddish = np.array([1.2, 1.0, 0.8], np.float32)
    donor = {v: low + (frame - low) * reddish[None, None] for v, frame in frames.items()}
    found = fills.tinted(frames, donor, EVERYWHERE)
    for view, frame in frames.items():
        light = np.asarray(found[view] - low).mean((0, 1))
        own = np.asarray(frame - low).mean((0, 1))
        other = np.asarray(donor[view] - low).mean((0, 1))
        np.testing.assert_allclose(light / light.sum(), other / other.sum(), rtol=1e-5)
        np.testing.assert_allclose(light.mean(), own.mean(), rtol=1e-3)
    # Its own tint is no change.
    same = fills.tinted(frames, frames, EVERYWHERE)
    for view, frame in frames.items():
        np.testing.assert_allclose(same[view], frame, atol=1e-6)


def test_fills_by_name_and_in_words():
    for name, fill in fills.FILLS.items():
        assert fills.named(name) is fill and fills.described(name) == name
        assert fills.named(fills.of_description(fills.described(fill))) == fill
    assert fills.of_description("blur of sigma 10") == fills.Blur(10.0)
    assert fills.described(lambda frames, valid: None) == "<lambda>"
    assert [fills.needs_donors(name) for name in ("background", "blur", "mean", "inpaint")] == [
        *(True, False, False, False)
    ]
    for wrong in (lambda: fills.named("median"), lambda: fills.of_description("<lambda>")):
        with pytest.raises(ValueError, match=r"fill must be one of .*'(median|<lambda>)'"):
            wrong()
    with pytest.raises(ValueError, match=r"sigma must be positive .*0\.0"):
        fills.Blur(0.0)
    with pytest.raises(ValueError, match=r"like_for_like chooses among donors.*'mean'"):
        EffectsConfig(fill="mean", like_for_like=True)
