"""The probe is at the optimum of its penalised likelihood."""

import numpy as np
import pytest
import scipy.optimize

from iss_jax.monitoring.probe import fit_probe


def data(n=60, f=4):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, f)) * np.array([1.0, 5.0, 0.1, 2.0])
    failed = features @ np.array([1.0, 0.2, 0.0, -0.5]) + rng.normal(size=n) > 0.3
    return features, failed, rng.uniform(0.5, 2.0, n)


@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
def test_it_equals_another_optimiser(penalty):
    features, failed, weight = data()
    probe = fit_probe(features, failed, weight, penalty=penalty)
    x = (features - features.mean(0)) / features.std(0)
    each = weight * len(weight) / weight.sum()

    def cost(at):
        odds = x @ at[:-1] + at[-1]
        likely = each * (np.logaddexp(0, odds) - failed * odds)
        return likely.sum() + penalty / 2 * at[:-1] @ at[:-1]

    best = scipy.optimize.minimize(cost, np.zeros(5), method="BFGS", tol=1e-10).x
    np.testing.assert_allclose([*probe.weights, probe.bias], best, atol=2e-4)
    np.testing.assert_allclose(probe(features), x @ best[:-1] + best[-1], atol=1e-3)


def test_outcomes_that_can_be_parted_have_an_optimum_too():
    features = np.array([[-2.0], [-1.0], [1.0], [2.0]]) * 1e3
    probe = fit_probe(features, np.array([0, 0, 1, 1], bool), penalty=1e-3)
    assert np.isfinite(probe(features)).all() and (probe(features) > 0).tolist() == [0, 0, 1, 1]


def test_what_cannot_be_is_refused():
    features, failed, _ = data()
    with pytest.raises(ValueError, match="got one kind"):
        fit_probe(features, np.zeros(len(failed), bool))
    with pytest.raises(ValueError, match=r"failed: \[3\] given"):
        fit_probe(features, failed[:3])
