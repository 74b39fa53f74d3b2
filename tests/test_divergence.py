import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from iss_jax.divergence import effects, gaussian_kl

ACTIONS = jnp.array([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[0.0, 0.0, 0.0], [1.0, 0.0, 2.0]]])
BASELINE = jnp.array([[0.0, 0.0, 0.0], [1.0, 0.0, 2.0]])


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({}, (1 + 4 + 9 + 9 + 25 + 16) / 6),
        ({"reduction": "sum"}, 64.0),
        ({"horizon": 1}, 14 / 3),
        ({"horizon": 2}, 64 / 6),
        ({"action_dims": 1}, (1 + 9) / 2),
        ({"action_dims": 2}, (1 + 4 + 9 + 25) / 4),
        ({"action_dims": 3}, 64 / 6),
        ({"action_dims": (2, 0)}, (9 + 1 + 16 + 9) / 4),
        ({"action_dims": (1,), "horizon": 1, "reduction": "sum"}, 4.0),
        ({"weights": (1.0, 0.0, 3.0)}, (1 + 27 + 9 + 48) / 8),
        ({"weights": jnp.array([[1.0, 0, 0], [0, 0, 2]]), "reduction": "sum"}, 1.0 + 32.0),
    ],
)
def test_effects_by_hand(options, first):
    np.testing.assert_allclose(effects(ACTIONS, BASELINE, **options), [first, 0.0], rtol=1e-6)


def test_effects_broadcast_over_masks_and_draws():
    actions = jax.random.normal(jax.random.key(0), (5, 2, 4, 3))
    baseline = jax.random.normal(jax.random.key(1), (2, 4, 3))
    expected = np.square(np.asarray(actions) - np.asarray(baseline)).mean((-1, -2))
    np.testing.assert_allclose(effects(actions, baseline), expected, rtol=1e-5)


def test_effects_of_bfloat16_actions_are_computed_in_float32():
    actions, baseline = ACTIONS.astype(jnp.bfloat16), BASELINE.astype(jnp.bfloat16)
    found = effects(actions, baseline)
    assert found.dtype == jnp.float32
    # 64 / 6 has no bfloat16; the actions themselves have.
    np.testing.assert_allclose(found, [64 / 6, 0.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduction": "max"}, "reduction.*max"),
        ({"horizon": 3}, r"horizon.*1\.\.2.*3"),
        ({"horizon": 0}, r"horizon.*1\.\.2.*0"),
        ({"action_dims": 0}, r"action_dims.*1\.\.3.*0"),
        ({"action_dims": ()}, r"action_dims.*0\.\.2.*\(\)"),
        ({"action_dims": (-1, 1)}, r"action_dims.*0\.\.2.*\(-1, 1\)"),
        ({"action_dims": 4}, r"action_dims.*1\.\.3.*4"),
        ({"action_dims": (0, 3)}, r"action_dims.*0\.\.2"),
        ({"weights": (1.0, 2.0)}, r"weights.*\[3\].*\(2,\)"),
    ],
)
def test_effects_name_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        effects(ACTIONS, BASELINE, **options)


def test_gaussian_kl_is_the_expected_log_ratio():
    sigma = jnp.array([0.5, 1.0, 2.0])
    kl = gaussian_kl(ACTIONS, BASELINE, sigma)
    p = stats.norm(np.asarray(ACTIONS[0]), np.asarray(sigma))
    q = stats.norm(np.asarray(BASELINE), np.asarray(sigma))
    # E_p[log p - log q] of a quadratic in x is exact on mean +- one standard deviation.
    points = [p.mean() - p.std(), p.mean() + p.std()]
    expected = np.mean([(p.logpdf(x) - q.logpdf(x)).sum() for x in points])
    np.testing.assert_allclose(kl, [expected, 0.0], rtol=1e-5)


def test_gaussian_kl_with_one_sigma_is_proportional_to_the_squared_error():
    kl = gaussian_kl(ACTIONS, BASELINE, 0.5)
    np.testing.assert_allclose(kl, 2.0 * effects(ACTIONS, BASELINE, reduction="sum"), rtol=1e-6)
