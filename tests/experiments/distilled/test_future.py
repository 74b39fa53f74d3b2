"""Two ideas of the paper's future work: what their numbers are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_policy import IMAGE_SIZE, PROMPT, write_checkpoint

from experiments.distilled.future import PROBES, by_hutchinson, latent_tokens
from experiments.distilled.measured import HORIZON
from iss_jax import Sampling
from iss_jax.pi05 import model
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.observation import VIEWS, preprocess
from iss_jax.policies.restored import load_policy

SAMPLING = Sampling(num_steps=2)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    policy = load_policy(write_checkpoint(tmp_path_factory.mktemp("tiny")))
    rng = np.random.default_rng(0)
    images = {v: rng.integers(0, 256, (1, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8) for v in VIEWS}
    obs = make_observation(
        images,
        np.zeros((1, 8)),
        [PROMPT],
        tokenizer=policy.tokenizer,
        norm_stats=policy.norm_stats,
        max_token_len=24,
        cameras={view: view for view in VIEWS},
    )
    return policy, preprocess(obs, policy.image_size)


def test_latent_tokens_are_what_the_last_step_projects_to_its_velocity(seen):
    policy, obs = seen
    noise = jax.random.normal(jax.random.key(1), (HORIZON, 7))
    images = {v: jnp.concatenate([obs.images[v], -obs.images[v]]) for v in VIEWS}
    tokens = latent_tokens(
        policy.params,
        obs.tokenized_prompt[0],
        obs.tokenized_prompt_mask[0],
        images,
        noise,
        sampling=SAMPLING,
    )
    assert tokens.shape == (2, HORIZON, 16)
    prefix = model.embed_prefix(policy.params, obs, SAMPLING)
    cache = model.prefill(policy.params, prefix, SAMPLING)
    half = (
        noise[None]
        - model.velocity(policy.params, cache, prefix.mask, noise[None], jnp.ones(1)) / 2
    )
    last = policy.params["action_out_proj"]
    found = half - (tokens[:1] @ last["kernel"] + last["bias"][None, None]) / 2
    wanted = model.sample_actions(policy.params, obs, noise[None], SAMPLING)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert float(jnp.abs(tokens[1] - tokens[0]).max()) > 1e-3


def test_hutchinson_is_the_mean_square_of_its_probes(seen):
    policy, obs = seen
    found = list(by_hutchinson(policy, obs, jax.random.key(2), SAMPLING))
    assert [(name, count) for name, count, _ in found] == [("Hutchinson", n) for n in PROBES]
    one, both = (own.pixels for _, _, own in found)
    # The second probe alone is left over, and a square as well.
    assert one.min() >= 0 and (2 * both - one).min() > -1e-5 * one.max()
    assert one.shape == (3, IMAGE_SIZE, IMAGE_SIZE) and not np.allclose(one, both)
