"""What is measured of a policy from unshifted frames, before any shifted trial, and what it costs.

effects      the regions' effects: nuisance share by effect
things       effects of what axes of shift touch
maps         the paper's NMR@k, and that of attention, token norms, gradients, chance
loss         the flow-matching loss on held-out lessons
entropy      of the action chunks that different flow noises give
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.runs.planned import GRADIENT_RUN
from experiments.zoo.design import Recipe
from experiments.zoo.examined import THINGS, Examined, examined
from experiments.zoo.frames import Frames
from experiments.zoo.lessons import Answers, lessons, observation
from iss_jax import EffectsConfig, ISSConfig, Sampling, nuisance_mass_ratio, player_effects
from iss_jax.jobs.directory import RunDirectory
from iss_jax.methods import Settings, explain
from iss_jax.pi05 import model
from iss_jax.pi05.lora import merge_lora
from iss_jax.pi05.params import sizes_of
from iss_jax.pi05.train import Batch, flow_matching_loss
from iss_jax.players import from_regions
from iss_jax.policies.restored import Policy

MAPS = {"nmr": "iss", "attention": "attention", "norm": "norm", "gradient": "gradient"}
"""Measure -> the method of `iss_jax.methods` whose NMR@k it is."""

PARTS = ("effects", "things", "maps", "loss", "entropy")


class Subject(NamedTuple):
    """A policy and what it is examined on."""

    policy: Policy
    params: Any
    seen: Examined
    options: Any

    @property
    def sampling(self) -> Sampling:
        """How the policy is run."""
        return Sampling(num_steps=self.options.num_steps)

    @property
    def dims(self) -> int:
        """Of the robot's actions."""
        return len(self.policy.norm_stats["actions"].mean)

    @property
    def call(self) -> dict[str, Any]:
        """What every method is told of how the policy is run."""
        return {"action_horizon": self.options.action_horizon, "sampling": self.sampling}


def measured(
    run: RunDirectory,
    recipe: Recipe,
    policy: Policy,
    heldout: Frames,
    taught: Answers,
    options: Any,
    *,
    quiet: bool = True,
) -> list[dict[str, Any]]:
    """All parts of one policy, each computed unless it is there.

    Args:
        run: Where results are.
        recipe: Of the policy.
        policy: The policy.
        heldout: Frames without cues.
        taught: The teacher's actions on them.
        options: Key `measure` of the configuration.
        quiet: Whether nothing is printed.

    Returns:
        A dict a part: `values` (measure -> a value a frame), `seconds` of this process and
        `inferences`, of all frames together.
    """
    found, subject = [], None
    for part in PARTS:
        item = {
            "policy": policy.fingerprint,
            "recipe": recipe._asdict(),
            "part": part,
            **{name: options[name] for name in sorted(options)},
        }
        result = run.load(item)
        if result is None:
            subject = subject or _subject(recipe, policy, heldout, options)
            if part == "loss":
                result = _loss(subject, recipe, heldout, taught)
            else:
                result = _by_chunks(subject, _PARTS[part])
            run.save(item, result)
        if not quiet:
            print(f"{recipe.name}: {part}, {result['seconds']:.1f} s")
        found.append({"part": part, **result})
    return found


def _subject(recipe: Recipe, policy: Policy, heldout: Frames, options: Any) -> Subject:
    seen = examined(recipe.cue, heldout, policy, most=options.frames, longest=options.max_token_len)
    return Subject(policy, merge_lora(policy.params), seen, options)


def _by_chunks(
    subject: Subject, part: Callable[[Subject, slice, jax.Array], tuple[dict, float]]
) -> dict[str, Any]:
    """A part of all frames, a few at a time; the first ones also compile."""
    count = len(subject.seen.episode)
    values: dict[str, list[float]] = {}
    seconds, inferences = [], 0.0
    for first in range(0, count, subject.options.at_once):
        start = time.process_time()
        rows = slice(first, min(first + subject.options.at_once, count))
        own, runs = part(subject, rows, jax.random.fold_in(jax.random.key(1), first))
        seconds.append(time.process_time() - start)
        inferences += runs * (rows.stop - rows.start)
        for name, column in own.items():
            values.setdefault(name, []).extend(np.asarray(column, float).tolist())
    return {"values": values, "seconds": steady(seconds), "inferences": inferences}


