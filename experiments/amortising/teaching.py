"""Teaching a head: minibatches of samples, each member without the seeds of its own fold."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from experiments.amortising.targets import Targets
from iss_jax.amortised import Head, contrasts_of_members, init_head
from iss_jax.amortised.head import Features


class Taught(NamedTuple):
    """A head and how it did on what its members were not shown.

    Attributes:
        head: All members.
        left_out: Contrasts of every sample by the members that were not shown it.
        losses: Each epoch's mean loss of samples shown, and of those left out.
    """

    head: Head
    left_out: Float[np.ndarray, "s cells"]
    losses: list[tuple[float, float]]


def folds_of(groups: Sequence[str], members: int) -> Bool[np.ndarray, "members s"]:
    """Whether a member is shown a sample: each is kept from every so manieth group."""
    names = sorted(set(groups))
    number = np.array([names.index(group) for group in groups])
    return np.arange(members)[:, None] != (number % members)[None]


def spread_of(features: Features) -> tuple[Features, Features]:
    """Mean and standard deviation of features, over samples and, of tokens, over places too."""
    tokens, shared = features
    count = tokens.shape[1:3]
    mean, spread = tokens.mean((0, 1, 2)), tokens.std((0, 1, 2))
    whole = [np.broadcast_to(x, (*count, x.size)).copy() for x in (mean, spread)]
    return (
        Features(jnp.asarray(whole[0]), jnp.asarray(shared.mean(0))),
        Features(
            jnp.asarray(np.maximum(whole[1], 1e-3)),
            jnp.asarray(np.maximum(shared.std(0), 1e-2)),
        ),
    )


def teach(
    features: Features,
    found: Targets,
    shown: Bool[np.ndarray, "members s"],
    *,
    seed: int,
    epochs: int,
    batch: int,
    width: int,
    rate: float,
    decay: float,
    plain: float,
    noise: float,
) -> Taught:
    """Teaches a head.

    Args:
        features: Of every sample.
        found: What its runs say.
        shown: Of every member the samples that it learns from.
        seed: Of weights, order and noise.
        epochs: Passes over the samples.
        batch: Samples of a step.
        width: Of the members.
        rate: Highest learning rate (warm-up, then a cosine to zero).
        decay: Weight decay.
        plain: Weight of the loss of effects beside that of gradients; infinity leaves the latter
            out.
        noise: Standard deviation of what is added to standardised features.
    """
    members, samples = shown.shape
    start, shuffle = jax.random.split(jax.random.key(seed))
    mean, spread = spread_of(features)
    head = init_head(start, mean, spread, members=members, width=width)
    # A start at the mean map, and at the mean scale.
    level = float(np.log(np.maximum(found.scale, 1e-9)).mean())
    head.leaves["scale"] = jnp.full_like(head.leaves["scale"], level)
    steps = max(samples // batch, 1)
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, rate, max(1, epochs * steps // 20), max(2, epochs * steps)
    )
    kept = {name: name not in ("map", "scale") for name in head.leaves}
    optimiser = optax.adamw(schedule, weight_decay=decay, mask=kept)
    # optax counts its steps in integers and multiplies them with floats.
    with jax.numpy_dtype_promotion("standard"):
        state = optimiser.init(head.leaves)
    data = (features, found.wanted, found.weight, found.drops, found.rest, shown.T)
    data = jax.tree.map(lambda x: jnp.asarray(x, bool if x.dtype == bool else jnp.float32), data)
    gradient, exact = (0.0, 1.0) if np.isinf(plain) else (1.0, plain)
    weights = (gradient, exact)
    leaves, losses = head.leaves, []
    for epoch in range(epochs):
        key = jax.random.fold_in(shuffle, epoch)
        leaves, state, both = _epoch(
            leaves, state, head, data, key, jnp.float32(noise), optimiser, weights, steps, batch
        )
        losses.append((float(both[0]), float(both[1])))
    head = Head(leaves, mean, spread)
    said = predicted(head, features)
    out = np.where(shown[..., None], 0.0, said).sum(0) / np.maximum((~shown).sum(0), 1)[:, None]
    return Taught(head, out, losses)


def predicted(head: Head, features: Features) -> Float[np.ndarray, "members s cells"]:
    """Contrasts of many samples by each member, some samples at a time."""
    call = jax.jit(contrasts_of_members)
    parts = []
    for start in range(0, len(features.shared), 100):
        some = (x[start : start + 100] for x in features)
        part = Features(*(jnp.asarray(x, jnp.float32) for x in some))
        said = np.asarray(call(head, part))
        parts.append(said.reshape(*said.shape[:2], -1))
    return np.concatenate(parts, axis=1)


@functools.partial(jax.jit, static_argnames=("optimiser", "weights", "steps", "batch"))
def _epoch(
    leaves: Any,
    state: Any,
    head: Head,
    data: Any,
    key: Array,
    noise: Array,
    optimiser: Any,
    weights: tuple[float, float],
    steps: int,
    batch: int,
) -> Any:
    order_key, noise_key = jax.random.split(key)
    order = jax.random.permutation(order_key, data[1].shape[0])[: steps * batch]
    order = order.reshape(steps, batch)

    def step(carry: Any, args: Any) -> Any:
        leaves, state = carry
        rows, own = args

        def loss(leaves: Any) -> Any:
            features, wanted, weight, drops, rest, shown = jax.tree.map(lambda x: x[rows], data)
            first, second = jax.random.split(own)
            features = Features(
                features.tokens
                + noise
                * head.spread.tokens[None]
                * jax.random.normal(first, features.tokens.shape),
                features.shared
                + noise
                * head.spread.shared[None]
                * jax.random.normal(second, features.shared.shape),
            )
            said = contrasts_of_members(Head(leaves, head.mean, head.spread), features)
            said = said.reshape(*said.shape[:2], -1)
            gradient = (weight[None] * jnp.square(said - wanted[None])).mean(-1)
            rest = rest[None] - jnp.einsum("snc,msc->msn", drops, said)
            each = weights[0] * gradient + weights[1] * jnp.square(rest).mean(-1)
            used = shown.T.astype(jnp.float32)
            inside = (each * used).sum() / jnp.maximum(used.sum(), 1.0)
            outside = (each * (1.0 - used)).sum() / jnp.maximum((1.0 - used).sum(), 1.0)
            return inside * used.shape[0], (inside, outside)

        slopes, both = jax.grad(loss, has_aux=True)(leaves)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimiser.update(slopes, state, leaves)
            return (optax.apply_updates(leaves, updates), state), both

    keys = jax.random.split(noise_key, steps)
    (leaves, state), both = jax.lax.scan(step, (leaves, state), (order, keys))
    return leaves, state, jax.tree.map(jnp.mean, both)
