"""What every method says of one scene and one trained policy, beside what its cue really does."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from experiments.causes.attributions import Attribution, of_masks
from experiments.causes.copies import PAPER_BLUR, Copies, MaskFamily, rise_masks
from experiments.causes.measures import measure
from experiments.distilled.scenes import CuedScene, labelled, other_values
from experiments.distilled.teacher import observe
from experiments.planted.cue import INSTRUCTIONS
from iss_jax import EffectsConfig, ISSConfig, Players, Sampling, player_effects, players
from iss_jax.fills import Fill
from iss_jax.methods import Settings, explain
from iss_jax.pi05 import model
from iss_jax.pi05.observation import Observation
from iss_jax.policies.restored import Policy

HORIZON = 16

FAMILIES: tuple[tuple[str, str, str | Fill, int], ...] = (
    ("joined looks, donors", "joined", "background", 30),
    ("joined looks, donors", "joined", "background", 100),
    ("joined looks, wide blur", "joined", "blur", 30),
    ("joined looks, paper's blur", "joined", PAPER_BLUR, 30),
    ("looks of a view, donors", "each", "background", 100),
    ("regions and cue, donors", "labelled", "background", 16),
    ("regions and cue, donors", "labelled", "background", 30),
    ("regions and cue, wide blur", "labelled", "blur", 16),
)
"""Name, players, fill and runs."""


def measured(
    scene: CuedScene, policy: Policy, *, key: Array, num_steps: int, longest: int, masks: int
) -> list[dict[str, Any]]:
    """A row a method.

    Args:
        scene: What is explained.
        policy: Whose actions.
        key: Of everything drawn.
        num_steps: Euler steps.
        longest: Prompts are padded or cut to this.
        masks: Of ISS and RISE.
    """
    sampling = Sampling(num_steps=num_steps)
    obs = observe(policy, [scene.images], [scene.frame.state], [scene.named], longest)
    facts = facts_of(scene, policy, key, sampling, longest)
    found = [
        *by_players(scene, policy, obs, key, sampling),
        *by_maps(policy, obs, key, sampling, masks),
        ("RISE", masks, rise(policy, obs, key, sampling, masks)),
    ]
    return rows_of(scene, facts, found)


def facts_of(
    scene: CuedScene, policy: Policy, key: Array, sampling: Sampling, longest: int
) -> dict[str, Any]:
    """What the rows of all methods say alike: which frame it is, and what its cue really does."""
    true, instruction = true_effects(scene, policy, key, sampling, longest)
    task, episode, number = scene.frame.name
    return {
        "task": task,
        "episode": episode,
        "frame": number,
        "kind": scene.kind,
        "area": float(scene.place.mean()),
        "true": true,
        "instruction": instruction,
    }


def rows_of(
    scene: CuedScene, facts: dict[str, Any], found: Iterable[tuple[str, int, Attribution]]
) -> list[dict[str, Any]]:
    """A row a method: its name, its runs, and how well it finds the cue."""
    return [
        {"method": name, "budget": runs, **facts, **measure(own, scene.place, everywhere=False)}
        for name, runs, own in found
    ]


def true_effects(
    scene: CuedScene, policy: Policy, key: Array, sampling: Sampling, longest: int
) -> tuple[float, float]:
    """What other values of the cue, and other instructions, do to the actions: mean squares."""
    _, others = other_values(scene)
    count = len(INSTRUCTIONS)
    elsewhere = [i for i in range(count) if i != scene.named]
    images = [scene.images, *others, *([scene.images] * len(elsewhere))]
    named = [scene.named] * (1 + len(others)) + elsewhere
    obs = observe(policy, images, [scene.frame.state] * len(images), named, longest)
    noise = jax.random.normal(key, (HORIZON, len(policy.norm_stats["actions"].mean)))
    actions = np.asarray(_act(policy.params, obs, noise, sampling=sampling))
    moved = np.square(actions - actions[:1]).mean((1, 2))
    return float(moved[1 : 1 + len(others)].mean()), float(moved[1 + len(others) :].mean())


@partial(jax.jit, static_argnames=("sampling",))
def _act(params: Any, obs: Observation, noise: Array, *, sampling: Sampling) -> Array:
    assert obs.tokenized_prompt is not None
    rows = obs.tokenized_prompt.shape[0]
    return model.sample_actions(
        params, obs, jnp.broadcast_to(noise[None], (rows, *noise.shape)), sampling
    )


def by_players(
    scene: CuedScene, policy: Policy, obs: Observation, key: Array, sampling: Sampling
) -> Iterator[tuple[str, int, Attribution]]:
    """Name, runs and effects of each family of players."""
    images = {view: obs.images[view] for view in scene.images}
    known: dict[str, Players] = {
        "joined": players.by_appearance(images, most=12),
        "each": players.by_appearance(images, most=8, join=False),
        "labelled": labelled(scene),
    }
    for name, kind, fill, runs in FAMILIES:
        one = EffectsConfig(draws=1, fill=fill)
        draws = max(1, runs // one.runs(len(known[kind])))
        found = player_effects(
            policy.params,
            obs,
            known[kind],
            scene.bank,
            key=key,
            config=EffectsConfig(draws=draws, fill=fill),
            action_horizon=HORIZON,
            sampling=sampling,
        )
        labels = np.stack([np.asarray(known[kind].labels[view])[0] for view in images])
        values = np.asarray(found.effects)[0]
        yield (
            name,
            runs,
            Attribution(np.where(labels >= 0, values[labels], 0.0), values, None, labels),
        )


def by_maps(
    policy: Policy, obs: Observation, key: Array, sampling: Sampling, masks: int
) -> Iterator[tuple[str, int, Attribution]]:
    """Name, runs and map of each method that gives one."""
    paper = Settings(ISSConfig.paper(num_masks=masks), HORIZON, sampling, gradient_masks=20)
    centred = paper._replace(iss=ISSConfig(num_masks=masks))
    auto = paper._replace(iss=ISSConfig(num_masks=masks, estimator="auto"))
    for name, method, settings in (
        ("ISS, paper", "iss", paper),
        ("ISS, centred", "iss", centred),
        ("ISS, auto", "iss", auto),
        ("ISS, centred, wide blur", "iss_wide", centred),
        ("ATT", "attention", paper),
        ("NORM", "norm", paper),
        ("input gradient", "gradient", paper),
        ("integrated gradients", "integrated", paper),
    ):
        found = _map(policy.params, obs, key, method=method, settings=settings)
        pixels = np.stack([np.asarray(own)[0] for own in found.values()])
        yield name, masks if "iss" in method else 1, Attribution(pixels)
    shape = (len(obs.images), 7, 7)
    cells = np.asarray(jax.random.uniform(jax.random.fold_in(key, 7), shape))
    side = next(iter(obs.images.values())).shape[1]
    repeated = np.asarray(jax.image.resize(jnp.asarray(cells), (shape[0], side, side), "linear"))
    yield "random", masks, Attribution(repeated)


@partial(jax.jit, static_argnames=("method", "settings"))
def _map(
    params: Any, obs: Observation, key: Array, *, method: str, settings: Settings
) -> dict[str, Array]:
    return explain(method, params, obs, key=key, settings=settings)


def rise(
    policy: Policy, obs: Observation, key: Array, sampling: Sampling, masks: int
) -> Attribution:
    """RISE's own masks and weights (Petsiuk et al. 2018), a score being one less the effect."""
    views = list(obs.images)
    side = obs.images[views[0]].shape[1]
    mask_key, noise_key = jax.random.split(key)
    keep = rise_masks(mask_key, masks, len(views), (side, side))
    noise = jax.random.normal(noise_key, (HORIZON, len(policy.norm_stats["actions"].mean)))
    effects = np.asarray(_under(policy.params, obs, jnp.asarray(keep), noise, sampling=sampling))
    copies = Copies(keep[:0], np.zeros(masks, np.int32), masks=keep)
    return of_masks(MaskFamily("RISE", None, masks), copies, effects, (side, side))


@partial(jax.jit, static_argnames=("sampling",))
def _under(
    params: Any,
    obs: Observation,
    keep: Float[Array, "n v h w"],
    noise: Array,
    *,
    sampling: Sampling,
) -> Float[Array, " n"]:
    views = list(obs.images)

    def act(mask: Array) -> Array:
        images = {view: obs.images[view] * mask[i][None, ..., None] for i, view in enumerate(views)}
        copy = Observation(
            images, obs.image_masks, obs.state, obs.tokenized_prompt, obs.tokenized_prompt_mask
        )
        return model.sample_actions(params, copy, noise[None], sampling)[0]

    base = act(jnp.ones(keep.shape[1:]))
    return jax.lax.map(lambda mask: jnp.square(act(mask) - base).mean(), keep, batch_size=20)
