"""Flow matching: the loss, what trains, and that a run learns."""

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax.pi05 import gemma, lora, model, params as P, train
from iss_jax.pi05.observation import preprocess


def small() -> P.Sizes:
    return P.Sizes(
        image=P.ImageTower(width=8, depth=1, mlp=16, heads=2, patch=8, tokens=4),
        vlm=P.Expert(width=16, mlp=16),
        action=P.Expert(width=16, mlp=16),
        depth=2,
        heads=2,
        kv_heads=1,
        head_dim=8,
        vocab=8,
        action_dim=3,
    )


def new_model() -> dict:
    return jax.jit(P.init, static_argnums=1)(jax.random.key(0), small())


@pytest.fixture
def optax_promotes():
    """optax itself mixes ints and floats; the strict promotion of the suite is for our code."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def small_batch(b: int = 8) -> train.Batch:
    keys = jax.random.split(jax.random.key(3), 3)
    views = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")
    obs = model.Observation(
        images={v: jax.random.uniform(keys[0], (b, 16, 16, 3), jnp.float32) for v in views},
        image_masks={v: jnp.ones((b,), bool) for v in views},
        state=jnp.zeros((b, 2)),
        tokenized_prompt=jax.random.randint(keys[1], (b, 3), 1, 8),
        tokenized_prompt_mask=jnp.ones((b, 3), bool).at[::2, 2].set(False),
    )
    actions = jax.random.normal(keys[2], (b, 4, 3), jnp.float32)
    return train.Batch(obs, actions, jnp.ones((b, 4), bool), actions[:, 0, :2])


def test_flow_targets():
    """x_t lies on the line from action to noise; t ~ 0.999·Beta(1.5, 1) + 0.001."""
    actions = jax.random.normal(jax.random.key(0), (4000, 2, 3), jnp.float32)
    x_t, time, target = train.flow_targets(jax.random.key(1), actions, 5)
    back = x_t - time[:, :, None, None] * target
    np.testing.assert_allclose(back, jnp.broadcast_to(actions[:, None], back.shape), atol=1e-5)
    # Beta(1.5, 1) has mean 0.6 and variance 0.0686; 20,000 draws, six standard errors.
    assert abs(float(time.mean()) - (0.999 * 0.6 + 0.001)) < 6 * np.sqrt(0.0686 / time.size)
    noise = target + actions[:, None]
    assert abs(float(noise.mean())) < 6 / np.sqrt(noise.size)


@pytest.mark.parametrize("name", ["tiny_b", "pi0_a"])
def test_loss_equals_the_joint_definition(name):
    """The mean over hand-made single-sample losses, with openpi's golden model."""
    params = goldens.params(name)
    obs = preprocess(goldens.observation(name))
    actions = goldens.noise(name, "x_t")
    key = jax.random.key(5)
    batch = train.Batch(obs, actions, jnp.ones(actions.shape[:2], bool))
    loss, auxiliary = train.flow_matching_loss(params, {}, batch, key, num_samples=3)
    assert auxiliary == {}
    x_t, time, target = train.flow_targets(key, actions, 3)
    prefix = model.embed_prefix(params, obs)
    cache = model.prefill(params, prefix)
    velocities = [
        model.velocity(params, cache, prefix.mask, x_t[:, i], time[:, i]) for i in range(3)
    ]
    errors = [jnp.mean((v - target[:, i]) ** 2) for i, v in enumerate(velocities)]
    np.testing.assert_allclose(loss, np.mean(errors), rtol=1e-5)


def test_invalid_steps_carry_no_loss():
    params, batch = new_model(), small_batch()
    valid = batch.valid.at[:, 2:].set(False)
    garbage = batch.actions.at[:, 2:].set(100.0)
    # The network still sees those steps' noisy actions, so compare with the network held fixed:
    # zero output projection makes the velocity zero whatever it sees.
    params["action_out_proj"] = jax.tree.map(jnp.zeros_like, params["action_out_proj"])
    loss = lambda actions: train.flow_matching_loss(  # noqa: E731
        params, {}, batch._replace(actions=actions, valid=valid), jax.random.key(1)
    )[0]
    np.testing.assert_allclose(loss(garbage), loss(batch.actions), rtol=1e-6)


def test_auxiliary_head_reads_the_last_valid_prompt_token():
    params, batch = new_model(), small_batch()
    head = jax.tree.map(jnp.ones_like, train.init_auxiliary(16, target=2))
    value = lambda obs: train.flow_matching_loss(  # noqa: E731
        params, head, batch._replace(obs=obs), jax.random.key(1)
    )[1]["target"]
    padding = batch.obs.replace(
        tokenized_prompt=jnp.where(batch.obs.tokenized_prompt_mask, batch.obs.tokenized_prompt, 5)
    )
    np.testing.assert_allclose(value(padding), value(batch.obs), rtol=1e-6)
    other = batch.obs.replace(tokenized_prompt=jnp.ones_like(padding.tokenized_prompt))
    assert abs(float(value(other) - value(batch.obs))) > 1e-4


