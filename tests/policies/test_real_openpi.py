"""openpi's own classes: their model, transforms, policy and server against ours.

Run against a checkout at `third_party/openpi` or `OPENPI_PATH`, on openpi's stack with what its
modules import; `docs/making/openpi.md` says how. Skipped, with the reason, where that is absent.
The image tower is a small one, see `real_openpi.py`.
"""

import dataclasses
import pathlib
import socket
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from real_openpi import as_openpi_runs, filled, imported

import iss_jax
from iss_jax import ISSConfig
from iss_jax.pi05 import model
from iss_jax.pi05.normalize import NormStats
from iss_jax.pi05.observation import preprocess
from iss_jax.pi05.params import as_params
from iss_jax.pi05.tokenizer import FILE_NAME, open_tokenizer, train_tokenizer
from iss_jax.policies import live as live_policies, openpi
from iss_jax.policies.client import PolicyClient, ServerError
from iss_jax.policies.configs import PI05_ALOHA, PI05_DROID, PI05_LIBERO
from iss_jax.sampling import Sampling

HORIZON, STEPS = 10, 3
SAMPLING = Sampling(STEPS)
ISS = ISSConfig(num_masks=4, micro_batch=5, action_dims=7)
PROMPT = train_tokenizer(["pick up the bowl"])

# Their code and its pinned flax were not written for this suite's strictness.
pytestmark = [pytest.mark.openpi, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module", autouse=True)
def jax_as_they_use_it():
    with as_openpi_runs():
        yield


def dummy(**changes):
    configs = imported("openpi.models.pi0_config")
    options = {"pi05": True, "paligemma_variant": "dummy", "action_expert_variant": "dummy"}
    return configs.Pi0Config(**options, action_horizon=HORIZON, max_token_len=48, **changes)


@pytest.fixture(scope="module")
def live(jax_as_they_use_it):
    """Their model in float32, nothing of it zero."""
    made = dummy(dtype="float32").create(jax.random.key(0))
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
        state=jnp.zeros((1, 32), jnp.float32),
        tokenized_prompt=jnp.asarray(rng.integers(1, 250, (1, 48)), jnp.int32),
        tokenized_prompt_mask=jnp.arange(48)[None] < 20,
    )


NOISE = jnp.asarray(np.random.default_rng(2).normal(size=(1, HORIZON, 32)), jnp.float32)


def test_their_sampling_equals_ours_and_so_does_saliency_of_theirs(live, obs, record_property):
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
    sal = iss_jax.saliency(nnx.state(live), obs, noise=NOISE, sampling=SAMPLING, config=ISS)
    np.testing.assert_allclose(sal.actions, wanted, atol=1e-4)
    assert float(sal.effects.min()) > 0
    record_property("largest difference of the actions", float(np.abs(found - wanted).max()))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A tokenizer where openpi looks for PaliGemma's."""
    folder = tmp_path / "big_vision"
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(PROMPT)
    monkeypatch.setenv("OPENPI_DATA_HOME", str(tmp_path))


def live_policy(live, config, state_dims):
    """Their `Policy` with the transforms of their own training configuration."""
    configs, policies = imported("openpi.training.config"), imported("openpi.policies.policy")
    transforms = imported("openpi.transforms")
    trained = configs.get_config(config.name)
    settings = dataclasses.replace(trained.model, max_token_len=config.max_token_len)
    data = trained.data.create(pathlib.Path("/nowhere"), settings)
    rng = np.random.default_rng(3)
    ours = {
        name: NormStats(*(np.sort(rng.normal(size=(4, dims)), axis=0)[[1, 2, 0, 3]]))
        for name, dims in (("state", state_dims), ("actions", config.action_dims))
    }
    theirs = {name: transforms.NormStats(**stats._asdict()) for name, stats in ours.items()}
    policy = policies.Policy(
        live,
        transforms=[
            *data.data_transforms.inputs,
            transforms.Normalize(theirs, use_quantiles=data.use_quantile_norm),
            *data.model_transforms.inputs,
        ],
        output_transforms=[
            *data.model_transforms.outputs,
            transforms.Unnormalize(theirs, use_quantiles=data.use_quantile_norm),
            *data.data_transforms.outputs,
        ],
        sample_kwargs={"num_steps": STEPS},
    )
    return policy, ours


@pytest.mark.parametrize("config", [PI05_LIBERO, PI05_DROID, PI05_ALOHA], ids=lambda c: c.name)
def test_our_transforms_equal_theirs(live, cache, config):
    rng = np.random.default_rng(4)
    dims = sum(config.state.values())
    policy, stats = live_policy(live, config, dims)
    frames = {
        camera: rng.integers(0, 256, (224, 224, 3), np.uint8) for camera in config.cameras.values()
    }
    raw = config.join(frames, rng.uniform(0.1, 0.9, dims), "pick up the bowl")
    ours = openpi.from_params(
        nnx.state(live), config, norm_stats=stats, tokenizer=open_tokenizer(PROMPT)
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
    policy, _ = live_policy(live, PI05_LIBERO, 8)
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
