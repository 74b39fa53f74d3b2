"""A robot's observation to attribution: checkpoints, stand-ins of openpi's live objects, units."""

import dataclasses
import shutil
from types import SimpleNamespace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import openpi_standins
import pytest
from goldens import ATOL, FOLDER, noise, raw_params
from torch_tree import torch_names

import iss_jax
from iss_jax import EffectsConfig, ISSConfig, embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.divergence import effects
from iss_jax.interventions import blend, blur
from iss_jax.masks import upsample
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.normalize import load_norm_stats
from iss_jax.pi05.observation import VIEWS
from iss_jax.pi05.params import flatten, sizes_of
from iss_jax.pi05.tokenizer import train_tokenizer
from iss_jax.policies import aloha, live as live_policy, openpi, robot_side
from iss_jax.policies.configs import (
    CONFIGS,
    EMBEDDED,
    PI05_ALOHA,
    PI05_DROID,
    PI05_LIBERO,
    PolicyConfig,
)
from iss_jax.policies.units import action_scale, in_units
from iss_jax.sampling import Sampling

STEP = FOLDER / "ckpt_tiny_b" / "7"
RNG = np.random.default_rng(0)
TINY = PolicyConfig(
    name="tiny_b",
    cameras={"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"},
    state={"joints": 6, "gripper": 1},
    action_horizon=10,
    action_dims=5,
    max_token_len=64,
)
ISS = ISSConfig(num_masks=6, micro_batch=7)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tiny.model"
    path.write_bytes(train_tokenizer(["take it"]))
    return path


@pytest.fixture(scope="module")
def policy(tokenizer):
    return openpi.from_checkpoint(STEP, TINY, tokenizer=tokenizer, dtype=None, sampling=Sampling(2))


def frames(*cameras, size=(224, 224)):
    return {camera: RNG.integers(0, 256, (*size, 3), np.uint8) for camera in cameras}


@pytest.fixture(scope="module")
def seen():
    return frames("front", "wrist"), np.linspace(-0.5, 0.5, 7), "take it"


def test_released_configurations_have_openpis_sizes():
    sizes = {
        name: (c.action_horizon, c.action_dims, len(c.cameras), c.discrete_state_input)
        for name, c in CONFIGS.items()
    }
    assert sizes == {
        "pi05_libero": (10, 7, 2, False),
        "pi05_droid": (15, 8, 2, True),
        "pi05_aloha": (50, 14, 3, True),
        "pi05-xicm": (16, 8, 3, True),
        "pi0_libero": (50, 7, 2, False),
        "pi0_droid": (10, 8, 2, False),
        "pi0_aloha": (50, 14, 3, False),
        "embedded": (16, 7, 3, True),
    }


@pytest.mark.parametrize(
    "config", [PI05_LIBERO, PI05_DROID, PI05_ALOHA, EMBEDDED], ids=lambda c: c.name
)
def test_split_undoes_join(config):
    images = frames(*config.cameras.values(), size=(6, 8))
    state = RNG.normal(size=sum(config.state.values())).astype(np.float32)
    raw = config.join(images, state, "do it")
    found, found_state, prompt = config.split({**raw, "unused": 1})
    assert set(found) == set(images) and prompt == "do it"
    for camera, image in images.items():
        np.testing.assert_array_equal(found[camera], image)
    np.testing.assert_array_equal(found_state, state)


