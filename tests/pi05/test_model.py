"""The forward pass against arrays that openpi itself produced, part by part."""

import re
from functools import partial

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import iss_jax
from iss_jax.pi05 import model, params as P, siglip
from iss_jax.pi05.observation import VIEWS, preprocess
from iss_jax.sampling import Sampling

MODELS = ("tiny_a", "tiny_b", "tiny_c")
ALL = (*MODELS, "pi0_a")
sample = jax.jit(model.sample_actions, static_argnames="sampling")


def close(actual, expected, atol=goldens.ATOL):
    np.testing.assert_allclose(np.asarray(actual, np.float32), expected, rtol=0, atol=atol)


def same_up_to_rounding(a, b):
    """1e-5 is ten times what openpi's own rearrangements of these models change."""
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_actions(name):
    golden, obs = goldens.arrays(name), preprocess(goldens.observation(name))
    params, noise = goldens.params(name), goldens.noise(name)
    close(sample(params, obs, noise), golden["actions"])
    close(sample(params, obs, noise, sampling=Sampling(5)), golden["actions_5_steps"])


@pytest.mark.parametrize("name", ALL)
def test_prefix(name):
    golden, params = goldens.arrays(name), goldens.params(name)
    prefix = model.embed_prefix(params, preprocess(goldens.observation(name)))
    close(prefix.tokens, golden["prefix_tokens"])
    np.testing.assert_array_equal(prefix.mask, golden["prefix_mask"])


@pytest.mark.parametrize("name", MODELS)
def test_cache(name):
    golden, params = goldens.arrays(name), goldens.params(name)
    prefix = model.embed_prefix(params, preprocess(goldens.observation(name)))
    cache = model.prefill(params, prefix)
    valid = golden["prefix_mask"][:, ::24]
    for ours, theirs in ((cache.k, "kv_k_stride"), (cache.v, "kv_v_stride")):
        strided = np.asarray(ours)[:, :, ::24]
        close(strided[:, valid], golden[theirs][:, valid], goldens.ATOL_KV)


@pytest.mark.parametrize("name", ALL)
def test_velocity_and_condition(name):
    golden, params = goldens.arrays(name), goldens.params(name)
    prefix = model.embed_prefix(params, preprocess(goldens.observation(name)))
    cache = model.prefill(params, prefix)
    for key, x_t, time in (
        ("v_at_noise_t1", goldens.noise(name), 1.0),
        ("v_at_xt_t035", goldens.noise(name, "x_t"), 0.35),
    ):
        for rows in (1, 2):  # one condition for the batch, one an example
            t = jnp.full((rows,), time, jnp.float32)
            close(model.velocity(params, cache, prefix.mask, x_t, t), golden[key])
    tokens, _ = model.embed_actions(params, goldens.noise(name), jnp.ones((2,), jnp.float32))
    if name == "pi0_a":
        # The state's token stands first.
        close(tokens, golden["suffix_tokens_noise"][:, 1:])
        return
    close(tokens, golden["suffix_tokens_noise"])
    for key, time in (("adarms_cond_t1", 1.0), ("adarms_cond_t035", 0.35)):
        condition = model.time_condition(params, jnp.full((2,), time, jnp.float32))
        close(condition, golden[key])


@pytest.mark.parametrize("name", ["tiny_b", "tiny_c"])
def test_denoising_trajectory(name):
    """Each recorded Euler step from the recorded state before it."""
    golden, params = goldens.arrays(name), goldens.params(name)
    prefix = model.embed_prefix(params, preprocess(goldens.observation(name)))
    cache = model.prefill(params, prefix)
    trajectory = golden["trajectory"]
    for i in range(10):
        time = jnp.full((1,), 1.0 - 0.1 * i, jnp.float32)
        x = jnp.asarray(trajectory[i])
        step = x - 0.1 * model.velocity(params, cache, prefix.mask, x, time)
        close(step, trajectory[i + 1])


