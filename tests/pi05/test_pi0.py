"""π0 through every analysis: the tree tells which model it is, nothing else is asked."""

import dataclasses

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from openpi_standins import SIZES, Module, Policy, random_observation, random_params, train_state

import iss_jax
from iss_jax import EffectsConfig, ISSConfig
from iss_jax.baselines.encoder import attention
from iss_jax.baselines.gradient import input_gradient
from iss_jax.data.episode import Episode
from iss_jax.interventions import blend, blur
from iss_jax.masks import sample_masks, upsample
from iss_jax.pi05 import lora, model
from iss_jax.pi05.checkpoint import read_sizes, save_checkpoint
from iss_jax.pi05.normalize import NormStats, normalize, unnormalize
from iss_jax.pi05.observation import VIEWS, preprocess
from iss_jax.pi05.params import flatten, sizes_of, unflatten
from iss_jax.pi05.tokenizer import open_tokenizer, train_tokenizer
from iss_jax.policies import live, openpi
from iss_jax.policies.configs import PI0_LIBERO, PolicyConfig
from iss_jax.policies.frames import FrameOptions, see
from iss_jax.policies.restored import load_policy
from iss_jax.sampling import Sampling
from iss_jax.tokens import exact, means

# A vocabulary that holds the tokenizer's words and numbers.
WORDS = dataclasses.replace(SIZES, vocab=600)
PARAMS = random_params(sizes=dataclasses.replace(WORDS, reads_state=True))
STATE = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8)), jnp.float32)
OBS = random_observation(2).replace(state=STATE)
SIZE, HORIZON = SIZES.image.image_size, 3
NOISE = jnp.asarray(np.random.default_rng(1).normal(size=(2, HORIZON, 8)), jnp.float32)
RUN = {"action_horizon": HORIZON, "sampling": Sampling(2)}
sample = jax.jit(model.sample_actions, static_argnames="sampling")


def acted(obs, noise=NOISE):
    return sample(PARAMS, preprocess(obs, SIZE), noise, sampling=Sampling(2))


def golden_actions(params, dtype=None):
    obs = preprocess(goldens.observation("pi0_a"))
    return sample(params, obs, goldens.noise("pi0_a"), sampling=Sampling(dtype=dtype))


def test_low_rank_leaves_equal_openpis():
    """Ranks 4 and 2 with alpha 8, on attention and feed-forward of both experts."""
    golden = goldens.arrays("pi0_a_more")
    leaves = {k.removeprefix("lora/params/"): v for k, v in golden.items() if "/params/" in k}
    leaves = {path: jnp.asarray(own) for path, own in leaves.items() if "lora_" in path}
    adapted = unflatten(flatten(goldens.raw_params("pi0_a")) | leaves)
    ranks = sizes_of(adapted)
    assert (len(leaves), ranks.vlm.ffn_rank, ranks.action.attention_rank) == (20, 4, 2)
    scaled = lora.scale(adapted, vlm_alpha=8.0, action_alpha=8.0)
    found = golden_actions(scaled)
    np.testing.assert_allclose(found, golden["lora/actions"], rtol=0, atol=goldens.ATOL)
    merged = lora.merge_lora(adapted, vlm_alpha=8.0, action_alpha=8.0)
    np.testing.assert_allclose(golden_actions(merged), found, atol=1e-4)


@pytest.mark.parametrize("kept", ["f32", "bf16"])
def test_bfloat16_equals_openpis(kept):
    params = goldens.params("pi0_a")
    if kept == "bf16":
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    wanted = goldens.arrays("pi0_a_more")[f"bf16_compute_{kept}_params/actions"]
    found = golden_actions(params, jnp.bfloat16)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, wanted, rtol=0, atol=goldens.ATOL_BF16)


def test_saliency_is_the_policys_own_runs_and_follows_its_state():
    config = ISSConfig(num_masks=3)
    bits = sample_masks(jax.random.key(3), 3, len(VIEWS))
    found = iss_jax.saliency(
        PARAMS, OBS, noise=NOISE, masks=bits, config=config, sampling=Sampling(2)
    )
    baseline = acted(OBS)
    np.testing.assert_allclose(found.actions, baseline, atol=1e-5)
    for number in range(3):
        masked = {}
        for index, view in enumerate(VIEWS):
            frame = OBS.images[view]
            soft = upsample(bits[number, index][None].astype(jnp.float32), (SIZE, SIZE))[0]
            masked[view] = jnp.stack([blend(one, blur(one), soft[None])[0] for one in frame])
        moved = np.square(acted(OBS.replace(images=masked)) - baseline).mean((1, 2))
        np.testing.assert_allclose(found.effects[:, number], moved, rtol=1e-3)
    other = iss_jax.saliency(
        PARAMS,
        OBS.replace(state=STATE + 0.5),
        noise=NOISE,
        masks=bits,
        config=config,
        sampling=Sampling(2),
    )
    assert float(jnp.abs(other.effects - found.effects).max()) > 1e-4


