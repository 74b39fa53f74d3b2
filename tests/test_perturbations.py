"""Eq. 19 to 22 against the same formulas in scipy, and what every perturbation leaves alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from iss_jax import interventions, masks, perturbations
from iss_jax.perturbations import PERTURBATIONS, perturb_views

KEY = jax.random.key(5)
HEIGHT, WIDTH = 40, 56
SCALE = HEIGHT / 224


@pytest.fixture(scope="module")
def frames():
    """Two frames with structure at several scales, over the whole value range."""
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(0, 256, (2, 10, 14, 3)), np.ones((1, 4, 4, 1)))
    return np.clip(blocks + rng.integers(-30, 31, (2, HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def region():
    return np.random.default_rng(1).random((2, HEIGHT, WIDTH)) < 0.5


def _smooth(white, sigma):
    """Gaussian smoothing of [h, w], scipy's `mirror` being the border that repeats no edge."""
    truncate = (max(1, round(3 * sigma)) + 0.25) / sigma
    return scipy.ndimage.gaussian_filter(white, sigma, mode="mirror", truncate=truncate)


def _white(shape):
    return np.asarray(jax.random.normal(KEY, shape), np.float64)


def _noise(frame, index, level):
    return np.clip(frame + level * 0.25 * 255 * _white((2, *frame.shape))[index], 0, 255)


def _texture(frame, index, level):
    white = _white((4, 2, HEIGHT, WIDTH, 1))[:, index, ..., 0]
    field = sum(0.5**k * _smooth(white[k], 1.5 * 2**k * SCALE) for k in range(4))
    return np.clip(frame + level * 60 * (field / field.std())[..., None], 0, 255)


def _geometric(frame, index, level):
    white = _white((2, HEIGHT, WIDTH, 2))[index]
    shift = np.stack([_smooth(white[..., axis], 10 * SCALE) for axis in (0, 1)])
    shift *= level * 25 * SCALE / np.hypot(*shift).max()
    places = np.mgrid[:HEIGHT, :WIDTH] + shift
    channels = [
        scipy.ndimage.map_coordinates(frame[..., c], places, order=1, mode="mirror")
        for c in range(3)
    ]
    return np.stack(channels, axis=-1)


def _patch(frame, index, level):
    bits = np.asarray(masks.sample_masks(KEY, 2, 1, keep_prob=0.3))[index, 0].astype(float)
    rows, columns = ((np.arange(n) + 0.5) * 7 / n - 0.5 for n in (HEIGHT, WIDTH))
    places = np.meshgrid(rows, columns, indexing="ij")
    keep = scipy.ndimage.map_coordinates(bits, places, order=1, mode="nearest")[..., None]
    blurred = np.stack([_smooth(frame[..., c], 10 * SCALE) for c in range(3)], axis=-1)
    keep = 1 - level * (1 - keep)
    return frame * keep + blurred * (1 - keep)