@pytest.mark.parametrize("name", ["tiny_a", "tiny_b"])
@pytest.mark.parametrize("param_dtype", ["f32", "bf16"])
def test_bfloat16(name, param_dtype):
    golden, params = goldens.arrays(name), goldens.params(name)
    if param_dtype == "bf16":
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    obs = preprocess(goldens.observation(name))
    key = f"bf16_compute_{param_dtype}_params"
    actions = sample(params, obs, goldens.noise(name), sampling=Sampling(dtype=jnp.bfloat16))
    assert actions.dtype == jnp.float32
    close(actions, golden[f"{key}/actions"], goldens.ATOL_BF16)
    prefix = model.embed_prefix(params, obs, Sampling(dtype=jnp.bfloat16))
    cache = model.prefill(params, prefix)
    assert prefix.tokens.dtype == cache.k.dtype == jnp.bfloat16
    velocity = model.velocity(
        params, cache, prefix.mask, goldens.noise(name), jnp.ones((2,), jnp.float32)
    )
    # openpi's output projection keeps the wider of its input and its kernel.
    assert velocity.dtype == (jnp.bfloat16 if param_dtype == "bf16" else jnp.float32)
    close(velocity, golden[f"{key}/v_at_noise_t1"], goldens.ATOL_BF16_VELOCITY)


@pytest.mark.parametrize("name", MODELS)
def test_siglip(name):
    golden, params = goldens.arrays(name), goldens.params(name)
    obs = preprocess(goldens.observation(name))
    img = params["PaliGemma"]["img"]
    for i, view in enumerate(VIEWS):
        out = siglip.encode(img, obs.images[view])
        close(out.encoded, golden["siglip_encoded"][:, i])
        close(jnp.linalg.norm(out.encoded, axis=-1), golden["norm_encoded"][:, i], 1e-4)
        close(jnp.linalg.norm(out.tokens, axis=-1), golden["norm_head"][:, i], 1e-4)
        last = jax.tree.map(lambda leaf: leaf[-1], img["Transformer"]["encoderblock"])
        weights = siglip.attention_weights(last, out.last_block_input)
        close(weights.mean(1).sum(1), golden["att_column_sums"][:, i], 1e-4)
        if name != "tiny_a" and i == 0:
            close(weights, golden["siglip_base_last_attention"])
            close(out.last_block_output, golden["siglip_base_last_block_out"])
            stem = siglip.patch_embeddings(img, obs.images[view])
            close(stem, golden["siglip_base_stem"].reshape(stem.shape))


def test_batch_equals_single_examples():
    obs, params = goldens.observation("tiny_b"), goldens.params("tiny_b")
    noise = goldens.noise("tiny_b")
    together = sample(params, preprocess(obs), noise)
    for row in range(2):
        one = jax.tree.map(lambda leaf, row=row: leaf[row : row + 1], preprocess(obs))
        same_up_to_rounding(sample(params, one, noise[row : row + 1])[0], together[row])


def test_prompt_padding_is_inert():
    obs, params = preprocess(goldens.observation("tiny_b")), goldens.params("tiny_b")
    noise = goldens.noise("tiny_b")
    reference = sample(params, obs, noise)
    valid = obs.tokenized_prompt_mask
    garbage = obs.replace(tokenized_prompt=jnp.where(valid, obs.tokenized_prompt, 7))
    np.testing.assert_array_equal(sample(params, garbage, noise), reference)
    longest = int(valid.sum(1).max())
    trimmed = obs.replace(
        tokenized_prompt=obs.tokenized_prompt[:, :longest],
        tokenized_prompt_mask=valid[:, :longest],
    )
    assert longest < valid.shape[1]
    same_up_to_rounding(sample(params, trimmed, noise), reference)


