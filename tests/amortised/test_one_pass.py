"""One pass of a policy: its own actions, and a map of its features."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_policy import IMAGE_SIZE, PROMPT, write_checkpoint

import iss_jax
from iss_jax.amortised import contrasts_of_members, features_of, init_head, predict
from iss_jax.amortised.head import Features
from iss_jax.control import estimate_with_control
from iss_jax.pi05 import model
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.observation import VIEWS, preprocess
from iss_jax.policies.restored import load_policy
from iss_jax.sampling import Sampling

SAMPLING = Sampling(num_steps=2)
NOISE = jax.random.normal(jax.random.key(5), (2, 4, 7))


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return load_policy(write_checkpoint(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def obs(policy):
    """Two frames; neither has the last view."""
    rng = np.random.default_rng(0)
    images = {v: rng.integers(0, 256, (2, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8) for v in VIEWS}
    found = make_observation(
        images,
        np.zeros((2, 8)),
        [PROMPT, PROMPT],
        tokenizer=policy.tokenizer,
        norm_stats=policy.norm_stats,
        max_token_len=24,
        cameras={view: view for view in VIEWS},
    )
    masks = found.image_masks | {VIEWS[2]: jnp.zeros(2, bool)}
    return dataclasses.replace(found, image_masks=masks)


def head_of(views=3, tokens=4, width=32, shared=16 + 4 * 7):
    mean = Features(jnp.zeros((views, tokens, width)), jnp.zeros((shared,)))
    spread = jax.tree.map(jnp.ones_like, mean)
    new = init_head(jax.random.key(1), mean, spread, members=3, width=8)
    new.leaves["out"] = jax.random.normal(jax.random.key(2), (3, 8, 1))
    return new


@pytest.fixture(scope="module")
def found(policy, obs):
    return predict(policy.params, obs, head_of(), noise=NOISE, sampling=SAMPLING)


def test_the_actions_are_the_policys_own(policy, obs, found):
    wanted = model.sample_actions(
        policy.params, preprocess(obs, policy.image_size), NOISE, SAMPLING
    )
    np.testing.assert_allclose(found.actions, wanted, atol=1e-5)


def test_cells_are_the_members_mean_and_doubt_their_spread(policy, obs, found):
    features, _ = features_of(
        policy.params,
        preprocess(obs, policy.image_size),
        NOISE,
        SAMPLING.resolved(jnp.dtype("float32")),
    )
    each = np.array(contrasts_of_members(head_of(), features))
    each[:, :, 2] = 0.0
    np.testing.assert_allclose(found.cells, each.mean(0), rtol=1e-4, atol=1e-5)
    apart = np.sqrt(each.var(0, ddof=1).mean((1, 2, 3))) / each.mean(0).std((1, 2, 3))
    np.testing.assert_allclose(found.doubt, apart, rtol=1e-4)
    # The answered actions are features, so that noise matters.
    np.testing.assert_allclose(features.shared[:, 16:], found.actions.reshape(2, -1), atol=1e-5)


def test_views_that_are_absent_have_no_cells(found):
    assert not np.any(np.asarray(found.cells[:, 2]))
    assert np.all(np.asarray(found.cells[:, :2]).std((1, 2, 3)) > 0)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        (
            {"width": 30},
            r"head: taught on tokens of shape \[3, 4, 30\], this policy .* \[3, 4, 32\]",
        ),
        ({"shared": 9}, r"head: taught on shared of shape \[9\], this policy .* give \[44\]"),
    ],
)
def test_a_head_of_another_policy_is_refused(policy, obs, sizes, said):
    with pytest.raises(ValueError, match=said):
        predict(policy.params, obs, head_of(**sizes), noise=NOISE, sampling=SAMPLING)


def test_a_saliency_map_takes_the_prediction_as_its_control(policy, obs, found):
    config = iss_jax.ISSConfig(num_masks=6, design="bernoulli", grid=(7, 7))
    call = {"noise": NOISE, "sampling": SAMPLING, "config": config}
    sal = iss_jax.saliency(policy.params, obs, control=found.cells, **call)
    active = jnp.ones((3, 7, 7), bool).at[2].set(False)
    for row in range(2):
        wanted = estimate_with_control(
            sal.masks, sal.effects[row], found.cells[row], keep_prob=0.3, active=active
        )
        np.testing.assert_allclose(sal.cells[row], wanted.scores, rtol=1e-4, atol=1e-7)
    with pytest.raises(ValueError, match="got 'centred' with 'balanced'"):
        iss_jax.saliency(
            policy.params,
            obs,
            control=found.cells,
            noise=NOISE,
            config=iss_jax.ISSConfig(num_masks=6),
        )