FORMULAS = {"noise": _noise, "texture": _texture, "geometric": _geometric, "patch": _patch}


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_the_papers_formula_computed_by_scipy(frames, region, name):
    levels = np.array([0.4, 1.0])
    expected = np.stack(
        [FORMULAS[name](frames[i].astype(np.float64), i, levels[i]) for i in range(2)]
    )
    expected = np.where(region[..., None], expected, frames)
    unit = frames.astype(np.float32) / 255 * 2 - 1
    found = PERTURBATIONS[name](KEY, unit, region, strength=levels)
    assert found.dtype == jnp.float32
    # In grey levels: float32 places of the warp are good to 4e-6 pixels, edges to 255 a pixel.
    np.testing.assert_allclose((found + 1) * 127.5, expected, atol=4e-3)
    assert np.abs(expected - frames).mean() > 3
    bytes_found = PERTURBATIONS[name](KEY, frames, region, strength=levels)
    assert bytes_found.dtype == jnp.uint8
    # Half-way values may be rounded either way, by the rounding of what is rounded.
    assert np.abs(bytes_found.astype(float) - expected).max() <= 0.5 + 4e-3


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_nothing_changes_outside_the_region_nor_at_strength_zero(frames, region, name):
    perturb = jax.jit(PERTURBATIONS[name])
    # Any bit pattern has to survive: values off the grid of grey levels, and beyond the range.
    odd = np.random.default_rng(2).normal(0, 2, frames.shape).astype(np.float32)
    for images in (frames, odd):
        found = np.asarray(perturb(KEY, images, region, strength=np.array([1.0, 0.0])))
        assert found[1].tobytes() == images[1].tobytes()
        inside = region[0]
        assert found[0][~inside].tobytes() == images[0][~inside].tobytes()
        assert (found[0][inside] != images[0][inside]).any(axis=-1).mean() > 0.5
    assert np.asarray(PERTURBATIONS[name](KEY, odd, strength=0.0)).tobytes() == odd.tobytes()


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_same_key_same_frames_and_frames_of_a_batch_differ(frames, name):
    twice = np.stack([frames[0], frames[0]])
    found = np.asarray(PERTURBATIONS[name](KEY, twice))
    np.testing.assert_array_equal(found, PERTURBATIONS[name](KEY, twice))
    assert (found[0] != found[1]).any()
    assert (found != PERTURBATIONS[name](jax.random.key(6), twice)).any()
    alone = PERTURBATIONS[name](KEY, frames[0])
    assert alone.shape == frames[0].shape and (alone != frames[0]).any()


def test_strength_grows_along_one_field():
    grey = np.full((1, HEIGHT, WIDTH, 3), 128, np.uint8)
    for name in ("noise", "texture"):
        half, full = (
            np.asarray(PERTURBATIONS[name](KEY, grey, strength=level), float) - 128
            for level in (0.5, 1.0)
        )
        inside = np.abs(full) < 126
        # Two roundings of half a grey level, one of them doubled.
        assert inside.mean() > 0.5 and np.abs(2 * half - full)[inside].max() <= 1.5


def test_moments_and_largest_shift():
    grey = np.zeros((1, 64, 64, 3), np.float32)
    # σ = 0.25 of the range is 0.5 here; of 12,288 draws the standard deviation is known to 0.7 %
    # before those beyond ±1, two deviations, are clipped.
    found = np.asarray(perturbations.noise(KEY, grey))
    clipped = 0.5 * np.sqrt(0.9205)  # second moment of a standard normal clipped at ±2
    assert abs(found.std() / clipped - 1) < 4 * 0.007
    texture = np.asarray(perturbations.texture(KEY, grey, alpha=20.0))
    np.testing.assert_allclose(texture.std(), 20 / 127.5, rtol=1e-4)
    assert (np.ptp(texture, axis=-1) == 0).all()
    coloured = np.asarray(perturbations.texture(KEY, grey, alpha=20.0, per_channel=True))
    np.testing.assert_allclose(coloured.std(axis=(1, 2)), 20 / 127.5, rtol=1e-4)
    assert (np.ptp(coloured, axis=-1) > 0).all()
    # A ramp shows by how much each pixel moved, away from the mirrored borders.
    ramp = np.tile(np.linspace(-1, 1, 64, dtype=np.float32)[:, None, None], (1, 64, 3))[None]
    for options, largest in (({}, 25 * 64 / 224), ({"beta": 7.0}, 2.0)):
        moved = np.asarray(perturbations.geometric(KEY, ramp, **options) - ramp)[0, 12:-12]
        assert 0.2 * largest < np.abs(moved).max() / (2 / 63) <= largest * (1 + 1e-3)


