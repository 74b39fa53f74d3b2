"""The design that reuses masked views: unbiased by enumeration, and its standard error."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.masked_view_reuse import VARIANTS, get_config
from experiments import masked_view_reuse as reuse


def effect(masks: np.ndarray) -> np.ndarray:
    """Of masks [n, 2 views, 1, 2]: main effects, and interactions within and across views."""
    drop = 1.0 - masks.reshape(*masks.shape[:-3], 4)
    a, b, c, d = (drop[..., i] for i in range(4))
    return 1.0 + 2.0 * a + 0.5 * b - c + 3.0 * a * b * d + 1.5 * a * c - b * c * d


def exact_scores(p: float) -> np.ndarray:
    """E[effect | cell dropped] over all 16 masks."""
    bits = np.array(list(itertools.product((0, 1), repeat=4)))
    weight = np.prod(np.where(bits, p, 1 - p), axis=1)
    values = effect(bits.reshape(16, 2, 1, 2))
    dropped = 1 - bits
    scores = (dropped * (weight * values)[:, None]).sum(0) / (dropped * weight[:, None]).sum(0)
    return scores.reshape(2, 1, 2)


def test_no_two_masks_share_more_than_one_masked_view() -> None:
    index = reuse.pairing(28, 3, 4)
    assert all((np.bincount(column) == 4).all() for column in index.T)
    shared = (index[:, None] == index[None]).sum(-1)
    assert shared[~np.eye(28, dtype=bool)].max() == 1
    for masks, views, uses in ((24, 3, 5), (24, 3, 8)):
        with pytest.raises(ValueError, match=f"{masks} masks of {views} views with {uses} uses"):
            reuse.pairing(masks, views, uses)


def test_unbiased_over_every_outcome_of_the_design() -> None:
    """Two copies of each of two views, each used twice: 256 designs, weighted as likely as each."""
    p, index = 0.3, reuse.pairing(4, 2, 2)
    copies = np.array(list(itertools.product((False, True), repeat=8))).reshape(256, 2, 2, 1, 2)
    weight = np.prod(np.where(copies, p, 1 - p), axis=(1, 2, 3, 4))
    masks = jnp.asarray(copies[:, index, np.arange(2)[None]])
    effects = jnp.asarray(effect(np.asarray(masks)), jnp.float32)
    scores = jax.vmap(lambda m, e: reuse.estimate_reused(m, index, e, keep_prob=p)[0])(
        masks, effects
    )
    mean = (np.asarray(scores, np.float64) * weight[:, None, None, None]).sum(0)
    np.testing.assert_allclose(mean, exact_scores(p), rtol=1e-5)


def test_the_standard_error_holds_what_runs_share() -> None:
    """4,000 maps: mean score within 5 of its errors, mean squared error within 10 % of the spread.

    Taking the runs for independent would say less than 0.75 of it.
    """
    p, index, repeats = 0.3, reuse.pairing(48, 2, 3), 4000
    keys = jax.random.split(jax.random.key(0), repeats)
    masks = jax.vmap(lambda k: reuse.reused_masks(k, index, grid=(1, 2), keep_prob=p))(keys)
    effects = jnp.asarray(effect(np.asarray(masks)), jnp.float32)
    scores, stderr = jax.vmap(lambda m, e: reuse.estimate_reused(m, index, e, keep_prob=p))(
        masks, effects
    )
    spread = np.asarray(scores).var(0, ddof=1)
    error = np.abs(np.asarray(scores).mean(0) - exact_scores(p)) / np.sqrt(spread / repeats)
    assert error.max() < 5
    np.testing.assert_allclose(np.square(stderr).mean(0), spread, rtol=0.1)
    drops = (1.0 - np.asarray(masks)) / (1 - p)
    terms = (np.asarray(effects) - np.asarray(effects).mean(1, keepdims=True))[
        ..., None, None, None
    ]
    naive = (terms * drops).var(1).mean(0) / 48
    assert (naive < 0.75 * spread).all()


def test_resampled_variances_spread_as_normal_ones_do() -> None:
    """A variance of n normal values has the standard error sqrt(2 / (n - 1)), here 0.1."""
    maps = np.random.default_rng(0).normal(size=(201, 1))
    found = reuse.resampled_variances(maps, seed=0, resamples=4000)
    assert found.mean() == pytest.approx(maps.var(ddof=1), rel=0.02)
    assert found.std() == pytest.approx(0.1, rel=0.2)


def test_smoke(tmp_path) -> None:
    config = get_config("smoke")
    config.quiet = True
    rows = reuse.main(config, tmp_path)
    assert [row["uses"] for row in rows] == [1, 2]
    assert rows[0]["variance"] == rows[0]["variance_by_cost_full"] == 1.0
    assert 0 < rows[1]["variance_low"] < rows[1]["variance_high"]
    # Two uses of each encoding take half of the encoder's 15.5 % off.
    saved = rows[1]["variance_by_cost_full"] / rows[1]["variance"]
    assert saved == pytest.approx(0.922, abs=0.002)
    assert (tmp_path / "results.csv").exists()


@pytest.mark.parametrize("variant", VARIANTS)
def test_masks_of_every_variant_can_be_paired(variant: str) -> None:
    config = get_config(variant)
    for uses in config.uses:
        reuse.pairing(config.num_masks, 3, uses)
