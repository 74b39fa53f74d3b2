import jax
import numpy as np
import optax
import pytest
from tiny_policy import write_checkpoint

from experiments.fast_student import training
from iss_jax.pi0_fast import model
from iss_jax.pi0_fast.observation import FastObservation, fast_inputs
from iss_jax.pi0_fast.params import fast_sizes_of, is_fast
from iss_jax.pi05.checkpoint import restore_params

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def optax_promotes():
    """optax itself mixes ints and floats; the strict promotion of the suite is for our code."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def params(tmp_path_factory):
    return restore_params(write_checkpoint(tmp_path_factory.mktemp("tiny") / "policy"))


def observation(batch=2):
    views = ("base_0_rgb", "left_wrist_0_rgb")
    return FastObservation(
        {view: RNG.uniform(-1, 1, (batch, 32, 32, 3)).astype(np.float32) for view in views},
        {view: np.ones(batch, bool) for view in views},
        np.zeros((batch, 8), np.float32),
        RNG.integers(2, 50, (batch, 6)).astype(np.int32),
        np.ones((batch, 6), bool),
    )


def test_the_student_is_a_pi0_fast_of_its_own_arrays(params):
    state = training.first_state(params, optax.sgd(1e-2))
    assert is_fast(state.params()) and fast_sizes_of(state.params()).vocab == 1024
    table = params["PaliGemma"]["llm"]["embedder"]["input_embedding"]
    own = state.params()["PaliGemma"]["llm"]["embedder"]["input_embedding"]
    np.testing.assert_array_equal(own, table)
    assert own is not table


@pytest.mark.slow
def test_a_step_learns_the_answer_that_it_then_writes(params):
    optimizer = optax.adam(1e-2)
    state = training.first_state(params, optimizer)
    obs, answer = observation(), training.with_end(np.array([[7, 9], [9, 7]], np.int32))
    losses = []
    for _ in range(50):
        state, loss = training.train_step(state, obs, answer, optimizer=optimizer, ema_decay=0.0)
        losses.append(float(loss))
    assert losses[-1] < 0.2 < losses[0]
    inputs = fast_inputs(obs, 1024)
    embedded = model.embed_inputs(state.params(), inputs.images, inputs.image_masks, *inputs[2:])
    written = model.decode(state.params(), model.prefill(state.params(), embedded), 3)
    np.testing.assert_array_equal(written, answer)
    assert answer[:, -1].tolist() == [model.EOS] * 2
