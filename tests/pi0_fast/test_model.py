"""π0-FAST's forward pass against arrays that openpi itself produced."""

import functools

import goldens
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax.pi0_fast import model
from iss_jax.pi05.observation import VIEWS, to_unit_range

GOLDEN = goldens.arrays("fast_a")
PARAMS = goldens.raw_params("fast_a")


@functools.cache
def inputs(prompt_mask="prompt_mask"):
    obs = goldens.arrays("obs")
    images = {view: to_unit_range(jnp.asarray(obs[f"image/{view}"])) for view in VIEWS}
    masks = {view: jnp.asarray(obs[f"image_mask/{view}"]) for view in VIEWS}
    prompt, valid, causal = (
        jnp.asarray(GOLDEN[name]) for name in ("prompt", prompt_mask, "token_ar_mask")
    )
    return model.embed_inputs(PARAMS, images, masks, prompt, valid, causal)


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=goldens.ATOL)


def test_inputs():
    close(inputs().tokens[:, ::16], GOLDEN["embedded_stride"])
    np.testing.assert_array_equal(inputs().mask, GOLDEN["input_mask"])
    np.testing.assert_array_equal(inputs().causal, GOLDEN["ar_mask"])


def test_logits_and_loss_of_a_sequence_with_its_answer():
    whole = jax.tree.map(lambda leaf: leaf[:, :-1], inputs())
    logits = jax.jit(model.sequence_logits)(PARAMS, whole)[:, -GOLDEN["logits"].shape[1] :]
    counts = GOLDEN["input_mask"][:, -GOLDEN["logits"].shape[1] - 1 : -1]
    close(np.asarray(logits)[counts], GOLDEN["logits"][counts])
    log_p = jax.nn.log_softmax(logits, axis=-1)
    own = np.take_along_axis(np.asarray(log_p), GOLDEN["prompt"][:, 1:, None], axis=-1)[..., 0]
    counted = GOLDEN["token_loss_mask"][:, 1:]
    close(-(own * counted).sum(1) / counted.sum(1), GOLDEN["loss"])


@functools.cache
def prefix():
    return jax.jit(model.prefill)(PARAMS, inputs("decode_prompt_mask"))


def test_the_greedy_answer():
    found = jax.jit(model.decode, static_argnums=2)(PARAMS, prefix(), 12)
    np.testing.assert_array_equal(found, GOLDEN["decoded"])


def test_an_answer_read_at_once_is_the_one_that_was_written():
    answer = jnp.asarray(GOLDEN["decoded"], jnp.int32)
    logits = jax.jit(model.answer_logits)(PARAMS, prefix(), answer)
    np.testing.assert_array_equal(np.argmax(logits, axis=-1), answer)
    # A token's distribution knows none of those behind it.
    other = answer.at[:, 6:].set(3)
    again = jax.jit(model.answer_logits)(PARAMS, prefix(), other)
    close(again[:, :7], logits[:, :7])
    assert float(jnp.abs(again[:, 7:] - logits[:, 7:]).max()) > 0.1


def test_an_answer_ends_with_its_first_end():
    answer = jnp.array([[5, 1, 7, 1], [5, 6, 7, 8]])
    np.testing.assert_array_equal(model.answered(answer), [[1, 1, 0, 0], [1, 1, 1, 1]])


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_kl_is_the_definitions(shift):
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.25, 0.5])
    found = model.token_kl(jnp.log(p), jnp.log(q) + shift)
    np.testing.assert_allclose(found, (p * np.log(p / q)).sum(), rtol=1e-5)
    assert float(model.token_kl(jnp.log(p), jnp.log(p) + shift)) == pytest.approx(0, abs=1e-6)