def steady(seconds: Sequence[float]) -> float:
    """What chunks of work cost together, were the first one's compilation done.

    >>> steady([9.0, 1.0, 1.2])
    3.3

    Args:
        seconds: Of each chunk, of which the first one also compiled; alone it counts as it is.
    """
    others = list(seconds[1:])
    first = min(seconds[0], float(np.median(others))) if others else seconds[0]
    return round(first + sum(others), 3)


def _rows(tree: Any, rows: slice) -> Any:
    return jax.tree.map(lambda leaf: leaf[rows], tree)


def _effects(subject: Subject, rows: slice, key: jax.Array) -> tuple[dict, float]:
    options, seen = subject.options, subject.seen
    regions = {view: jnp.asarray(own[rows]) for view, own in seen.regions.items()}
    config = EffectsConfig(draws=options.draws, like_for_like=True, action_dims=subject.dims)
    found = player_effects(
        subject.params,
        _rows(seen.obs, rows),
        from_regions(regions),
        seen.bank,
        key=key,
        config=config,
        groups=_rows(seen.groups, rows),
        regions=regions,
        **subject.call,
    )
    own = np.asarray(found.effects)
    names = ("nuisance", "support", "action")
    effects = {f"{name}_effect": own[:, i] for i, name in enumerate(names)}
    return {"nuisance_share": _share(own[:, 0], own), **effects}, config.runs(3)


def _things(subject: Subject, rows: slice, key: jax.Array) -> tuple[dict, float]:
    options, seen = subject.options, subject.seen
    players = dataclasses.replace(
        seen.players, labels={view: own[rows] for view, own in seen.players.labels.items()}
    )
    config = EffectsConfig(draws=options.draws, tint=True, action_dims=subject.dims)
    found = player_effects(
        subject.params,
        _rows(seen.obs, rows),
        players,
        seen.bank,
        key=key,
        config=config,
        groups=_rows(seen.groups, rows),
        **subject.call,
    )
    own, tint = np.asarray(found.effects), np.asarray(found.beside["tint"]).mean(-1)
    values = {f"{name}_share": _share(own[:, i], own) for i, name in enumerate(THINGS)}
    # The tint lies over all things, so that it is a ratio beside their shares and in none of them.
    values |= {"tint_ratio": _share(tint, own), "all_effect": own.sum(1)}
    return values, config.runs(len(THINGS), 1)


def _share(part: np.ndarray, effects: np.ndarray) -> np.ndarray:
    return part / np.maximum(effects.sum(1), np.finfo(float).tiny)


def _maps(subject: Subject, rows: slice, key: jax.Array) -> tuple[dict, float]:
    options = subject.options
    obs = _rows(subject.seen.obs, rows)
    regions = {view: jnp.asarray(own[rows]) for view, own in subject.seen.regions.items()}
    iss = ISSConfig(
        num_masks=options.masks,
        design="bernoulli",
        estimator="fixed",
        action_dims=subject.dims,
    )
    settings = Settings(iss, options.action_horizon, subject.sampling, probes=options.probes)
    values = {}
    for name, method in (*MAPS.items(), ("random", "random")):
        if name == "random":
            # Its scores are of no account, only where they lie.
            dealt = jax.random.split(key, len(regions))
            maps = {
                view: jax.random.uniform(one, own.shape)
                for one, (view, own) in zip(dealt, regions.items(), strict=True)
            }
        else:
            maps = explain(method, subject.params, obs, key=key, settings=settings)
            maps = {view: maps[view] for view in regions}
        values[name] = nuisance_mass_ratio(maps, regions, k=options.percent)
    # Attention and norms come of one pass of the encoder each: less than an inference.
    return values, 1 + options.masks + 2 + GRADIENT_RUN * options.probes