def test_raw_dicts_are_openpis():
    libero = PI05_LIBERO.join(frames(*PI05_LIBERO.cameras.values()), np.zeros(8), "x")
    assert set(libero) == {
        "observation/image",
        "observation/wrist_image",
        "observation/state",
        "prompt",
    }
    droid = PI05_DROID.join(frames(*PI05_DROID.cameras.values()), np.arange(8), "x")
    np.testing.assert_array_equal(droid["observation/joint_position"], np.arange(7))
    np.testing.assert_array_equal(droid["observation/gripper_position"], [7])
    high = frames("cam_high", size=(6, 8))
    raw = PI05_ALOHA.join(high, np.zeros(14), "x")
    assert raw["images"]["cam_high"].shape == (3, 6, 8)
    # Wrist cameras are optional there, the others' are not.
    assert set(PI05_ALOHA.split(raw)[0]) == {"cam_high"}
    # What may be a frame is listed, and neither state nor prompt.
    lacking = r"lacks the camera 'observation/wrist_image' .*; its images are \['{}'\]$"
    with pytest.raises(ValueError, match=lacking.format("observation/image")):
        PI05_LIBERO.split({key: v for key, v in libero.items() if "wrist" not in key})
    under = r"lacks the camera 'cam_high' .* under 'images' \(PolicyConfig\(images='images'\)\)"
    with pytest.raises(ValueError, match=rf"{under}; its images there are \[\]$"):
        PI05_ALOHA.split({**raw, "images": {}})
    with pytest.raises(ValueError, match=rf"{under}, which it lacks; sent: \['cam_high', 'prompt'"):
        PI05_ALOHA.split({**raw["images"], "prompt": "x", "state": raw["state"]})
    with pytest.raises(ValueError, match=r"state 'observation/joint_position' has shape"):
        PI05_DROID.split({**droid, "observation/joint_position": np.zeros(6)})
    with pytest.raises(ValueError, match=r"unknown cameras \['side'\]"):
        PI05_LIBERO.join(frames("side"), np.zeros(8), "x")
    with pytest.raises(ValueError, match="one of"):
        openpi.from_checkpoint(STEP, "pi06_libero")


def test_observation_is_the_one_that_training_makes(policy, seen):
    images, state, prompt = seen
    obs = policy.observation(images, state, prompt)
    wanted = make_observation(
        {camera: image[None] for camera, image in images.items()},
        np.float32(state)[None],
        [prompt],
        tokenizer=policy.observe.keywords["tokenizer"],
        norm_stats=load_norm_stats(STEP),
        max_token_len=64,
        cameras={view: TINY.cameras.get(view, "") for view in VIEWS},
    )
    chex.assert_trees_all_equal(obs, wanted)
    assert [bool(obs.image_masks[view][0]) for view in VIEWS] == [True, True, False]
    without = dataclasses.replace(TINY, discrete_state_input=False)
    short = robot_side.observe(
        TINY.join(images, state, prompt),
        config=without,
        norm_stats=load_norm_stats(STEP),
        tokenizer=policy.observe.keywords["tokenizer"],
    )
    assert short.tokenized_prompt_mask.sum() < obs.tokenized_prompt_mask.sum()
    with pytest.raises(ValueError, match=r"floats in \[0, 255\], wanted \[0, 1\]"):
        policy.observation(
            {
                c: np.linspace(0, 255, i.size, dtype=np.float32).reshape(i.shape)
                for c, i in images.items()
            },
            state,
            prompt,
        )


def test_float_frames_are_the_robots_unit_range(policy, seen):
    images, state, prompt = seen
    unit = {camera: np.float32(image) / np.float32(255) for camera, image in images.items()}
    drawn = noise("tiny_b")[0]
    raw = TINY.join(images, state, prompt)
    found = policy.infer(TINY.join(unit, state, prompt), noise=drawn)
    np.testing.assert_allclose(found, policy.infer(raw, noise=drawn), atol=ATOL)
    assert found.shape == (10, 5)


def test_saliency_in_the_policys_and_in_the_robots_units(policy, seen):
    drawn = noise("tiny_b")[:1]
    plain = policy.saliency(*seen, noise=drawn, config=ISS)
    direct = iss_jax.saliency(
        policy.params,
        policy.observation(*seen),
        noise=drawn,
        sampling=Sampling(2),
        config=dataclasses.replace(ISS, action_dims=5),
    )
    np.testing.assert_array_equal(plain.effects, direct.effects)
    robot = policy.saliency(*seen, noise=drawn, config=ISS, units="robot")
    np.testing.assert_array_equal(robot.actions, plain.actions)
    # What the robot would have executed, masked frame by masked frame.
    images, state, prompt = seen
    unit = {camera: jnp.asarray(image, jnp.float32) / 255 for camera, image in images.items()}
    baseline = policy.infer(TINY.join(images, state, prompt), noise=drawn[0])
    wanted = []
    for keep in np.asarray(robot.masks, np.float32):
        copies = {}
        for view, camera in TINY.cameras.items():
            weight = upsample(keep[VIEWS.index(view)], (224, 224))
            copies[camera] = np.clip(blend(unit[camera], blur(unit[camera]), weight), 0, 1)
        moved = policy.infer(TINY.join(copies, state, prompt), noise=drawn[0])
        wanted.append(np.mean((moved - baseline) ** 2))
    np.testing.assert_allclose(robot.effects[0], wanted, rtol=1e-3)
    with pytest.raises(ValueError, match="units"):
        policy.saliency(*seen, units="metres")