def test_gradients_and_a_training_state():
    """The gradient of an effect at random masks, of an `nnx.State`, inside jit."""
    config = ISSConfig(num_masks=8, estimator="gradient")
    state = train_state(PARAMS)
    found = jax.jit(lambda s, o: iss_jax.saliency(s.params, o, config=config, **RUN))(state, OBS)
    alone = iss_jax.saliency(PARAMS, OBS, config=config, **RUN)
    np.testing.assert_allclose(found.cells, alone.cells, rtol=1e-3, atol=1e-6)
    assert float(jnp.abs(alone.gradients).max()) > 1e-4


def test_its_state_is_a_player_beside_the_others():
    players = iss_jax.players.whole_views(OBS.images)
    shape = (2, 2, OBS.tokenized_prompt.shape[1])
    tokens = jnp.broadcast_to(OBS.tokenized_prompt[:, None], shape)
    mask = jnp.broadcast_to(OBS.tokenized_prompt_mask[:, None], shape)
    moved = jnp.stack([STATE + 0.5, STATE - 1.0], axis=1)
    noise = jnp.stack([NOISE, NOISE[::-1]], axis=1)
    found = iss_jax.player_effects(
        PARAMS,
        OBS,
        players,
        config=EffectsConfig(fill="blur", draws=2),
        prompts={"state": (tokens, mask, moved), "same": (tokens, mask)},
        noise=noise,
        sampling=Sampling(2),
    )
    for draw in range(2):
        own = acted(OBS, noise[:, draw])
        other = acted(OBS.replace(state=moved[:, draw]), noise[:, draw])
        effect = np.square(other - own).mean((1, 2))
        np.testing.assert_allclose(found.beside["state"][:, draw], effect, rtol=1e-3)
    assert float(found.beside["same"].max()) < 1e-9
    assert float(found.effects.min()) > 1e-7
    with pytest.raises(ValueError, match=r"prompts\['state'\]: states must be \[2, 2 draws, s\]"):
        iss_jax.player_effects(
            PARAMS,
            OBS,
            players,
            config=EffectsConfig(fill="blur", draws=2),
            prompts={"state": (tokens, mask, STATE)},
            **RUN,
        )


def test_tokens_gradients_and_attention():
    mean = means.mean_embeddings(PARAMS, [OBS])
    found = exact.token_significance(
        PARAMS, OBS, mean, noise=NOISE, sampling=Sampling(2), micro_batch=8
    )
    prefix = model.embed_prefix(PARAMS, preprocess(OBS, SIZE))
    replaced = prefix.tokens.at[:, 1].set(mean.visual)
    cache = model.prefill(PARAMS, model.Prefix(replaced, prefix.mask, prefix.state))
    changed = model.denoise(PARAMS, cache, prefix.mask, NOISE, Sampling(2))
    effect = np.square(changed - acted(OBS)).mean((1, 2))
    np.testing.assert_allclose(found.views[VIEWS[0]][:, 1], effect, rtol=1e-3, atol=1e-9)
    gradient = input_gradient(PARAMS, OBS, action_horizon=HORIZON, sampling=Sampling(2))
    assert all(float(jnp.abs(own).max()) > 0 for own in gradient.maps.values())
    assert set(attention(PARAMS, OBS).maps) == set(VIEWS)


CONFIG = PolicyConfig(
    name="arm",
    cameras={"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"},
    state={"state": 5},
    action_horizon=HORIZON,
    action_dims=4,
    discrete_state_input=False,
    normalisation="mean_std",
    max_token_len=24,
)
RNG = np.random.default_rng(2)
STATS = {
    name: NormStats(*np.sort(RNG.normal(size=(4, 8)), axis=0)[[1, 2, 0, 3]] + [[0], [2], [0], [0]])
    for name in ("state", "actions")
}
FRAMES = {c: RNG.integers(0, 256, (SIZE, SIZE, 3), np.uint8) for c in ("front", "wrist")}
RAW = CONFIG.join(FRAMES, RNG.normal(size=5), "take it")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("pi0") / "7"
    proto = train_tokenizer(["take it", "put it down"])
    save_checkpoint(path, PARAMS, norm_stats=STATS, asset_id="arm", tokenizer=proto)
    return path


@pytest.fixture(scope="module")
def policy(folder):
    return openpi.from_checkpoint(folder, CONFIG, dtype=None, sampling=Sampling(2))