def test_absent_view_is_inert():
    obs, params = preprocess(goldens.observation("tiny_b")), goldens.params("tiny_b")
    noise, view = goldens.noise("tiny_b"), "right_wrist_0_rgb"
    reference = sample(params, obs, noise)
    flipped = obs.replace(images={**obs.images, view: obs.images[view][:, ::-1]})
    changed = np.abs(np.asarray(sample(params, flipped, noise) - reference)).max(axis=(1, 2))
    np.testing.assert_array_equal(obs.image_masks[view], [True, False])
    assert changed[0] > 0.1 and changed[1] == 0.0
    row = jax.tree.map(lambda leaf: leaf[1:], obs)
    dropped = row.replace(images={v: row.images[v] for v in VIEWS[:2]})
    same_up_to_rounding(sample(params, dropped, noise[1:]), reference[1:])


def test_jit_vmap_and_map_agree():
    obs, params = preprocess(goldens.observation("tiny_b")), goldens.params("tiny_b")
    noise = goldens.noise("tiny_b")
    reference = sample(params, obs, noise)

    def one(args):
        single = jax.tree.map(lambda leaf: leaf[None], args)
        return model.sample_actions(params, *single)[0]

    same_up_to_rounding(jax.vmap(lambda o, n: one((o, n)))(obs, noise), reference)
    same_up_to_rounding(jax.lax.map(one, (obs, noise)), reference)


def test_pixel_gradient_equals_finite_differences():
    """Reverse mode through all ten denoising steps."""
    obs, params = preprocess(goldens.observation("tiny_b")), goldens.params("tiny_b")
    obs = jax.tree.map(lambda leaf: leaf[:1], obs)
    noise = goldens.noise("tiny_b")[:1]
    weights = jax.random.normal(jax.random.key(1), noise.shape, jnp.float32)

    def score(images):
        actions = model.sample_actions(params, obs.replace(images=images), noise)
        return jnp.sum(actions * weights)

    # Directions of one patch each: a difference over single pixels drowns in float32 rounding.
    gradient = jax.jit(jax.grad(score))(obs.images)
    value = jax.jit(score)
    for i, view in enumerate(VIEWS):
        direction = jnp.zeros_like(obs.images[view])
        bump = jax.random.normal(jax.random.key(i), (1, 28, 28, 3), jnp.float32)
        direction = direction.at[:, 28 * (i + 2) : 28 * (i + 3), 56:84].set(bump)
        step = 1e-2
        ends = [
            value({**obs.images, view: obs.images[view] + sign * step * direction})
            for sign in (1.0, -1.0)
        ]
        difference = float(ends[0] - ends[1]) / (2 * step)
        analytic = float(jnp.sum(gradient[view] * direction))
        assert abs(analytic) > 1e-3
        # Rounding of the values (1e-6) over the step, and the third derivative's share.
        np.testing.assert_allclose(analytic, difference, rtol=5e-3, atol=5e-4)


@pytest.mark.parametrize("which", ["PI05", "PI05_LORA", "PI0"])
def test_real_size_lowers_for_a_hundred_masked_copies_without_allocating(which):
    sizes = getattr(P, which)
    tree = P.unflatten(
        {k: jax.ShapeDtypeStruct(shape, jnp.bfloat16) for k, shape in P.shapes(sizes).items()}
    )
    n, side = 100, sizes.image.image_size
    struct = jax.ShapeDtypeStruct
    obs = model.Observation(
        images={view: struct((n, side, side, 3), jnp.float32) for view in VIEWS},
        image_masks={view: struct((n,), jnp.bool_) for view in VIEWS},
        state=struct((n, 32), jnp.float32),
        tokenized_prompt=struct((n, 200), jnp.int32),
        tokenized_prompt_mask=struct((n, 200), jnp.bool_),
    )
    noise = struct((n, 50, 32), jnp.float32)
    actions = jax.eval_shape(model.sample_actions, tree, obs, noise)
    assert actions.shape == (n, 50, 32)
    text = jax.jit(model.sample_actions).lower(tree, obs, noise).as_text()
    # The layer loops stay loops: the program does not grow with depth.
    assert "stablehlo.while" in text and len(text.splitlines()) < 3_000