def test_normalised_effects_need_no_scale(policy, seen):
    options = {"noise": noise("tiny_b")[:1], "config": ISS}
    bent = dataclasses.replace(
        policy, to_robot=lambda a, state: np.square(policy.to_robot(a, state))
    )
    np.testing.assert_array_equal(
        bent.saliency(*seen, **options).effects, policy.saliency(*seen, **options).effects
    )
    with pytest.raises(ValueError, match="no one scale"):
        bent.saliency(*seen, units="robot", **options)


def test_scale_of_a_transform_that_has_none():
    np.testing.assert_allclose(
        action_scale(lambda a: 3 - 2 * a[:, :2], 4, 5), [2.0, 2.0], rtol=1e-6
    )
    for transform in (np.square, lambda a: a[:, ::-1], lambda a: np.cumsum(a, 0)):
        with pytest.raises(ValueError, match="no one scale"):
            action_scale(transform, 4, 3)
    actions, baseline = RNG.normal(size=(2, 4, 10, 6)).astype(np.float32)
    scale = np.arange(1.0, 7.0)
    found = in_units(ISSConfig(action_dims=(1, 4), horizon=3), scale, 10)
    error = scale[[1, 4]] * (actions - baseline)[:, :3, [1, 4]]
    effect = effects(
        jnp.asarray(actions),
        jnp.asarray(baseline),
        reduction=found.reduction,
        action_dims=found.action_dims,
        horizon=found.horizon,
        weights=found.action_weights,
    )
    np.testing.assert_allclose(effect, np.square(error).mean((1, 2)), rtol=1e-5)
    with pytest.raises(ValueError, match="robot has 3"):
        in_units(ISSConfig(action_dims=4), np.ones(3), 10)
    with pytest.raises(ValueError, match="exclude"):
        in_units(ISSConfig(action_weights=(1.0,)), np.ones(3), 10)
    with pytest.raises(ValueError, match="positive"):
        ISSConfig(action_weights=(1.0, 0.0))


def test_aloha_moves_joints_by_deltas_and_grippers_by_their_range():
    decoded = RNG.normal(size=14)
    scale = action_scale(lambda a: aloha.encode_actions(a, decoded), 50, 14)
    # Signs vanish, offsets vanish; a gripper's radians are shares of (-0.6213, 1.4910).
    wanted = np.ones(14)
    wanted[[6, 13]] = 1 / (1.4910 + 0.6213)
    np.testing.assert_allclose(scale, wanted, rtol=1e-5)
    state = RNG.uniform(0.1, 0.9, 14)
    decoded = aloha.decode_state(state)
    np.testing.assert_array_equal(np.sign(decoded[[1, 2, 8, 9]]), -1)
    encoded = aloha.encode_actions(np.zeros((2, 14)), decoded)
    joints = [d for d in range(14) if d not in (6, 13)]
    # No delta: the robot stays where it is.
    np.testing.assert_allclose(encoded[:, joints], np.broadcast_to(state[joints], (2, 12)))


def test_embedded_policy_acts_as_before_and_attends_to_its_frames():
    policy = openpi.from_checkpoint(embedded.checkpoint_path(), "embedded", dtype=None)
    episode = open_dataset(embedded.episodes_path()).read(0, [1])
    images = {camera: image[0] for camera, image in episode.images.items()}
    found = policy.saliency(images, episode.state[0], episode.prompt, config=ISS)
    assert set(found.maps) == set(VIEWS) and found.maps["base_0_rgb"].shape == (1, 80, 80)
    assert found.actions.shape[1] == 16 and float(found.effects.min()) > 0


