"""Two ideas of the paper's future work on a trained policy.

- `Hutchinson`: one or two backward passes. With random signs v on the actions of the clean frame,
  E (v^T J)_i^2 is how far cell i alone moves them to second order, J the derivative of the actions
  with respect to fading the cell into the frame's blur (Hutchinson 1990).
- `latent`: the same masks and players as `ISS, centred` and `joined looks`, how far a run moved
  being measured in the action expert: the mean square by which its last tokens change, before they
  are projected to a velocity, in the last denoising step.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from experiments.accuracy.first_order import masked_actions
from experiments.causes.attributions import Attribution
from experiments.distilled.measured import HORIZON, facts_of, rows_of
from experiments.distilled.scenes import CuedScene
from experiments.distilled.teacher import observe
from iss_jax import EffectsConfig, ISSConfig, Sampling, attribute, attribute_players, players
from iss_jax.masks import upsample
from iss_jax.pi05 import gemma, model
from iss_jax.pi05.observation import VIEWS, Observation
from iss_jax.policies.restored import Policy

GRID = (7, 7)
PROBES = (1, 2)
PLAYERS_RUNS = 30


def measured_by_future(
    scene: CuedScene, policy: Policy, *, key: Array, num_steps: int, longest: int, masks: int
) -> list[dict[str, Any]]:
    """A row an idea and budget.

    Args:
        scene: What is explained.
        policy: Whose actions.
        key: Of everything drawn.
        num_steps: Euler steps.
        longest: Prompts are padded or cut to this.
        masks: Of the latent map.
    """
    sampling = Sampling(num_steps=num_steps)
    obs = observe(policy, [scene.images], [scene.frame.state], [scene.named], longest)
    facts = facts_of(scene, policy, key, sampling, longest)
    return rows_of(
        scene,
        facts,
        [
            *by_hutchinson(policy, obs, key, sampling),
            *by_latent(scene, policy, obs, key, sampling, masks),
        ],
    )


def by_hutchinson(
    policy: Policy, obs: Observation, key: Array, sampling: Sampling
) -> Iterator[tuple[str, int, Attribution]]:
    """Name, backward passes and map."""
    noise_key, sign_key = jax.random.split(key)
    noise = jax.random.normal(noise_key, (1, HORIZON, len(policy.norm_stats["actions"].mean)))
    pulled = np.asarray(_pulled(policy.params, obs, noise, sign_key, sampling=sampling))
    side = policy.image_size
    for count in PROBES:
        cells = jnp.asarray(np.square(pulled[:count]).mean(0))
        yield "Hutchinson", count, Attribution(np.asarray(upsample(cells, (side, side))))


@partial(jax.jit, static_argnames="sampling")
def _pulled(
    params: Any, obs: Observation, noise: Array, key: Array, *, sampling: Sampling
) -> Float[Array, "probes views gh gw"]:
    clean = jnp.ones((1, len(VIEWS), *GRID))
    actions, pull = jax.vjp(
        lambda cells: masked_actions(params, obs, noise, cells, sampling), clean
    )
    signs = jax.random.rademacher(key, (max(PROBES), *actions.shape), actions.dtype)
    return jnp.stack([pull(one)[0][0] for one in signs])


def by_latent(
    scene: CuedScene,
    policy: Policy,
    obs: Observation,
    key: Array,
    sampling: Sampling,
    masks: int,
) -> Iterator[tuple[str, int, Attribution]]:
    """Name, runs and what masks and players say of the action expert's tokens."""
    views = list(scene.images)
    images = {view: obs.images[view] for view in views}
    assert obs.tokenized_prompt is not None and obs.tokenized_prompt_mask is not None
    run = jax.tree_util.Partial(
        partial(latent_tokens, sampling=sampling),
        policy.params,
        obs.tokenized_prompt[0],
        obs.tokenized_prompt_mask[0],
    )
    noise = jax.random.normal(
        jax.random.fold_in(key, 11), (1, HORIZON, len(policy.norm_stats["actions"].mean))
    )
    config = ISSConfig(num_masks=masks)
    found = attribute(run, images, key=key, config=config, noise=noise)
    pixels = np.stack([np.asarray(found.maps[view])[0] for view in views])
    yield "ISS, centred, latent", masks, Attribution(pixels)
    joined = players.by_appearance(images, most=12)
    draws = max(1, PLAYERS_RUNS // EffectsConfig(draws=1, fill="background").runs(len(joined)))
    by_draw = jax.random.normal(jax.random.fold_in(key, 12), (draws, *noise.shape[1:]))
    moved = attribute_players(
        run,
        images,
        joined,
        scene.bank.images,
        key=key,
        config=EffectsConfig(draws=draws, fill="background"),
        noise=by_draw,
    )
    labels = np.stack([np.asarray(joined.labels[view])[0] for view in views])
    values = np.asarray(moved.effects)[0]
    spread = np.where(labels >= 0, values[labels], 0.0)
    yield "joined looks, donors, latent", PLAYERS_RUNS, Attribution(spread, values, None, labels)


def latent_tokens(
    params: Any,
    prompt: Array,
    prompt_mask: Array,
    images: dict[str, Float[Array, "n h w 3"]],
    noise: Float[Array, "horizon dims"],
    *,
    sampling: Sampling,
) -> Float[Array, "n horizon width"]:
    """The action expert's last tokens in the last denoising step, in the place of actions.

    Args:
        params: The policy's tree.
        prompt: Token ids, of all rows.
        prompt_mask: Which of them count.
        images: Of every view, as the policy sees them.
        noise: Flow noise, of all rows.
        sampling: How many steps.
    """
    rows = next(iter(images.values())).shape[0]
    obs = Observation(
        images=images,
        image_masks={view: jnp.ones(rows, bool) for view in images},
        state=jnp.zeros((rows, 1)),
        tokenized_prompt=jnp.broadcast_to(prompt[None], (rows, *prompt.shape)),
        tokenized_prompt_mask=jnp.broadcast_to(prompt_mask[None], (rows, *prompt_mask.shape)),
    )
    prefix = model.embed_prefix(params, obs, sampling)
    cache = model.prefill(params, prefix, sampling)
    x, steps = jnp.broadcast_to(noise[None], (rows, *noise.shape)), sampling.num_steps
    for step in range(steps - 1):
        time = jnp.full(1, 1.0 - step / steps)
        x = x - model.velocity(params, cache, prefix.mask, x, time) / steps
    tokens, condition = model.embed_actions(params, x, jnp.full(1, 1.0 / steps))
    tokens = tokens.astype(cache.k.dtype)
    return gemma.suffix(params["PaliGemma"]["llm"], cache, prefix.mask, tokens, condition)
