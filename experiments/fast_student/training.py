"""Teaches a π0-FAST the embedded policy's actions: cross-entropy of their tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from experiments.distilled.jitter import jittered
from experiments.distilled.teacher import Frame, observe
from experiments.fast_student.tokens import ActionTokens, encode
from experiments.planted.cue import INSTRUCTIONS
from iss_jax.pi0_fast import model
from iss_jax.pi0_fast.observation import FastObservation
from iss_jax.pi0_fast.params import FastSizes, fast_shapes
from iss_jax.pi05.params import flatten, sizes_of, unflatten
from iss_jax.pi05.train import TrainState
from iss_jax.policies.restored import Policy


def as_fast(obs: Any) -> FastObservation:
    """What a π0.5 sees as a π0-FAST sees it: the state stands in its prompt already."""
    return FastObservation(
        obs.images, obs.image_masks, obs.state, obs.tokenized_prompt, obs.tokenized_prompt_mask
    )


def first_state(params: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """The language model and image tower of a π0.5, all trained on, without its action expert."""
    wanted = fast_shapes(_sizes(params))
    trained = {path: jnp.array(flatten(params)[path]) for path in wanted}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        trainable=trained,
        frozen={},
        auxiliary={},
        ema=jax.tree.map(jnp.array, trained),
        opt_state=optimizer.init((trained, {})),
    )


def _sizes(params: Any) -> FastSizes:
    found = sizes_of(params)
    return FastSizes(**{one.name: getattr(found, one.name) for one in fields(FastSizes)})


def batches(
    policy: Policy,
    frames: Sequence[Frame],
    taught: Float[np.ndarray, "frames objects draws horizon dims"],
    tokens: ActionTokens,
    *,
    seed: int,
    size: int,
    longest: int,
    jitter: float,
    shift: int,
    start: int,
) -> Iterator[tuple[FastObservation, Int[np.ndarray, "b t"]]]:
    """Endless observations and answers: batch i depends on the seed and i alone.

    Args:
        policy: The teacher, whose tokenizer and statistics are the student's.
        frames: Without cues.
        taught: Its normalised actions under every instruction.
        tokens: Of actions.
        seed: Of everything drawn.
        size: Of a batch.
        longest: Prompts are padded or cut to this.
        jitter: Of contrast and brightness.
        shift: Pixels at most, up, down and aside.
        start: The first batch.
    """
    step = start
    while True:
        rng = np.random.default_rng([seed, step])
        rows = rng.integers(len(frames), size=size)
        named = rng.integers(len(INSTRUCTIONS), size=size)
        draws = rng.integers(taught.shape[2], size=size)
        images = [
            {
                view: _shifted(jittered(own, jitter, rng), shift, rng)
                for view, own in frames[row].images.items()
            }
            for row in rows
        ]
        states = [frames[row].state for row in rows]
        obs = observe(policy, images, states, named.tolist(), longest)
        yield as_fast(obs), with_end(encode(tokens, taught[rows, named, draws]))
        step += 1


def with_end(ids: Int[np.ndarray, "n t"]) -> Int[np.ndarray, "n t1"]:
    """Answers with their end."""
    return np.concatenate([ids, np.full((len(ids), 1), model.EOS, np.int32)], axis=1)


def logits_of(
    params: Any, obs: FastObservation, answer: Int[Array, "b t"]
) -> Float[Array, "b t v"]:
    """Logits of each token of an answer, at the positions that they have when it is written."""
    causal = jnp.zeros(obs.tokenized_prompt.shape, jnp.int32)
    inputs = model.embed_inputs(
        params,
        obs.images,
        obs.image_masks,
        obs.tokenized_prompt,
        obs.tokenized_prompt_mask,
        causal,
    )
    return model.answer_logits(params, model.prefill(params, inputs), answer)


@partial(jax.jit, static_argnames=("optimizer", "ema_decay"), donate_argnums=0)
def train_step(
    state: TrainState,
    obs: FastObservation,
    answer: Int[Array, "b t"],
    *,
    optimizer: optax.GradientTransformation,
    ema_decay: float,
) -> tuple[TrainState, Array]:
    """One step down the mean cross-entropy of the answers' tokens; the state and that mean."""

    def loss(trainable: Any) -> Array:
        logits = logits_of(unflatten(trainable), obs, answer)
        return optax.softmax_cross_entropy_with_integer_labels(logits, answer).mean()

    found, gradient = jax.value_and_grad(loss)(state.trainable)
    change, opt_state = optimizer.update((gradient, {}), state.opt_state, (state.trainable, {}))
    updated: Any = optax.apply_updates((state.trainable, {}), change)
    trainable, _ = updated
    ema = jax.tree.map(lambda a, b: ema_decay * a + (1 - ema_decay) * b, state.ema, trainable)
    return TrainState(state.step + 1, trainable, {}, {}, ema, opt_state), found


def _shifted(frame: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    down, right = rng.integers(0, 2 * most + 1, size=2)
    height, width = frame.shape[:2]
    wide = np.pad(frame, ((most, most), (most, most), (0, 0)), mode="edge")
    return wide[down : down + height, right : right + width]