def test_live_policy_equals_its_checkpoint(policy, seen):
    config = policy.observe.keywords
    live = openpi_standins.Policy(
        raw_params("tiny_b"), TINY, config["norm_stats"], config["tokenizer"], size=224
    )
    drawn = noise("tiny_b")
    found = live_policy.from_policy(live, TINY)
    assert (found.action_horizon, found.sampling.num_steps) == (10, 2)
    raw = TINY.join(*seen)
    for units in openpi.UNITS:
        options = {"noise": drawn[:1], "config": ISS, "units": units}
        expected = policy.explain(raw, **options)
        np.testing.assert_allclose(
            found.saliency(*seen, **options).effects, expected.effects, rtol=1e-5
        )
        nameless = live_policy.from_policy(live).explain(raw, **options)
        np.testing.assert_allclose(nameless.effects, expected.effects, rtol=1e-5)
    np.testing.assert_allclose(
        found.infer(raw, noise=drawn[0]), policy.infer(raw, noise=drawn[0]), atol=ATOL
    )
    with pytest.raises(ValueError, match="no PolicyConfig"):
        live_policy.from_policy(live).saliency(*seen)
    with pytest.raises(ValueError, match="chunks of 50"):
        live_policy.from_policy(live, "pi05_aloha")
    with pytest.raises(TypeError, match="lacks"):
        live_policy.from_policy(object())


class Tensor:
    """What of torch's is read: a number by way of float32 in the host's memory."""

    def __init__(self, array):
        self.dtype, self._array = f"torch.{array.dtype.name}", np.asarray(array, np.float32)

    def __getattr__(self, name):
        assert name in ("detach", "float", "cpu"), name
        return lambda: self

    def numpy(self):
        return self._array


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_a_live_pytorch_policy_is_computed_from_its_copy(policy, seen, dtype):
    config = policy.observe.keywords
    tree = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), raw_params("tiny_b"))
    sizes = sizes_of(tree)
    live = openpi_standins.Policy(tree, TINY, config["norm_stats"], config["tokenizer"], size=224)
    tensors = torch_names(flatten(tree), sizes)
    found = {name: Tensor(array) for name, array in tensors.items()}
    heads = SimpleNamespace(vision_config=SimpleNamespace(num_attention_heads=sizes.image.heads))
    expected = live_policy.from_policy(live, TINY)
    live._is_pytorch_model = True
    live._model = SimpleNamespace(
        config=SimpleNamespace(action_horizon=10),
        paligemma_with_expert=SimpleNamespace(paligemma=SimpleNamespace(config=heads)),
        state_dict=lambda: found,
        parameters=lambda: iter(found.values()),
    )
    mine = live_policy.from_policy(live, TINY)
    assert (mine.action_horizon, mine.sampling.num_steps) == (10, 2)
    assert mine.sampling.dtype == (None if dtype is np.float32 else jnp.bfloat16)
    for path, leaf in flatten(tree).items():
        np.testing.assert_array_equal(flatten(mine.params)[path], leaf, err_msg=path)
    if dtype is np.float32:
        raw, drawn = TINY.join(*seen), noise("tiny_b")[0]
        np.testing.assert_array_equal(
            mine.infer(raw, noise=drawn), expected.infer(raw, noise=drawn)
        )
    with pytest.raises(ValueError, match="chunks of 50"):
        live_policy.from_policy(live, "pi05_aloha")


def test_bars_that_a_live_transform_adds_are_not_picture(policy):
    config = policy.observe.keywords
    live = openpi_standins.Policy(
        raw_params("tiny_b"), TINY, config["norm_stats"], config["tokenizer"], size=224
    )
    wide = frames("front", "wrist", size=(40, 80))
    found = live_policy.from_policy(live, TINY).saliency(
        wide, np.zeros(7), "take it", noise=noise("tiny_b")[:1], config=ISS
    )
    rows = np.asarray(found.valid["base_0_rgb"])[0].any(1)
    # 40 x 80 becomes 112 x 224, centred.
    np.testing.assert_array_equal(np.flatnonzero(rows), np.arange(56, 168))
    # Nobody needs to say which robot it is: the transform tells.
    raw = TINY.join(wide, np.zeros(7), "take it")
    bare = live_policy.from_policy(live).explain(raw, noise=noise("tiny_b")[:1], config=ISS)
    for view, inside in found.valid.items():
        np.testing.assert_array_equal(bare.valid[view], inside)