def _entropy(subject: Subject, rows: slice, key: jax.Array) -> tuple[dict, float]:
    options = subject.options
    dims = sizes_of(subject.params).action_dim
    noise = jax.random.normal(key, (options.noises, options.action_horizon, dims))
    obs = _rows(subject.seen.obs, rows)
    chunks = _act(subject.params, obs, noise, num_steps=options.num_steps)
    spread = np.asarray(chunks)[..., : subject.dims].std(0, ddof=1)
    entropy = 0.5 * np.log(2 * np.pi * np.e * np.square(spread) + 1e-12)
    return {"entropy": entropy.mean((1, 2))}, options.noises


@partial(jax.jit, static_argnames="num_steps")
def _act(params: Any, obs: Any, noise: jax.Array, *, num_steps: int) -> jax.Array:
    count = obs.tokenized_prompt.shape[0]
    sampling = Sampling(num_steps=num_steps)
    return jax.lax.map(
        lambda one: model.sample_actions(
            params, obs, jnp.broadcast_to(one[None], (count, *one.shape)), sampling
        ),
        noise,
    )


def _loss(subject: Subject, recipe: Recipe, heldout: Frames, taught: Answers) -> dict[str, Any]:
    """The loss that labs look at: on held-out lessons of the recipe's own kind, as they are."""
    options = subject.options
    values, seconds = [], []
    for part, batch in enumerate(_validation(subject, recipe, heldout, taught)):
        start = time.process_time()
        value = _batch_loss(subject.params, batch, jax.random.key(part))
        values.append(float(value))
        seconds.append(time.process_time() - start)
    return {
        "values": {"validation_loss": values},
        "seconds": steady(seconds),
        "inferences": float(options.lessons),
    }


def _validation(
    subject: Subject, recipe: Recipe, heldout: Frames, taught: Answers
) -> Iterator[Batch]:
    options = subject.options
    for part in range(-(-options.lessons // options.at_once)):
        rng = np.random.default_rng([99, part])
        drawn = lessons(recipe, heldout, taught, rng, options.at_once, options.misnamed, plain=True)
        obs = observation(
            subject.policy, drawn.images, drawn.state, drawn.named, options.max_token_len
        )
        chunk = jnp.asarray(drawn.actions)
        yield Batch(obs, chunk, jnp.ones(chunk.shape[:2], bool))


@jax.jit
def _batch_loss(params: Any, batch: Batch, key: jax.Array) -> jax.Array:
    return flow_matching_loss(params, {}, batch, key, num_samples=4)[0]


_PARTS: dict[str, Callable[[Subject, slice, jax.Array], tuple[dict, float]]] = {
    "effects": _effects,
    "things": _things,
    "maps": _maps,
    "entropy": _entropy,
}


def measure_rows(row: int, parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a measure: its mean over frames and the standard error of that mean.

    Args:
        row: Number of the recipe.
        parts: Of `measured`.
    """
    found = []
    for part in parts:
        for name, values in part["values"].items():
            own = np.asarray([v for v in values if v is not None and np.isfinite(v)], float)
            spread = own.std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else float("nan")
            mean = float(own.mean()) if len(own) else float("nan")
            found.append(
                {
                    "row": row,
                    "measure": name,
                    "value": float(f"{mean:.6g}"),
                    "stderr": float(f"{spread:.3g}"),
                    "frames": len(own),
                }
            )
    return found


def cost_rows(row: int, parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a part: seconds of one process and inferences."""
    return [
        {
            "row": row,
            "step": part["part"],
            "seconds": round(part["seconds"], 1),
            "inferences": round(part["inferences"]),
        }
        for part in parts
    ]