def test_other_readings_of_the_paper_computed_by_scipy(frames):
    """Octaves of equal deviation before they are weighted; displacements of deviation β."""
    white = _white((4, 2, HEIGHT, WIDTH, 1))[0:4, 0, ..., 0]
    smooth = [_smooth(white[k], 1.5 * 2**k * SCALE) for k in range(4)]
    field = sum(0.5**k * s / s.std() for k, s in enumerate(smooth))
    expected = np.clip(frames[0] + 60 * (field / field.std())[..., None], 0, 255)
    found = perturbations.texture(KEY, frames, normalize_octaves=True)
    assert np.abs(found[0].astype(float) - expected).max() <= 0.5 + 4e-3
    shift = [_smooth(_white((2, HEIGHT, WIDTH, 2))[0, ..., axis], 10 * SCALE) for axis in (0, 1)]
    places = np.mgrid[:HEIGHT, :WIDTH] + [2.0 * SCALE * s / s.std() for s in shift]
    expected = scipy.ndimage.map_coordinates(
        frames[0, ..., 1].astype(float), places, order=1, mode="mirror"
    )
    found = perturbations.geometric(KEY, frames, beta=2.0, normalize="std")
    assert np.abs(found[0, ..., 1].astype(float) - expected).max() <= 0.5 + 4e-3


def test_lengths_scale_with_the_frame():
    """A frame of twice the size, smooth, is warped as the small one is, twice as far."""
    shifts = {}
    for size in (56, 112):
        ramp = np.linspace(-1, 1, size, dtype=np.float32)
        image = np.broadcast_to(ramp[:, None, None], (40, size, size, 3))
        moved = np.asarray(perturbations.geometric(KEY, image) - image)[:, 10:-10]
        shifts[size] = np.abs(moved).mean()
    # The mean shift in units of the frame over 40 draws; its own spread over draws is some 5 %.
    assert abs(shifts[56] / shifts[112] - 1) < 0.2


def test_patch_is_the_masked_frame_of_iss(frames):
    unit = frames.astype(np.float32) / 255 * 2 - 1
    keep = masks.upsample(masks.sample_masks(KEY, 2, 1)[:, 0].astype(jnp.float32), (HEIGHT, WIDTH))
    expected = interventions.blend(unit, interventions.blur(unit), keep)
    # Strength 1 costs a rounding: 1 - (1 - m) in place of m.
    np.testing.assert_allclose(perturbations.patch(KEY, unit), expected, atol=1e-6)


def test_views_are_perturbed_independently(frames, region):
    images = {"wrist": frames, "front": frames}
    regions = {"wrist": region, "front": region}
    found = perturb_views("noise", KEY, images, regions, strength=0.5)
    assert list(found) == ["wrist", "front"]
    assert (found["wrist"] != found["front"]).any()
    first = jax.random.split(KEY)[0]  # cameras in sorted order
    expected = perturbations.noise(first, frames, region, strength=0.5)
    np.testing.assert_array_equal(found["front"], expected)
    with pytest.raises(ValueError, match=r"one of \('noise', .*got 'blur'"):
        perturb_views("blur", KEY, images)
    with pytest.raises(ValueError, match=r"lacks the cameras \['wrist'\]"):
        perturb_views("noise", KEY, images, {"front": region})


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("noise", {"images": np.zeros((4, 4))}, r"images must be \[\*b, h, w, c\], got \[4, 4\]"),
        ("noise", {"images": np.zeros((4, 4, 3), np.int32)}, "uint8 or floating.*int32"),
        ("patch", {"region": np.ones((4, 5), bool)}, r"region must be bool \[4, 4\].*\[4, 5\]"),
        ("patch", {"region": np.ones((4, 4), int)}, r"region must be bool \[4, 4\]"),
        ("texture", {"strength": 1.1}, r"strength must lie in \[0, 1\], got 1.1"),
        ("texture", {"strength": np.ones(2)}, r"or one a frame \[\]; got \[2\]"),
        ("noise", {"sigma": 0.0}, "sigma must be positive, got 0"),
        ("texture", {"octaves": 0}, "octaves must be at least 1, got 0"),
        ("geometric", {"beta": -1.0}, "beta must be positive, got -1"),
        ("geometric", {"normalize": "sum"}, r"one of \('max', 'std'\), got 'sum'"),
        ("patch", {"keep_prob": 1.0}, "keep_prob must lie strictly between 0 and 1"),
    ],
)
def test_what_does_not_fit_is_named(name, change, message):
    given = {"images": np.zeros((4, 4, 3), np.uint8)} | change
    with pytest.raises(ValueError, match=message):
        PERTURBATIONS[name](KEY, given.pop("images"), **given)
