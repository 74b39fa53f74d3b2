"""A live π0-FAST: known by its attributes, its tokens made actions by its own transform."""

import jax.numpy as jnp
import numpy as np
import pytest
from fast_policy import PARAMS, SIZE, TOKENS, observation
from openpi_standins import Module

import iss_jax
from iss_jax import EffectsConfig, ISSConfig
from iss_jax.pi0_fast.observation import FAST_VIEWS
from iss_jax.policies import live
from iss_jax.sampling import Sampling


class Policy:
    """openpi's policy of a π0-FAST."""

    _is_pytorch_model = False

    def __init__(self):
        self._model = Module(PARAMS)
        self._model.action_horizon = 3
        self._sample_kwargs = {"max_decoding_steps": TOKENS}

    def _input_transform(self, raw):
        frames = {view: raw.pop(view) for view in FAST_VIEWS}
        tokens = np.resize(np.frombuffer(raw.pop("prompt").encode(), np.uint8) % 30 + 2, 12)
        return {
            "image": frames,
            "image_mask": dict.fromkeys(FAST_VIEWS, np.True_),
            "state": np.zeros(4, np.float32),
            "tokenized_prompt": tokens.astype(np.int32),
            "tokenized_prompt_mask": np.arange(12) < 9,
            "token_ar_mask": np.zeros(12, np.int32),
        }

    def _output_transform(self, data):
        return {"actions": data["actions"].reshape(1, -1)[:, :2] / 10.0}


RAW = {view: np.asarray(image[0]) for view, image in observation().images.items()}
RAW["prompt"] = "pick up the milk"


@pytest.fixture(scope="module")
def policy():
    return live.from_policy(Policy())


def test_its_actions_are_those_of_its_greedy_answer(policy):
    assert policy.sampling == Sampling(answer_tokens=TOKENS)
    found = policy.infer(RAW)["actions"]
    sal = policy.explain(RAW, config=ISSConfig(num_masks=3))
    np.testing.assert_allclose(found, sal.actions[0, :2].reshape(1, 2) / 10.0)
    assert float(sal.effects.min()) > 0
    same = iss_jax.saliency(
        PARAMS, policy.observe(RAW), config=ISSConfig(num_masks=3), sampling=policy.sampling
    )
    np.testing.assert_array_equal(sal.effects, same.effects)


def test_its_players(policy):
    players = iss_jax.players.whole_views({v: jnp.zeros((1, SIZE, SIZE, 3)) for v in FAST_VIEWS})
    found = policy.player_effects(RAW, players, config=EffectsConfig(fill="blur", draws=1))
    assert found.effects.shape == (1, 3) and float(found.effects.min()) > 0


def test_it_takes_no_configuration():
    with pytest.raises(ValueError, match="takes the robot's dict alone"):
        live.from_policy(
            Policy(),
            iss_jax.policies.configs.PolicyConfig(
                "arm", {"base_0_rgb": "front"}, {"state": 4}, 3, 2
            ),
        )
