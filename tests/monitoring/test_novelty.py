"""Random network distillation: low on what it was taught, high elsewhere."""

import jax
import numpy as np
import pytest

from iss_jax.monitoring.novelty import fit_novelty


def test_new_features_score_higher_and_the_fixed_network_stays():
    rng = np.random.default_rng(0)
    known = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3)) * 0.3 + 4.0
    novelty = fit_novelty(known[:200], key=jax.random.key(1), steps=200)
    untaught = fit_novelty(known[:200], key=jax.random.key(1), steps=0)
    held_out, away = novelty(known[200:]), novelty(known[200:] + 5.0)
    # Taught frames are told from others far away without an error, and teaching did it.
    assert away.min() > held_out.max()
    assert novelty(known[:200]).mean() < 0.2 * untaught(known[:200]).mean()
    for (one, _), (other, _) in zip(novelty.fixed, untaught.fixed, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_score_is_the_mean_squared_difference_of_the_two_networks():
    known = np.random.default_rng(0).normal(size=(20, 4))
    novelty = fit_novelty(known, steps=2)

    def answer(weights, x):
        (a, a0), (b, b0), (c, c0) = [tuple(map(np.asarray, own)) for own in weights]
        return np.maximum(np.maximum(x @ a + a0, 0) @ b + b0, 0) @ c + c0

    x = (known - known.mean(0)) / known.std(0)
    wanted = np.square(answer(novelty.fixed, x) - answer(novelty.taught, x)).mean(1)
    np.testing.assert_allclose(novelty(known), wanted, rtol=2e-3)


def test_a_feature_that_never_changes_is_no_division_by_zero():
    known = np.random.default_rng(0).normal(size=(20, 4))
    known[:, 1] = 3.0
    assert np.isfinite(fit_novelty(known, steps=2)(known)).all()


def test_what_cannot_be_is_refused():
    for features in (np.zeros((1, 3)), np.zeros(3), np.full((4, 3), np.nan)):
        with pytest.raises(ValueError, match="at least 2 finite rows"):
            fit_novelty(features)
