"""openpi's own classes: their model, transforms, policy and server against ours.

Run against a checkout at `third_party/openpi` or `OPENPI_PATH`, on openpi's stack with what its
modules import; `docs/making/openpi.md` says how. Skipped, with the reason, where that is absent.
The image tower is a small one, see `real_openpi.py`.
"""

import pathlib
import socket
import threading

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from flax import nnx
from real_openpi import PROMPT, as_openpi_runs, filled, imported, live_policy

import iss_jax
from iss_jax import ISSConfig
from iss_jax.pi05 import model
from iss_jax.pi05.observation import preprocess
from iss_jax.pi05.params import as_params
from iss_jax.pi05.tokenizer import FILE_NAME, open_tokenizer
from iss_jax.policies import live as live_policies, openpi
from iss_jax.policies.client import PolicyClient, ServerError
from iss_jax.policies.configs import (
    PI0_ALOHA,
    PI0_DROID,
    PI0_LIBERO,
    PI05_ALOHA,
    PI05_DROID,
    PI05_LIBERO,
)
from iss_jax.sampling import Sampling

HORIZON, STEPS = 10, 3
SAMPLING = Sampling(STEPS)
ISS = ISSConfig(num_masks=4, micro_batch=5, action_dims=7)

# Their code and its pinned flax were not written for this suite's strictness.
pytestmark = [pytest.mark.openpi, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module", autouse=True)
def jax_as_they_use_it():
    with as_openpi_runs():
        yield


def dummy(**changes):
    configs = imported("openpi.models.pi0_config")
    options = {"pi05": True, "paligemma_variant": "dummy", "action_expert_variant": "dummy"}
    return configs.Pi0Config(**options | changes, action_horizon=HORIZON, max_token_len=48)


@pytest.fixture(scope="module")
def live(jax_as_they_use_it):
    """Their model in float32, nothing of it zero."""
    made = dummy(dtype="float32").create(jax.random.key(0))
    graph, state = nnx.split(made)
    return nnx.merge(graph, filled(state))


@pytest.fixture(scope="module")
def live_pi0(jax_as_they_use_it):
    """The same of their π0."""
    made = dummy(pi05=False, dtype="float32").create(jax.random.key(0))
    graph, state = nnx.split(made)
    return nnx.merge(graph, filled(state))


@pytest.fixture(scope="module")
def obs():
    rng = np.random.default_rng(1)
    kinds = imported("openpi.models.model")
    views = kinds.IMAGE_KEYS
    return kinds.Observation(
        images={
            view: jnp.asarray(rng.uniform(-1, 1, (1, 224, 224, 3)), jnp.float32) for view in views
        },
        image_masks={view: jnp.asarray([view != "right_wrist_0_rgb"]) for view in views},
        state=jnp.asarray(rng.normal(size=(1, 32)), jnp.float32),
        tokenized_prompt=jnp.asarray(rng.integers(1, 250, (1, 48)), jnp.int32),
        tokenized_prompt_mask=jnp.arange(48)[None] < 20,
    )


NOISE = jnp.asarray(np.random.default_rng(2).normal(size=(1, HORIZON, 32)), jnp.float32)


@pytest.mark.parametrize("which", ["live", "live_pi0"])
def test_their_sampling_equals_ours_and_so_does_saliency_of_theirs(
    which, obs, record_property, request
):
    live = request.getfixturevalue(which)
    theirs = nnx.jit(
        lambda m, o: m.sample_actions(jax.random.key(0), o, noise=NOISE, num_steps=STEPS)
    )
    wanted = np.asarray(theirs(live, obs))
    params = as_params(nnx.state(live))
    found = np.asarray(
        jax.jit(model.sample_actions, static_argnums=3)(params, preprocess(obs), NOISE, SAMPLING)
    )
    assert np.abs(wanted - np.asarray(NOISE)).max() > 0.1
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    record_property("largest difference of the actions", float(np.abs(found - wanted).max()))
    if which == "live_pi0":
        return  # its maps are those of `tests/pi05/test_pi0.py`
    sal = iss_jax.saliency(nnx.state(live), obs, noise=NOISE, sampling=SAMPLING, config=ISS)
    np.testing.assert_allclose(sal.actions, wanted, atol=1e-4)
    assert float(sal.effects.min()) > 0


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A tokenizer where openpi looks for PaliGemma's."""
    folder = tmp_path / "big_vision"
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(PROMPT)
    monkeypatch.setenv("OPENPI_DATA_HOME", str(tmp_path))


ROBOTS = [PI05_LIBERO, PI05_DROID, PI05_ALOHA, PI0_LIBERO, PI0_DROID, PI0_ALOHA]


@pytest.mark.parametrize("config", ROBOTS, ids=lambda c: c.name)
def test_our_transforms_equal_theirs(live, live_pi0, cache, config):
    model = live_pi0 if config.model == "π0" else live
    rng = np.random.default_rng(4)
    dims = sum(config.state.values())
    policy, stats = live_policy(model, config, dims, STEPS)
    frames = {
        camera: rng.integers(0, 256, (224, 224, 3), np.uint8) for camera in config.cameras.values()
    }
    raw = config.join(frames, rng.uniform(0.1, 0.9, dims), "pick up the bowl")
    ours = openpi.from_params(
        nnx.state(model), config, norm_stats=stats, tokenizer=open_tokenizer(PROMPT)
    )
    theirs = live_policies.from_policy(policy)
    found, wanted = ours.observe(raw), theirs.observe(raw)
    for view in wanted.images:
        np.testing.assert_array_equal(found.image_masks[view], wanted.image_masks[view])
        if bool(wanted.image_masks[view][0]):
            np.testing.assert_array_equal(found.images[view], wanted.images[view])
    np.testing.assert_allclose(found.state, wanted.state[:, :dims], atol=1e-5)
    np.testing.assert_array_equal(found.tokenized_prompt, wanted.tokenized_prompt)
    np.testing.assert_array_equal(found.tokenized_prompt_mask, wanted.tokenized_prompt_mask)
    actions = rng.normal(size=(config.action_horizon, 32)).astype(np.float32)
    np.testing.assert_allclose(
        ours.to_robot(actions, np.asarray(found.state)[0]),
        theirs.to_robot(actions, np.asarray(wanted.state)[0]),
        rtol=1e-4,
        atol=1e-4,
    )
    np.testing.assert_allclose(
        ours.action_scale(np.asarray(found.state)[0]),
        theirs.action_scale(np.asarray(wanted.state)[0]),
        rtol=1e-3,
    )


def test_their_policy_infers_what_ours_does(live, cache):
    rng = np.random.default_rng(5)
    policy, _ = live_policy(live, PI05_LIBERO, 8, STEPS)
    frames = {
        camera: rng.integers(0, 256, (224, 224, 3), np.uint8)
        for camera in PI05_LIBERO.cameras.values()
    }
    raw = PI05_LIBERO.join(frames, rng.uniform(-1, 1, 8), "pick up the bowl")
    noise = np.asarray(NOISE[0])
    wanted = policy.infer(dict(raw), noise=noise)["actions"]
    ours = live_policies.from_policy(policy, PI05_LIBERO)
    assert (ours.action_horizon, ours.sampling) == (HORIZON, Sampling(STEPS, jnp.float32))
    np.testing.assert_allclose(ours.infer(raw, noise=noise), wanted, atol=2e-4)
    sal = ours.explain(raw, noise=NOISE, config=ISS, units="robot")
    assert float(sal.effects.min()) > 0


def test_their_server_answers_our_client():
    serving = imported("openpi.serving.websocket_policy_server")

    class Doubled:
        def infer(self, raw):
            if "state" not in raw:
                raise KeyError("state")
            return {"actions": 2 * np.asarray(raw["state"])[None]}

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = serving.WebsocketPolicyServer(Doubled(), "127.0.0.1", port, {"robot": "toy"})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with PolicyClient(f"ws://127.0.0.1:{port}", retries=8, pause=0.1) as client:
        answer = client.infer({"state": np.arange(3.0)})
        np.testing.assert_array_equal(answer["actions"], [[0.0, 2.0, 4.0]])
        assert client.metadata == {"robot": "toy"} and "infer_ms" in answer["server_timing"]
        with pytest.raises(ServerError, match="KeyError: 'state'"):
            client.infer({"prompt": "x"})


class Letters:
    """Their interface of a FAST tokenizer: a prompt by letters, actions by single numbers."""

    def __init__(self, max_len):
        self.max_len = max_len

    def tokenize(self, prompt, state, actions):
        del state, actions
        tokens = [2 + ord(letter) % 250 for letter in prompt][: self.max_len]
        mask = np.arange(self.max_len) < len(tokens)
        padded = np.resize(tokens + [0] * self.max_len, self.max_len).astype(np.int32)
        return padded, mask, np.zeros(self.max_len, np.int32), np.zeros(self.max_len, bool)

    def extract_actions(self, tokens, horizon, dims):
        return np.resize(tokens, (horizon, dims)).astype(np.float32) / 256


@pytest.fixture(scope="module")
def live_fast(jax_as_they_use_it):
    kinds, gemma = imported("openpi.models.pi0_fast"), imported("openpi.models.gemma_fast")
    small = {**gemma.get_config("gemma_2b"), "vocab_size": 256}
    small |= {"width": 64, "depth": 2, "mlp_dim": 128, "head_dim": 16}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gemma, "get_config", lambda variant: ml_collections.ConfigDict(small))
        config = kinds.Pi0FASTConfig(
            dtype="float32",
            action_dim=7,
            action_horizon=10,
            max_token_len=48,
            fast_model_tokenizer=Letters,
        )
        made = config.create(jax.random.key(0))
    graph, state = nnx.split(made)
    return nnx.merge(graph, filled(state)), config


def test_their_fast_policy_answers_what_ours_does(live_fast):
    model, settings = live_fast
    configs, policies = imported("openpi.training.config"), imported("openpi.policies.policy")
    trained = configs.get_config("pi0_fast_libero")
    data = trained.data.create(pathlib.Path("/nowhere"), settings)
    policy = policies.Policy(
        model,
        transforms=[*data.data_transforms.inputs, *data.model_transforms.inputs],
        output_transforms=[*data.model_transforms.outputs, *data.data_transforms.outputs],
    )
    rng = np.random.default_rng(6)
    raw = {
        "observation/image": rng.integers(0, 256, (224, 224, 3), np.uint8),
        "observation/wrist_image": rng.integers(0, 256, (224, 224, 3), np.uint8),
        "observation/state": rng.normal(size=8).astype(np.float32),
        "prompt": "pick up the bowl",
    }
    wanted = policy.infer(dict(raw))["actions"]
    ours = live_policies.from_policy(policy)
    assert ours.sampling == Sampling(dtype=jnp.float32)
    np.testing.assert_allclose(ours.infer(raw)["actions"], wanted, atol=1e-6)
