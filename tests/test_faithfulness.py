"""Metrics of faithfulness against closed forms, on a policy that is linear in its pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from iss_jax import faithfulness

VIEWS = ("front", "wrist")
RNG = np.random.default_rng(0)
WEIGHTS = {view: jnp.asarray(RNG.normal(size=(4, 5)), jnp.float32) for view in VIEWS}
IMAGES = {view: jnp.asarray(RNG.normal(size=(4, 5, 3)), jnp.float32) for view in VIEWS}
BASE = {view: jnp.zeros((4, 5, 3)) for view in VIEWS}


def policy(images):
    """One action: a weighted sum of the red channel over both views."""
    parts = [
        jnp.einsum("nhw,hw->n", images[view][..., 0], WEIGHTS[view], precision="highest")
        for view in VIEWS
    ]
    return (parts[0] + parts[1])[:, None, None]


def contributions():
    return {view: WEIGHTS[view] * IMAGES[view][..., 0] for view in VIEWS}


def flat(maps):
    return np.concatenate([np.ravel(maps[view]) for view in VIEWS])


@pytest.mark.parametrize("steps", [4, 10])
def test_curves_are_squared_sums_of_the_sorted_contributions(steps):
    parts = contributions()
    ordered = np.sort(flat(parts))[::-1]
    gone = [ordered[: 40 * k // steps].sum() for k in range(steps + 1)]
    found = faithfulness.deletion(policy, IMAGES, parts, BASE, steps=steps)
    np.testing.assert_allclose(found, np.square(gone), rtol=1e-4, atol=1e-5)
    left = ordered.sum() - np.array(gone)
    found = faithfulness.insertion(policy, IMAGES, parts, BASE, steps=steps)
    np.testing.assert_allclose(found, np.square(left), rtol=1e-4, atol=1e-5)


def test_equal_scores_go_in_the_order_of_views_and_rows():
    maps = {view: jnp.ones((4, 5)) for view in VIEWS}
    places = faithfulness.order(maps)
    np.testing.assert_allclose(flat(places), np.arange(40) / 40, rtol=1e-6)


def test_the_area_is_scipys_trapezoid():
    curve = jnp.asarray(RNG.random((3, 11)), jnp.float32)
    expected = scipy.integrate.trapezoid(curve, dx=0.1)
    np.testing.assert_allclose(faithfulness.area(curve), expected, rtol=1e-5)


def test_infidelity_is_what_least_squares_through_zero_leaves():
    removed = {view: jnp.asarray(RNG.random((30, 4, 5)) < 0.3) for view in VIEWS}
    maps = {view: jnp.asarray(RNG.random((4, 5)), jnp.float32) for view in VIEWS}
    found = faithfulness.infidelity(policy, IMAGES, maps, BASE, removed)
    pixels = np.concatenate([np.asarray(removed[v]).reshape(30, -1) for v in VIEWS], 1)
    effects = np.square(pixels @ flat(contributions()))
    sums = pixels @ flat(maps)
    beta = np.linalg.lstsq(sums[:, None], effects, rcond=None)[0]
    expected = np.square(sums * beta - effects).sum() / np.square(effects).sum()
    assert float(found) == pytest.approx(expected, rel=1e-4)
    nothing = {view: jnp.zeros((4, 5)) for view in VIEWS}
    assert float(faithfulness.infidelity(policy, IMAGES, nothing, BASE, removed)) == 1.0


def test_a_linear_map_is_as_sensitive_as_its_change_is_large():
    def explain(images):
        return {view: images[view][..., 0] for view in VIEWS}

    key, radius = jax.random.key(1), 0.2
    found = float(faithfulness.max_sensitivity(explain, IMAGES, key, radius=radius, samples=20))
    size = np.linalg.norm(flat(explain(IMAGES)))
    # Twenty draws of 40 uniform changes: each has norm radius sqrt(40 / 3), give or take a tenth.
    assert found == pytest.approx(radius * np.sqrt(40 / 3) / size, rel=0.3)
    few = float(faithfulness.max_sensitivity(explain, IMAGES, key, radius=radius, samples=2))
    assert 0 < few <= found
    double = float(faithfulness.max_sensitivity(explain, IMAGES, key, radius=0.4, samples=20))
    assert double == pytest.approx(2 * found, rel=1e-4)


def test_randomisation_tells_a_map_that_reads_parameters_from_one_that_does_not():
    params = {"w": jnp.arange(400.0).reshape(20, 20)}

    def reads(params):
        return {"front": params["w"]}

    def ignores(params):
        return {"front": jnp.arange(400.0).reshape(20, 20)}

    key = jax.random.key(0)
    # Of 400 dealt places: standard error 0.05.
    assert abs(float(faithfulness.randomisation(reads, params, key))) < 0.2
    assert float(faithfulness.randomisation(ignores, params, key)) == pytest.approx(1.0, rel=1e-5)


def test_rank_correlation_is_scipys_with_ties():
    a, b = RNG.integers(0, 5, 50), RNG.integers(0, 5, 50)
    found = faithfulness.rank_correlation(jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32))
    assert float(found) == pytest.approx(
        np.corrcoef(scipy.stats.rankdata(a), scipy.stats.rankdata(b))[0, 1], rel=1e-4
    )
    assert float(faithfulness.rank_correlation(jnp.ones(4), jnp.arange(4.0))) == 0.0


def test_maps_that_do_not_fit_are_named():
    maps = {"front": jnp.ones((4, 5)), "wrist": jnp.ones((5, 4))}
    with pytest.raises(ValueError, match=r"maps of 'wrist' must be \[4, 5\], got \(5, 4\)"):
        faithfulness.deletion(policy, IMAGES, maps, BASE)
    good = {view: jnp.ones((4, 5)) for view in VIEWS}
    with pytest.raises(ValueError, match=r"base of 'wrist' must be \[4, 5, 3\], got none"):
        faithfulness.insertion(policy, IMAGES, good, {"front": BASE["front"]})
    with pytest.raises(ValueError, match=r"removed: .* wanted, got 'head'"):
        faithfulness.infidelity(policy, IMAGES, good, BASE, {"head": jnp.ones((2, 4, 5), bool)})


# PixelFlipping of Quantus 0.6.0 (features_in_step=8, perturb_baseline=0, normalise and abs off) on
# tanh(sum of w x), the arrays below.
QUANTUS = [-0.7399202, -0.9496705, -0.9820183, -0.771821, -0.970687, -0.8010846, 0.3284569, 0.0]


def test_deletion_is_pixel_flipping_of_quantus():
    rng = np.random.default_rng(0)
    w, x, scores = rng.normal(size=(8, 8)), rng.uniform(size=(8, 8)), rng.normal(size=(8, 8))

    def policy(images):
        seen = jnp.einsum("nhw,hw->n", images["view"][..., 0], jnp.asarray(w, jnp.float32))
        return jnp.tanh(seen)[:, None, None]

    frame = {"view": jnp.asarray(np.repeat(x[..., None], 3, -1), jnp.float32)}
    gone = {"view": jnp.zeros_like(frame["view"])}
    maps = {"view": jnp.asarray(scores, jnp.float32)}
    curve = faithfulness.deletion(policy, frame, maps, gone, steps=8)
    expected = np.square(np.array(QUANTUS) - np.tanh((w * x).sum()))
    np.testing.assert_allclose(curve[1:], expected, atol=2e-6)
