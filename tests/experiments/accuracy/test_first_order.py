"""First-order scores against masked runs and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_policy import episode, write_checkpoint

import iss_jax
from experiments.accuracy import first_order
from iss_jax.masks import sample_masks
from iss_jax.pi05.inputs import make_observation
from iss_jax.policies.restored import load_policy

SHAPE = (3, 2, 2)


def test_soft_runs_at_hard_masks_are_the_masked_runs(tmp_path):
    """On a small random policy with three views; the frames are no squares, so one is cropped."""
    policy = load_policy(write_checkpoint(tmp_path))
    frames = episode(1)
    cameras = dict(zip(iss_jax.pi05.observation.VIEWS, ("front", "wrist", "wrist"), strict=True))
    obs = make_observation(
        {"front": frames.images["front"][:, :, 4:28], "wrist": frames.images["wrist"]},
        frames.state,
        [frames.prompt],
        tokenizer=policy.tokenizer,
        norm_stats=policy.norm_stats,
        max_token_len=32,
        cameras=cameras,
    )
    noise = jax.random.normal(jax.random.key(0), (1, 2, 7))
    masks = sample_masks(jax.random.key(1), 5, 3, grid=SHAPE[1:])
    config = iss_jax.ISSConfig(
        num_masks=5, grid=SHAPE[1:], design="bernoulli", estimator="gradient"
    )
    wanted = iss_jax.saliency(policy.params, obs, noise=noise, masks=masks, config=config)
    effects, gradients = first_order.soft_runs(policy.params, obs, noise, masks.astype(jnp.float32))
    np.testing.assert_allclose(effects, wanted.effects[0], rtol=1e-3)
    size = np.abs(wanted.gradients).max()
    np.testing.assert_allclose(gradients, wanted.gradients[0], atol=1e-3 * size)


def test_jacobian_and_its_product_of_a_known_function(monkeypatch):
    """Actions tanh(W m), whose derivative is (1 - tanh^2) W; dropping is the other way."""
    weights = np.random.default_rng(0).normal(size=(14, 12)) / 12

    def act(params, obs, noise, cells, sampling=None):
        del obs, noise
        return jnp.tanh(cells.reshape(len(cells), -1) @ params.T).reshape(len(cells), 2, 7)

    monkeypatch.setattr(first_order, "masked_actions", act)
    params = jnp.asarray(weights)
    found = first_order.jacobian(params, None, None, SHAPE)
    wanted = -(1 - np.tanh(weights.sum(1)) ** 2)[:, None] * weights
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    product = first_order.drop_all_and_back(params, None, None, SHAPE)
    np.testing.assert_allclose(product, wanted.T @ wanted.sum(1), atol=1e-5)


def test_scores_of_a_quadratic_effect_are_its_closed_forms():
    """delta = |J d|^2 over the actions: contrast Q_ii + 2 (1 - p) sum of the other Q_ij."""
    rng, p, rules = np.random.default_rng(0), 0.3, (1, 4)
    columns = rng.normal(size=(20, 6))
    q = columns.T @ columns / 20
    points = np.array(first_order.straight_points(p, rules))
    gradients = -2 * (1 - points)[:, None] * q.sum(1)[None]
    found = {"gradients": gradients, "jacobian": columns}
    scores = {
        (name, runs): maps for name, runs, maps in first_order.contrasts(found, p, rules, (200,))
    }
    # The integral of 2 (1 - u) is one: integrated gradients share out the effect of dropping all.
    for rule in rules:
        np.testing.assert_allclose(scores["integrated", rule][0], q.sum(1))
        assert scores["integrated", rule][0].sum() == pytest.approx(q.sum())
    contrast = np.diag(q) + 2 * (1 - p) * (q.sum(1) - np.diag(q))
    left_out = (1 - 2 * (1 - p)) * np.diag(q)
    np.testing.assert_allclose(scores["gauss_newton", 0][0], contrast - left_out)
    np.testing.assert_allclose(scores["grey", 1][0], scores["gauss_newton", 0][0])
    np.testing.assert_allclose(scores["jacobian_norm", 0][0], np.diag(q))
    # A probe's square has at most twice the square of its mean as variance: 800 of them, 5 sigma.
    mean = np.mean(scores["hutchinson", 200], axis=0)
    np.testing.assert_allclose(mean, np.diag(q), rtol=5 * (2 / 800) ** 0.5)
