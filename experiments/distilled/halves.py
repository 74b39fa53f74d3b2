"""Owen values of the picture's halves on a trained policy, see `experiments.causes.owen`."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from experiments.causes.attributions import Attribution
from experiments.causes.owen import (
    Box,
    halved,
    of_halves,
    owen_values,
    picture,
    pixels_of,
    solved,
)
from experiments.causes.partition import PARTITIONS, PartitionFamily
from experiments.distilled.measured import HORIZON, facts_of, rows_of
from experiments.distilled.scenes import CuedScene
from experiments.distilled.teacher import observe
from iss_jax import Sampling
from iss_jax.background import draw_donors
from iss_jax.pi05 import model
from iss_jax.pi05.observation import Observation
from iss_jax.policies.restored import Policy
from iss_jax.scenes import donor_frames

# At once: a node's two halves. Every shape is compiled once.
ROWS = 2


def measured_by_halves(
    scene: CuedScene,
    policy: Policy,
    *,
    key: Array,
    num_steps: int,
    longest: int,
    budgets: Sequence[int],
) -> list[dict[str, Any]]:
    """A row a partition and budget.

    Args:
        scene: What is explained.
        policy: Whose actions.
        key: Of everything drawn.
        num_steps: Euler steps.
        longest: Prompts are padded or cut to this.
        budgets: Runs, baselines included.
    """
    sampling = Sampling(num_steps=num_steps)
    obs = observe(policy, [scene.images], [scene.frame.state], [scene.named], longest)
    facts = facts_of(scene, policy, key, sampling, longest)
    return rows_of(scene, facts, by_halves(scene, policy, obs, key, sampling, budgets))


def by_halves(
    scene: CuedScene,
    policy: Policy,
    obs: Observation,
    key: Array,
    sampling: Sampling,
    budgets: Sequence[int],
) -> Iterator[tuple[str, int, Attribution]]:
    """Name, runs and map of each partition at each budget.

    Args:
        scene: What is explained.
        policy: Whose actions.
        obs: The scene as the policy sees it, a batch of one.
        key: Of donors and of flow noise, each drawn from a key of its own.
        sampling: How the policy is run.
        budgets: Runs, baselines included.
    """
    views = tuple(obs.images)
    frame = np.stack([np.asarray(obs.images[view])[0] for view in views])
    dims = len(policy.norm_stats["actions"].mean)
    for family in PARTITIONS:
        draws = max(map(family.draws, budgets))
        numbers, noise = donors_and_noise(key, len(scene.bank), (draws, HORIZON, dims))
        donors, _ = donor_frames(scene.bank, numbers, views)
        assert donors is not None
        shown = {v: own[0].astype(jnp.float32) / 127.5 - 1.0 for v, own in donors.items()}
        instead = family.instead(frame, shown, draws)
        game = _Game(policy, obs, frame, instead, noise, sampling)
        for runs in budgets:
            search = owen_values(picture(frame.shape[:3]), halved, family.splits(runs))
            (credit,) = solved([search], partial(game.values, family=family, runs=runs))
            yield family.name, runs, of_halves(credit, frame.shape[:3])


def donors_and_noise(
    key: Array, bank: int, shape: tuple[int, int, int]
) -> tuple[Int[Array, "1 draws"], Float[Array, "draws horizon dims"]]:
    """Donors of each draw and its flow noise, which say nothing of each other.

    Args:
        key: Split in two.
        bank: How many donors there are.
        shape: Of the noise: draws, steps and dimensions of the actions.
    """
    donor_key, noise_key = jax.random.split(key)
    numbers = draw_donors(donor_key[None], jnp.ones((1, bank), bool), shape[0])
    return numbers, jax.random.normal(noise_key, shape)


class _Game:
    """v(S): how far the actions move when the boxes in S are replaced; each set is run once."""

    def __init__(
        self,
        policy: Policy,
        obs: Observation,
        frame: Float[np.ndarray, "v h w 3"],
        instead: Float[np.ndarray, "draws v h w 3"],
        noise: Float[Array, "draws horizon dims"],
        sampling: Sampling,
    ) -> None:
        self._frame, self._instead = frame, instead
        self._run = partial(
            _actions, policy.params, obs, noise, views=tuple(obs.images), sampling=sampling
        )
        numbers = np.arange(len(instead))
        self._base = self._act(np.repeat(frame[None], len(instead), 0), numbers)
        self._known: dict[tuple[int, frozenset[Box]], float] = {}

    def _act(
        self, copies: Float[np.ndarray, "n v h w 3"], draws: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, "n horizon dims"]:
        rows = np.arange(len(copies) + -len(copies) % ROWS) % len(copies)
        parts = np.split(rows, len(rows) // ROWS)
        found = [np.asarray(self._run(copies[part], draws[part])) for part in parts]
        return np.concatenate(found)[: len(copies)]

    def values(
        self, questions: list[tuple[int, frozenset[Box]]], *, family: PartitionFamily, runs: int
    ) -> list[float]:
        sets = [boxes for _, boxes in questions]
        wanted = [(draw, boxes) for boxes in sets for draw in range(family.draws(runs))]
        new = [one for one in wanted if one not in self._known]
        if new:
            numbers = np.array([draw for draw, _ in new])
            gone = np.stack([pixels_of(boxes, self._frame.shape[:3]) for _, boxes in new])
            copies = np.where(gone[..., None], self._instead[numbers], self._frame)
            moved = self._act(copies, numbers) - self._base[numbers]
            self._known |= dict(zip(new, np.square(moved).mean((1, 2)).tolist(), strict=True))
        draws = range(family.draws(runs))
        return [float(np.mean([self._known[d, boxes] for d in draws])) for boxes in sets]


@partial(jax.jit, static_argnames=("views", "sampling"))
def _actions(
    params: Any,
    obs: Observation,
    noise: Float[Array, "draws horizon dims"],
    copies: Float[Array, "n v h w 3"],
    draws: Int[Array, " n"],
    *,
    views: tuple[str, ...],
    sampling: Sampling,
) -> Float[Array, "n horizon dims"]:
    def rows(leaf: Array) -> Array:
        return jnp.broadcast_to(leaf, (len(copies), *leaf.shape[1:]))

    own = jax.tree.map(rows, obs)
    images = {view: copies[:, i] for i, view in enumerate(views)}
    batch = Observation(
        images, own.image_masks, own.state, own.tokenized_prompt, own.tokenized_prompt_mask
    )
    return model.sample_actions(params, batch, noise[draws], sampling)