def test_no_robot_is_taken_for_granted(tokenizer, tmp_path):
    with pytest.raises(
        ValueError, match=r"no configuration is given.*\['libero_study'\].*embedded"
    ):
        openpi.from_checkpoint(embedded.checkpoint_path())
    with pytest.raises(
        ValueError, match=r"pi05_droid wants the statistics of 'droid'.*libero_study"
    ):
        openpi.from_checkpoint(embedded.checkpoint_path(), "pi05_droid")
    shutil.copytree(embedded.checkpoint_path(), tmp_path / "1")
    assets = tmp_path / "1" / "assets"
    (assets / "physical-intelligence").mkdir()
    (assets / "libero_study").rename(assets / "physical-intelligence" / "libero")
    assert openpi.from_checkpoint(tmp_path / "1").config.name == "pi05_libero"
    shutil.rmtree(assets / "physical-intelligence")
    with pytest.raises(FileNotFoundError, match="no statistics under assets"):
        openpi.from_checkpoint(tmp_path / "1")


def test_statistics_of_fewer_dimensions_than_the_robots(policy, tokenizer):
    more = dataclasses.replace(TINY, state={"state": 12}, name="twelve")
    with pytest.raises(ValueError, match="twelve: 12 state dimensions, but the statistics have 7"):
        openpi.from_checkpoint(STEP, more, tokenizer=tokenizer, dtype=None)
    stats = load_norm_stats(STEP)
    broken = {**stats, "state": stats["state"]._replace(q99=stats["state"].q01 - 1)}
    with pytest.raises(ValueError, match=r"norm_stats\['state'\]: of dimension 0 q01"):
        openpi.from_params(policy.params, TINY, norm_stats=broken, tokenizer=None)


@pytest.mark.parametrize(
    ("state", "prompt", "message"),
    [
        (np.array([0, 0, np.nan, 0, 0, 0, 0]), "take it", r"state 'joints': nan at \[2\]"),
        (np.zeros(7), None, "prompt: None"),
        (np.zeros(7), ["take", "it"], "prompt: .*list"),
    ],
)
def test_a_state_or_prompt_that_is_none(policy, seen, state, prompt, message):
    with pytest.raises(ValueError, match=message):
        policy.saliency(seen[0], state, prompt, config=ISS)


def test_other_prompts_and_states_are_beside_the_players():
    """As `player_effects` with their tokens; the frame's own words and state do nothing."""
    policy = openpi.from_checkpoint(embedded.checkpoint_path(), "embedded", dtype=None)
    own = frames(*policy.config.cameras.values(), size=(80, 80))
    call = {
        "players": iss_jax.players.whole_views({v: np.zeros((1, 80, 80, 3)) for v in VIEWS}),
        "config": EffectsConfig(fill="blur", draws=2),
    }
    state, text = np.zeros(8), "pick up the milk"
    same = policy.player_effects(own, state, text, prompts=[text] * 2, states=[state] * 2, **call)
    assert float(same.beside["prompt"].max()) < 1e-9 and float(same.beside["state"].max()) < 1e-9
    others = ["pick up the butter", "push the plate"]
    found = policy.player_effects(
        own, state, text, prompts=others, states=[state + 0.1] * 2, **call
    )
    assert found.beside["prompt"].shape == (1, 2) and float(found.beside["prompt"].min()) > 1e-6
    assert float(found.beside["state"].min()) > 1e-6
    np.testing.assert_allclose(found.by_draw, same.by_draw, rtol=1e-4)
    with pytest.raises(ValueError, match="prompts: 1 given, 2 wanted"):
        policy.player_effects(own, state, text, prompts=others[:1], **call)
