"""Constructed policies: A(x) = A0(x) + alpha w(x) (A1(x) - A0(x)), whose causes are known exactly.

A0 is the embedded policy under the frame's own instruction, A1 the same under another one of its
suite, and w reads a cue. How far a copy x' moves the actions is a polynomial of alpha,

    |A(x') - A(x)|^2 = q0 + q1 alpha + q2 alpha^2,

so that A0, A1 and w of every copy are computed once for all alpha and all cues of a frame.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from experiments.causes.readers import Reader, read
from experiments.causes.scenes import CauseScene
from iss_jax.pi05 import model
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.observation import preprocess
from iss_jax.pi05_effects import actions_of_runs
from iss_jax.pi05_saliency import Shared
from iss_jax.policies.restored import Policy
from iss_jax.sampling import Sampling


class Quadratic(NamedTuple):
    """Effects of n copies on the policy of each of k cues, as polynomials of alpha.

    >>> import numpy as np
    >>> effects = Quadratic(np.ones(1), np.zeros((1, 2)), np.array([[0.0, 4.0]]))
    >>> effects.at(0.5).tolist()
    [[1.0, 2.0]]

    Attributes:
        q0: What the copy does to A0.
        q1: Of alpha.
        q2: Of its square.
    """

    q0: Float[np.ndarray, " n"]
    q1: Float[np.ndarray, "n k"]
    q2: Float[np.ndarray, "n k"]

    def at(self, alpha: float) -> Float[np.ndarray, "n k"]:
        """The effects at one alpha; rounding below zero is cut off."""
        found = self.q0[:, None] + alpha * self.q1 + alpha**2 * self.q2
        return np.maximum(found, 0.0)


class Asked(NamedTuple):
    """Both instructions and the flow noise.

    Attributes:
        tokens: Embedded prompts.
        masks: Their valid tokens.
        noise: Of each draw.
    """

    tokens: Float[Array, "2 l w"]
    masks: Any
    noise: Float[Array, "draws horizon dims"]


def asked(
    scene: CauseScene, policy: Policy, key: Array, draws: int, sampling: Sampling, longest: int
) -> Asked:
    """What the policy is asked in one scene.

    Args:
        scene: The scene.
        policy: The embedded one.
        key: Of the flow noise.
        draws: How much of it.
        sampling: How the policy is run.
        longest: Prompts are padded or cut to this.
    """
    # Only the prompts are wanted.
    blank = np.zeros((1, *scene.frame.shape[1:]), np.uint8)
    images = dict.fromkeys(scene.views, blank)
    tokens, masks = [], []
    for prompt in scene.prompts:
        obs = make_observation(
            images,
            scene.state,
            [prompt],
            tokenizer=policy.tokenizer,
            norm_stats=policy.norm_stats,
            max_token_len=longest,
            cameras={view: view for view in scene.views},
            discrete_state_input=True,
        )
        obs = preprocess(obs, policy.image_size)
        assert obs.tokenized_prompt is not None
        tokens.append(model.embed_prompt(policy.params, obs.tokenized_prompt, sampling)[0])
        assert obs.tokenized_prompt_mask is not None
        masks.append(obs.tokenized_prompt_mask[0])
    shape = (draws, 16, len(policy.norm_stats["actions"].mean))
    noise = jax.random.normal(key, shape, jnp.float32)
    return Asked(jnp.stack(tokens), jnp.stack(masks), noise)


def both_actions(
    policy: Policy,
    question: Asked,
    copies: Float[np.ndarray, "n v h w 3"],
    draws: Int[np.ndarray, " n"],
    views: tuple[str, ...],
    sampling: Sampling,
    *,
    rows: int,
) -> Float[np.ndarray, "n 2 horizon dims"]:
    """A0 and A1 of every copy, each under its draw's flow noise.

    Args:
        policy: The embedded one.
        question: Instructions and noise.
        copies: The frames.
        draws: Of each.
        views: Their order.
        sampling: How the policy is run.
        rows: How many at once; each shape is compiled once.
    """
    found = []
    for start in range(0, len(copies), rows):
        some, which = copies[start : start + rows], draws[start : start + rows]
        fill = rows - len(some)
        padded = np.concatenate([some, np.repeat(some[:1], fill, 0)])
        numbers = np.concatenate([which, np.zeros(fill, which.dtype)])
        actions = _both(
            policy.params, tuple(question), padded, numbers, views=views, sampling=sampling
        )
        found.append(np.asarray(actions)[: len(some)])
    return np.concatenate(found)


@partial(jax.jit, static_argnames=("views", "sampling"))
def _both(
    params: Any, question: Any, copies: Array, draws: Array, *, views: Any, sampling: Sampling
) -> Array:
    tokens, masks, noise = question
    present = {view: jnp.ones((), bool) for view in views}
    rows = {view: copies[:, i] for i, view in enumerate(views)}
    run = partial(actions_of_runs, views=views, sampling=sampling)
    example = Shared(tokens, masks, present, noise)
    which = jnp.zeros(draws.shape, jnp.int32)
    return jnp.stack([run(params, example, rows, draws, which + i) for i in range(2)], axis=1)


def readings(
    readers: tuple[Reader, ...], copies: Float[np.ndarray, "n v h w 3"], *, rows: int
) -> Float[np.ndarray, "n k"]:
    """What each reader reads off every copy, so many rows at once."""
    fill = -len(copies) % rows
    padded = np.concatenate([copies, np.repeat(copies[:1], fill, 0)])
    chunks = np.split(padded, len(padded) // rows)
    read_all = [[np.asarray(read(reader, one)) for one in chunks] for reader in readers]
    return np.stack([np.concatenate(own)[: len(copies)] for own in read_all], axis=1)


def quadratic(
    actions: Float[np.ndarray, "n 2 horizon dims"],
    seen: Float[np.ndarray, "n k"],
    baseline: Float[np.ndarray, "n 2 horizon dims"],
    seen_before: Float[np.ndarray, " k"],
) -> Quadratic:
    """Effects of copies as polynomials of alpha.

    Args:
        actions: A0 and A1 of the copies.
        seen: The readings of the copies.
        baseline: A0 and A1 of the frame itself, under each copy's noise.
        seen_before: The readings of the frame itself.
    """
    moved = actions[:, 0] - baseline[:, 0]
    after = (actions[:, 1] - actions[:, 0])[:, None] * seen[:, :, None, None]
    before = (baseline[:, 1] - baseline[:, 0])[:, None] * seen_before[None, :, None, None]
    steered = after - before
    return Quadratic(
        np.square(moved).mean((-2, -1)),
        2.0 * (moved[:, None] * steered).mean((-2, -1)),
        np.square(steered).mean((-2, -1)),
    )
