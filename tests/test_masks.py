import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from iss_jax.masks import balanced_keep_prob, sample_masks, touched_cells, upsample


def bilinear(cells, size):
    """Half-pixel bilinear interpolation, one axis at a time, edges held."""
    for axis, pixels in zip((-2, -1), size, strict=True):
        count = cells.shape[axis]
        at = (np.arange(pixels) + 0.5) * count / pixels - 0.5
        grid = functools.partial(np.interp, at, np.arange(count))
        cells = np.apply_along_axis(grid, axis, cells)
    return cells


@pytest.mark.parametrize("keep_prob", [0.3, 0.5])
def test_bernoulli_keeps_cells_independently(keep_prob):
    masks = sample_masks(jax.random.key(0), 2000, 2, keep_prob=keep_prob)
    assert masks.shape == (2000, 2, 7, 7) and masks.dtype == jnp.bool_
    kept = np.asarray(masks).reshape(2000, -1)
    counts = kept.sum(0)
    # 98 cells: the number kept is Binomial(2000, p); chance of a false alarm below 1e-3.
    low, high = stats.binom.interval(1 - 1e-5, 2000, keep_prob)
    assert low <= counts.min() and counts.max() <= high
    # The total has the binomial variance only when cells and masks are independent.
    totals = kept.sum(1)
    ratio = totals.var(ddof=1) / (98 * keep_prob * (1 - keep_prob))
    assert stats.chi2.ppf(1e-4, 1999) < 1999 * ratio < stats.chi2.ppf(1 - 1e-4, 1999)


@pytest.mark.parametrize(("num_masks", "kept"), [(10, 3), (100, 30), (7, 2), (5, 2)])
def test_balanced_keeps_every_cell_equally_often(num_masks, kept):
    masks = sample_masks(jax.random.key(1), num_masks, 3, design="balanced")
    assert np.all(np.asarray(masks).sum(0) == kept)


def test_balanced_orders_are_independent_between_cells():
    def overlaps(key):
        cells = sample_masks(key, 10, 1, grid=(1, 2), design="balanced").reshape(10, 2)
        return (cells[:, 0] & cells[:, 1]).sum()

    found = np.asarray(jax.vmap(overlaps)(jax.random.split(jax.random.key(2), 4000)))
    expected = 4000 * stats.hypergeom.pmf(np.arange(4), 10, 3, 3)
    observed = np.bincount(found, minlength=4)
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_balanced_order_is_uniform():
    masks = sample_masks(jax.random.key(3), 10, 400, grid=(1, 1), design="balanced")
    per_mask = np.asarray(masks).sum((1, 2, 3))
    # 3 of 10 without replacement, 400 times: covariance 400 (0.3 0.7) (10/9) (I - 11'/10).
    statistic = np.square(per_mask - 120).sum() / (400 * 0.3 * 0.7 * 10 / 9)
    assert stats.chi2.ppf(1e-3, 9) < statistic < stats.chi2.ppf(1 - 1e-3, 9)


def test_masks_depend_on_the_key_alone():
    again = [sample_masks(jax.random.key(seed), 20, 3, design="balanced") for seed in (4, 4, 5)]
    assert jnp.array_equal(again[0], again[1]) and not jnp.array_equal(again[0], again[2])


@pytest.mark.parametrize("design", ["bernoulli", "balanced"])
@pytest.mark.parametrize("keep_prob", [0.3, 0.5, np.float32(0.7)])
def test_equal_keys_draw_equal_masks_with_and_without_64_bits(design, keep_prob):
    def draw():
        key = jax.random.key(5)
        return np.asarray(sample_masks(key, 30, 2, keep_prob=keep_prob, design=design))

    narrow = draw()
    jax.config.update("jax_enable_x64", True)
    try:
        wide = draw()
    finally:
        jax.config.update("jax_enable_x64", False)
    assert np.array_equal(narrow, wide) and narrow.dtype == wide.dtype == bool