def test_a_checkpoint_acts_in_its_own_units(policy, folder):
    assert read_sizes(folder).model == "π0"
    obs = policy.observe(RAW)
    np.testing.assert_allclose(
        obs.state[0], normalize(RAW["state"], STATS["state"], "mean_std"), rtol=1e-6
    )
    same = policy.observe({**RAW, "state": np.zeros(5)})
    np.testing.assert_array_equal(same.tokenized_prompt, obs.tokenized_prompt)
    normalised = sample(PARAMS, preprocess(obs, SIZE), NOISE[:1], sampling=Sampling(2))
    wanted = unnormalize(normalised[0], STATS["actions"], "mean_std")[:, :4]
    np.testing.assert_allclose(policy.infer(RAW, noise=NOISE[0]), wanted, rtol=1e-4, atol=1e-5)
    scale = policy.action_scale(np.asarray(obs.state)[0])
    np.testing.assert_allclose(scale, STATS["actions"].std[:4] + 1e-6, rtol=1e-4)


def test_a_live_policy_equals_its_checkpoint(policy, folder):
    tokenizer = open_tokenizer((folder / "assets" / "tokenizer.model").read_bytes())
    standin = Policy(PARAMS, CONFIG, STATS, tokenizer, size=SIZE)
    assert isinstance(standin._model, Module)
    found = live.from_policy(standin, CONFIG)
    np.testing.assert_allclose(
        found.infer(RAW, noise=NOISE[0]), policy.infer(RAW, noise=NOISE[0]), atol=1e-5
    )
    sal = found.explain(RAW, config=ISSConfig(num_masks=4))
    assert float(sal.effects.min()) > 0


def test_other_states_move_it_from_a_robots_dict(policy):
    found = policy.player_effects(
        FRAMES,
        RAW["state"],
        "take it",
        states=[RAW["state"] + 1, RAW["state"] - 1],
        players=iss_jax.players.whole_views(
            {v: np.zeros((1, SIZE, SIZE, 3)) for v in CONFIG.cameras}
        ),
        config=EffectsConfig(fill="blur", draws=2),
    )
    assert float(found.beside["state"].min()) > 1e-6


def test_frames_of_a_dataset_are_shown_as_it_was_trained(folder):
    restored = load_policy(folder)
    assert restored.reads_state
    images = {camera: frame[None] for camera, frame in FRAMES.items()}
    state = RAW["state"][None].astype(np.float32)
    episode = Episode(images, {}, state, np.zeros((1, 4), np.float32), "take it", fps=10.0)
    options = FrameOptions(cameras=dict(CONFIG.cameras), max_token_len=24)
    seen = see(episode, restored, options)
    own = openpi.from_checkpoint(folder, CONFIG, dtype=None).observe(RAW)
    np.testing.assert_array_equal(seen.obs.tokenized_prompt, own.tokenized_prompt)
    np.testing.assert_array_equal(seen.obs.state, own.state)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "π0.5"}, "parameters of a π0.5 wanted, those of a π0 given"),
        ({"discrete_state_input": True}, "discrete_state_input=False wanted, True given"),
        ({"action_dims": 9}, "9 action dimensions, but the model has 8"),
    ],
    ids=["model", "prompt", "dimensions"],
)
def test_a_configuration_that_is_not_its_own(folder, changes, message):
    with pytest.raises(ValueError, match=message):
        openpi.from_checkpoint(folder, dataclasses.replace(CONFIG, **changes), dtype=None)


@pytest.mark.parametrize(("name", "value"), [("normalisation", "zscore"), ("model", "pi0")])
def test_an_unknown_word_in_a_configuration(name, value):
    with pytest.raises(ValueError, match=f"PolicyConfig 'arm': {name} must be one of"):
        dataclasses.replace(CONFIG, **{name: value})


def test_the_model_tells_robots_of_one_dataset_apart(tmp_path):
    """π0 and π0.5 were released for LIBERO, with statistics of one name."""
    proto = train_tokenizer(["take it"])
    for params, name in ((random_params(sizes=WORDS), "pi05_libero"), (PARAMS, "pi0_libero")):
        path = tmp_path / name / "1"
        save_checkpoint(
            path, params, norm_stats=STATS, asset_id="physical-intelligence/libero", tokenizer=proto
        )
        assert openpi.from_checkpoint(path, dtype=None).config.name == name


def test_liberos_released_pi0_adds_six_dimensions_of_the_state():
    state, actions = np.arange(8.0), np.ones((2, 7))
    found = PI0_LIBERO.encode_actions(actions, state)
    np.testing.assert_array_equal(found, [[1, 2, 3, 4, 5, 6, 1]] * 2)
