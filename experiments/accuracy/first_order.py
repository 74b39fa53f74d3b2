r"""First-order scores of one frame: derivatives at soft masks, and the Jacobian of the actions.

Scores of cells that need no random masks (the paper's future work), as contrasts of a cell in the
unit of the effects. All fade a frame into its blur as masked runs do.

- `grey`: the derivative of the effect at m = p everywhere, one gradient run.
- `integrated`: integrated gradients (Sundararajan et al. 2017) from the blurred frame to the frame:
  minus the derivative at m = u everywhere, averaged over u by the midpoint rule.
- At the clean frame the effect has no gradient, as it is the square of a move a = J d that starts
  at zero (d the dropped bits). `jacobian_norm` is the effect of dropping the cell alone to second
  order, Q_ii with Q = J^T J over the number of actions. `hutchinson` estimates it from random signs
  v, E (v^T J)_i^2, one gradient run each. What the cell adds to E d^T Q d under random masks is
  Q_ii + 2 (1 - p) sum_{j != i} Q_ij, of which `gauss_newton` is 2 (1 - p) (Q 1)_i: one derivative
  forwards (along "drop all") and one backwards.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from iss_jax.divergence import effects
from iss_jax.interventions import blend, blur
from iss_jax.masks import upsample
from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS, preprocess
from iss_jax.pi05.params import sizes_of
from iss_jax.pi05.prepare import policy_observation
from iss_jax.pi05_saliency import Shared, actions_of_rows
from iss_jax.sampling import Sampling

MICRO_BATCH = 8
PROBES_SEED = 0


def masked_actions(
    params: Any,
    obs: Any,
    noise: Array,
    cells: Float[Array, "n views gh gw"],
    sampling: Sampling = Sampling(),
) -> Float[Array, "n horizon dims"]:
    """Actions at soft masks of one observation [1, ...], all of its views there."""
    sizes = sizes_of(params)
    obs = preprocess(policy_observation(obs, sizes.vocab, trim=False), sizes.image.image_size)
    rows = {}
    for index, view in enumerate(VIEWS):
        frame = obs.images[view][0].astype(jnp.float32)
        rows[view] = blend(frame, blur(frame), upsample(cells[:, index], frame.shape[:2]))
    prompt = model.embed_prompt(params, obs.tokenized_prompt)[0]
    present = {view: jnp.asarray(obs.image_masks[view])[0] for view in VIEWS}
    example = Shared(prompt, obs.tokenized_prompt_mask[0], present, noise)
    return actions_of_rows(params, example, rows, sampling=sampling)[:, 0]


@functools.partial(jax.jit, static_argnames="sampling")
def soft_runs(
    params: Any,
    obs: Any,
    noise: Array,
    cells: Float[Array, "n views gh gw"],
    sampling: Sampling = Sampling(),
) -> tuple[Float[Array, " n"], Float[Array, "n views gh gw"]]:
    """Effects at soft masks and their derivatives with respect to the cells."""
    baseline = masked_actions(params, obs, noise, jnp.ones_like(cells[:1]), sampling)[0]

    def effect(mask: Array) -> Array:
        return effects(masked_actions(params, obs, noise, mask[None], sampling), baseline)[0]

    return jax.lax.map(jax.value_and_grad(effect), cells, batch_size=MICRO_BATCH)


@functools.partial(jax.jit, static_argnames=("shape", "sampling"))
def jacobian(
    params: Any,
    obs: Any,
    noise: Array,
    shape: tuple[int, int, int],
    sampling: Sampling = Sampling(),
) -> Float[Array, "actions cells"]:
    """Derivative of all actions of the clean frame with respect to dropping each cell."""
    clean = jnp.ones((1, *shape))

    def column(direction: Array) -> Array:
        run = functools.partial(masked_actions, params, obs, noise, sampling=sampling)
        return jax.jvp(run, (clean,), (-direction.reshape(clean.shape),))[1].ravel()

    return jax.lax.map(column, jnp.eye(clean.size), batch_size=MICRO_BATCH).T


def drop_all_and_back(
    params: Any, obs: Any, noise: Array, shape: tuple[int, int, int]
) -> Float[Array, " cells"]:
    """J^T J 1 by one derivative forwards and one backwards; what `gauss_newton` costs."""
    clean = jnp.ones((1, *shape))
    run = functools.partial(masked_actions, params, obs, noise)
    moved = jax.jvp(run, (clean,), (-jnp.ones_like(clean),))[1]
    return -jax.vjp(run, clean)[1](moved)[0].ravel()


def straight_points(keep_prob: float, rules: tuple[int, ...]) -> list[float]:
    """Where `grey` and each midpoint rule of `integrated` need a gradient, one after the other."""
    return [keep_prob, *((k + 0.5) / n for n in rules for k in range(n))]


def measure(
    policy: Any, frame: Any, keep_prob: float, rules: tuple[int, ...], grid: tuple[int, int]
) -> dict[str, Any]:
    """What the scores of `contrasts` are made of."""
    shape = (len(VIEWS), *grid)
    points = jnp.asarray(straight_points(keep_prob, rules), jnp.float32)
    cells = jnp.broadcast_to(points[:, None, None, None], (len(points), *shape))
    call = (policy.params, frame.obs, frame.noise)
    gradients = soft_runs(*call, cells, frame.sampling)[1]
    return {
        "gradients": np.asarray(gradients),
        "jacobian": np.asarray(jacobian(*call, shape, frame.sampling)),
    }


def contrasts(
    found: Mapping[str, Any], keep_prob: float, rules: tuple[int, ...], probes: tuple[int, ...]
) -> list[tuple[str, int, list[np.ndarray]]]:
    """(score, gradient runs it takes, contrasts [cells] of each repeat); zero runs: see `measure`.

    Args:
        found: Of `measure`.
        keep_prob: p.
        rules: Points of `integrated`, as they were measured.
        probes: Random signs of `hutchinson`, four repeats of each number.
    """
    gradients = np.asarray(found["gradients"], np.float64)
    gradients = gradients.reshape(len(gradients), -1)
    scores = [("grey", 1, [-gradients[0]])]
    start = 1
    for rule in rules:
        scores.append(("integrated", rule, [-gradients[start : start + rule].mean(0)]))
        start += rule
    columns = np.asarray(found["jacobian"], np.float64)
    count = len(columns)
    scores.append(("jacobian_norm", 0, [np.square(columns).sum(0) / count]))
    scores.append(
        ("gauss_newton", 0, [2.0 * (1.0 - keep_prob) * (columns.T @ columns.sum(1)) / count])
    )
    rng = np.random.default_rng(PROBES_SEED)
    for number in probes:
        signs = rng.choice([-1.0, 1.0], (4, number, count))
        estimates = np.square(signs @ columns).mean(1) / count
        scores.append(("hutchinson", number, list(estimates)))
    return scores