@pytest.mark.parametrize(("n", "p", "kept"), [(7, 0.33, 2), (16, 0.31, 5), (5, 0.51, 3)])
def test_balanced_masks_say_which_p_they_have(n, p, kept, caplog):
    assert balanced_keep_prob(n, p) == kept / n
    for _ in range(2):
        drawn = sample_masks(jax.random.key(0), n, 1, keep_prob=p, design="balanced")
    assert np.asarray(drawn).mean() == pytest.approx(kept / n)
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"kept in {kept} of {n} masks, so that p is {kept / n:.4g}, not {p:.4g}" in line


def test_where_p_holds_nothing_is_said(caplog):
    sample_masks(jax.random.key(0), 100, 1, design="balanced")
    sample_masks(jax.random.key(0), 7, 1, design="bernoulli")
    assert not caplog.records


# The last one has fewer pixels than cells: bilinear interpolation still reads two of them, and
# averages over no others.
@pytest.mark.parametrize("size", [(224, 224), (80, 60), (15, 7), (9, 8), (5, 3)])
def test_upsample_is_half_pixel_bilinear(size):
    cells = np.random.default_rng(0).random((2, 3, 7, 7), np.float32)
    np.testing.assert_allclose(upsample(jnp.asarray(cells), size), bilinear(cells, size), atol=2e-6)


def test_upsample_equals_the_golden_soft_mask(golden):
    arrays = np.load(golden / "iss_tiny_b.npz", allow_pickle=False)
    soft = upsample(jnp.asarray(arrays["keep"][0], jnp.float32), (224, 224))
    np.testing.assert_allclose(soft[:, ::8, ::8], arrays["soft_mask0_stride8"], atol=1e-6)


def test_upsample_weights_sum_to_one():
    cells = jax.random.uniform(jax.random.key(0), (5, 7, 7))
    size = (45, 31)
    np.testing.assert_allclose(upsample(1 - cells, size), 1 - upsample(cells, size), atol=2e-6)


@pytest.mark.parametrize("size", [(28, 28), (30, 17), (224, 224)])
def test_touched_cells_are_those_with_weight_on_valid_pixels(size):
    valid = np.zeros(size, bool)
    valid[size[0] // 4 : 3 * size[0] // 4, 2:-1] = True
    one_hot = np.eye(49, dtype=np.float32).reshape(49, 7, 7)
    weight = (bilinear(one_hot, size) * valid).max((1, 2)).reshape(7, 7)
    assert np.array_equal(touched_cells(jnp.asarray(valid), (7, 7)), weight > 1e-9)
    assert not touched_cells(jnp.zeros(size, bool), (7, 7)).any()
    assert touched_cells(jnp.ones(size, bool), (7, 7)).all()


@pytest.mark.parametrize(
    ("size", "grid"), [((21, 15), (7, 3)), ((9, 14), (2, 5)), ((4, 3), (3, 4))]
)
def test_one_valid_pixel_touches_the_cells_that_it_is_interpolated_from(size, grid):
    """Every pixel alone. Of 21 pixels every third lies on the centre of one of 7 cells."""
    pixels, cells = size[0] * size[1], grid[0] * grid[1]
    weight = bilinear(np.eye(cells).reshape(cells, *grid), size).reshape(cells, pixels)
    alone = jnp.eye(pixels, dtype=bool).reshape(pixels, *size)
    assert np.array_equal(touched_cells(alone, grid), weight.T.reshape(pixels, *grid) > 1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"design": "sobol"}, "bernoulli.*sobol"),
        ({"keep_prob": 1.0}, "keep_prob.*1.0"),
        ({"keep_prob": 0.0}, "keep_prob.*0.0"),
        ({"grid": (0, 7)}, "rows must be an integer >= 1, got 0"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        sample_masks(jax.random.key(0), 10, 3, **options)