@pytest.mark.slow
def test_training_learns_and_averages(optax_promotes):
    batch, optimizer = small_batch(), train.paper_optimizer(3e-3, 150, warmup_steps=5)
    state = train.init_state(new_model(), optimizer, auxiliary=train.init_auxiliary(16, target=2))
    step = jax.jit(train.make_train_step(optimizer, num_samples=4, ema_decay=0.9))
    first, key = state, jax.random.key(1)
    losses = []
    for _ in range(150):
        state, metrics = step(state, batch, key)
        losses.append((float(metrics["loss"]), float(metrics["target"])))
    start, end = np.mean(losses[:10], axis=0), np.mean(losses[-10:], axis=0)
    # One batch of eight chunks can be learnt by heart.
    assert end[0] < 0.6 * start[0] and end[1] < 0.1 * start[1]
    assert int(state.step) == 150
    P.sizes_of(state.ema_params())
    drift = train.tree_norm(jax.tree.map(jnp.subtract, state.ema, first.ema))
    lag = train.tree_norm(jax.tree.map(jnp.subtract, state.ema, state.trainable))
    assert float(drift) > float(lag) > 0


@pytest.mark.slow
def test_lora_run_leaves_the_language_model_alone(optax_promotes):
    base = new_model()
    adapted = lora.add_lora(base, jax.random.key(1), vlm_rank=2, action_rank=2)
    optimizer = train.paper_optimizer(1e-2, 20, warmup_steps=1)
    state = train.init_state(adapted, optimizer, train_only_lora=True)
    step = jax.jit(train.make_train_step(optimizer))
    for _ in range(3):
        state, _ = step(state, small_batch(), jax.random.key(2))
    before, after = P.flatten(adapted), P.flatten(state.params())
    changed = {k for k in before if not np.array_equal(before[k], after[k])}
    assert not {k for k in changed if "/llm/" in k and not lora.is_lora(k)}
    assert {k for k in changed if lora.is_lora(k)} and "action_in_proj/kernel" in changed
    with pytest.raises(ValueError, match="wants LoRA leaves"):
        train.init_state(base, optimizer, train_only_lora=True)


def test_objects_head_is_cross_entropy_over_image_tokens():
    """A zero kernel leaves the bias, -3.5: each (token, kind) costs its logistic loss there."""
    params, batch = new_model(), small_batch(4)
    objects = jnp.zeros((4, 3, 4, 2), bool).at[:, 0, 1, 0].set(True)
    head = train.init_auxiliary(16, kinds=2)
    _, errors = train.flow_matching_loss(
        params, head, batch._replace(objects=objects, target=None), jax.random.key(1)
    )
    absent, present = np.log1p(np.exp(-3.5)), np.log1p(np.exp(3.5))
    # One of 24 labels an example is set; the sum is over 2 kinds, the mean over 12 tokens.
    np.testing.assert_allclose(errors["objects"], (23 * absent + present) / 12, rtol=1e-5)
    shifted = {"objects": head["objects"] | {"kernel": jnp.ones((16, 2), jnp.float32)}}
    _, others = train.flow_matching_loss(
        params, shifted, batch._replace(objects=objects, target=None), jax.random.key(1)
    )
    assert abs(float(others["objects"] - errors["objects"])) > 1e-2


def test_wanted_head_chooses_a_token_in_the_views_that_show_one():
    """Zero kernel: a uniform guess, 1. Otherwise a softmax over the middle layer's image tokens."""
    params, batch = new_model(), small_batch(4)
    wanted = jnp.zeros((4, 3, 4), bool).at[:, 0, 1].set(True).at[:2, 2, 3].set(True)
    batch = batch._replace(target=None, wanted=wanted)
    head = train.init_auxiliary(16, wanted=True)
    loss = lambda head: train.flow_matching_loss(params, head, batch, jax.random.key(1))[1]  # noqa: E731
    np.testing.assert_allclose(loss(head)["wanted"], 1.0, rtol=1e-6)

    kernel = jax.random.normal(jax.random.key(2), (16, 1))
    error = loss({"wanted": head["wanted"] | {"kernel": kernel}})["wanted"]
    prefix = model.embed_prefix(params, batch.obs)
    _, hidden = gemma.prefill_with_hidden(params["PaliGemma"]["llm"], prefix.tokens, prefix.mask)
    np.testing.assert_array_equal(hidden[0], prefix.tokens)
    x = hidden[len(hidden) // 2][:, :12]
    x = x / jnp.sqrt(jnp.mean(x**2, axis=-1, keepdims=True) + 1e-6)
    scores = (x @ kernel).reshape(4, 3, 4)
    costs = -jax.nn.log_softmax(scores)[wanted] / np.log(4)
    assert costs.shape == (6,)
    np.testing.assert_allclose(error, costs.mean(), rtol=1e-4)

    nowhere = batch._replace(wanted=jnp.zeros_like(wanted))
    _, errors = train.flow_matching_loss(params, head, nowhere, jax.random.key(1))
    assert float(errors["wanted"]) == 0.0