def test_saliency_of_the_real_size_lowers_without_allocating():
    """A hundred masked copies through the public function, from shapes alone."""
    struct = jax.ShapeDtypeStruct
    tree = P.unflatten({k: struct(shape, jnp.bfloat16) for k, shape in P.shapes(P.PI05).items()})
    obs = model.Observation(
        images={view: struct((1, 224, 224, 3), jnp.uint8) for view in VIEWS},
        image_masks={view: struct((1,), jnp.bool_) for view in VIEWS},
        state=struct((1, 32), jnp.float32),
        tokenized_prompt=struct((1, 200), jnp.int32),
        tokenized_prompt_mask=struct((1, 200), jnp.bool_),
    )
    explain = partial(iss_jax.saliency, action_horizon=50)
    lowered = jax.jit(explain).lower(tree, obs)
    found = lowered.out_info
    assert found.effects.shape == (1, 100) and found.actions.shape == (1, 50, 32)
    assert {view: saliency.shape for view, saliency in found.maps.items()} == dict.fromkeys(
        VIEWS, (1, 224, 224)
    )
    # Copies are blended in micro-batches, of 26 or, where jax 0.5.3 traces larger intermediate
    # values, of 17: 101 of them at once appear nowhere.
    text = lowered.as_text()
    rows = {int(rows) for rows in re.findall(r"tensor<(\d+)x224x224x3xf32>", text)}
    assert rows in ({1, 26}, {1, 17})
    assert "tensor<101x224" not in text and "tensor<100x224" not in text


def test_a_pi0_reads_its_state_and_a_pi05_does_not():
    obs, params = preprocess(goldens.observation("pi0_a")), goldens.params("pi0_a")
    noise = goldens.noise("pi0_a")
    reference = sample(params, obs, noise)
    moved = np.abs(sample(params, obs.replace(state=obs.state + 0.5), noise) - reference).max()
    # openpi's own answer to the same change.
    np.testing.assert_allclose(moved, 0.034, atol=5e-4)
    # A state of fewer dimensions is filled up with zeros, as openpi's transforms do.
    short = sample(params, obs.replace(state=obs.state[:, :5]), noise)
    zeroed = sample(params, obs.replace(state=obs.state.at[:, 5:].set(0.0)), noise)
    np.testing.assert_array_equal(short, zeroed)
    with pytest.raises(
        ValueError, match=r"obs.state: got shape \[2, 8\], wanted \[2, s\], s from 1 to 7"
    ):
        model.sample_actions(params, obs.replace(state=jnp.zeros((2, 8), jnp.float32)), noise)
    prefix = model.embed_prefix(params, obs)
    with pytest.raises(ValueError, match="a π0 reads the state, and None was given"):
        model.prefill(params, model.Prefix(prefix.tokens, prefix.mask))
    assert model.state_of(goldens.params("tiny_b"), obs.state) is None


def test_the_state_seen_once_equals_a_state_in_every_step():
    """openpi runs the state's token in every denoising step; no action changes it."""
    obs, params = preprocess(goldens.observation("pi0_a")), goldens.params("pi0_a")
    llm = params["PaliGemma"]["llm"]
    prefix = model.embed_prefix(params, obs)
    cache = model.gemma.prefill(llm, prefix.tokens, prefix.mask)
    state = model._linear(params["state_proj"], prefix.state)[:, None]
    once = model.prefill(params, prefix)
    assert once.k.shape[2] == cache.k.shape[2] + 1
    actions, _ = model.embed_actions(params, goldens.noise("pi0_a"), jnp.ones((2,), jnp.float32))
    alone = model.gemma.suffix(llm, cache, prefix.mask, state, None)
    later = model.gemma.suffix(llm, once, prefix.mask, actions, None)
    # Alone its output is the same whatever noise follows, as the mask of blocks wants it.
    assert alone.shape[1] == 1 and np.isfinite(alone).all()
    np.testing.assert_allclose(
        model._linear(params["action_out_proj"], later),
        goldens.arrays("pi0_a")["v_at_noise_t1"],
        rtol=0,
        atol=goldens.ATOL,
    )
