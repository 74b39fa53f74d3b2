"""openpi's own classes: their model, transforms, training state and training step against ours.

Run against a checkout at `third_party/openpi` or `OPENPI_PATH`, on openpi's stack with what its
modules import; `docs/making/openpi.md` says how. Skipped, with the reason, where that is absent.
"""

import dataclasses
import functools
import importlib
import importlib.util
import os
import pathlib
import socket
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

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

ROOT = pathlib.Path(os.environ.get("OPENPI_PATH", "third_party/openpi")).resolve()
HORIZON, STEPS = 10, 3
SAMPLING = Sampling(STEPS)
ISS = ISSConfig(num_masks=4, micro_batch=5, action_dims=7)
PROMPT = train_tokenizer(["pick up the bowl"])

# Their code and its pinned flax were not written for this suite's strictness.
pytestmark = [pytest.mark.openpi, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module", autouse=True)
def jax_as_they_use_it():
    strict = {
        name: getattr(jax.config, name)
        for name in ("jax_numpy_rank_promotion", "jax_numpy_dtype_promotion")
    }
    jax.config.update("jax_numpy_rank_promotion", "allow")
    jax.config.update("jax_numpy_dtype_promotion", "standard")
    yield
    for name, value in strict.items():
        jax.config.update(name, value)


def imported(name):
    if not (ROOT / "src" / "openpi").is_dir():
        pytest.skip(f"no checkout of openpi at {ROOT}; set OPENPI_PATH")
    for folder in (ROOT / "src", ROOT / "packages" / "openpi-client" / "src"):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"openpi's {name} cannot be imported here: {error}")


def train_script():
    imported("openpi.training.config")
    spec = importlib.util.spec_from_file_location("openpi_train", ROOT / "scripts" / "train.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        pytest.skip(f"openpi's scripts/train.py cannot be imported here: {error}")
    return module


def filled(state):
    """A fresh openpi model ignores its images: what starts at zero gets small random values."""
    rng = np.random.default_rng(0)

    def fill(leaf):
        if bool(jnp.any(leaf != 0)):
            return leaf
        return jnp.asarray(0.05 * rng.standard_normal(leaf.shape, np.float32), leaf.dtype)

    return jax.tree.map(fill, state)


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


def test_their_training_state_sharded_and_one_of_their_steps(obs, record_property, monkeypatch):
    script, configs = train_script(), imported("openpi.training.config")
    sharding = imported("openpi.training.sharding")
    # The dummy form keeps the real image tower, 412 million parameters: here a small one.
    tower = {"width": 32, "depth": 2, "mlp_dim": 64, "num_heads": 2, "patch_size": (14, 14)}
    monkeypatch.setattr(imported("openpi.models.siglip"), "decode_variant", lambda _: tower)
    config = dataclasses.replace(configs.get_config("debug_pi05"), model=dummy(), ema_decay=0.9)
    mesh = Mesh(np.asarray(jax.devices()[:2]).reshape(1, 2), ("batch", "fsdp"))
    state, _ = script.init_train_state(config, jax.random.key(0), mesh, resume=False)
    state = dataclasses.replace(
        state, params=filled(state.params), ema_params=filled(state.ema_params)
    )
    split = [x for x in jax.tree.leaves(state.params) if not x.sharding.is_fully_replicated]
    assert split
    rows = NamedSharding(mesh, PartitionSpec(("batch", "fsdp")))
    batch = jax.tree.map(lambda leaf: jax.device_put(jnp.repeat(leaf, 2, 0), rows), obs)
    actions = jax.device_put(jnp.zeros((2, HORIZON, 32), jnp.float32), rows)

    logged = []

    class Writer:
        def log(self, data, step):
            logged.append((step, data))

    options = {"config": ISS, "sampling": Sampling(STEPS, jnp.bfloat16), "noise": NOISE}
    regions = {view: np.zeros((1, 224, 224), np.uint8) for view in ("base_0_rgb",)}
    regions["base_0_rgb"][:, :112] = 2
    callback = openpi.saliency_callback(Writer(), obs, every=1, regions=regions, **options)
    whole = jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf), jax.devices()[0]), state)
    one_device = iss_jax.saliency(whole.params, obs, **options)
    sharded = iss_jax.saliency(state.params, obs, **options)
    inside = jax.jit(lambda state, obs: iss_jax.saliency(state.params, obs, **options))(state, obs)
    for found in (sharded, inside):
        # bfloat16, in another order of summation.
        np.testing.assert_allclose(found.actions, one_device.actions, atol=6e-2)
        assert np.corrcoef(found.effects[0], one_device.effects[0])[0, 1] > 0.9
    before = callback(state, 0)
    step = jax.jit(functools.partial(script.train_step, config))
    with sharding.set_mesh(mesh):
        after, info = step(jax.random.key(1), state, (batch, actions))
    assert int(after.step) == 1 and np.isfinite(float(info["loss"]))
    assert isinstance(after.ema_params, nnx.State)
    callback(after, 1)
    assert [number for number, _ in logged] == [0, 1]
    assert set(before) >= {"iss/nmr_at_10", "iss/nuisance_area", "iss/overlay_0"}
    assert logged[1][1]["iss/effect"] != before["iss/effect"]
    record_property("loss of their step", float(info["loss"]))
    record_property("effect before and after", [data["iss/effect"] for _, data in logged])


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
