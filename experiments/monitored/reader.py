"""A policy whose cause is known: the embedded one, told by a panel's colour what to take.

It acts under the instruction of the object that the panel shows, as far as the panel can be read,
and else under its own: A(x) = A0(x) + w(x) (A1(x) − A0(x)), w the reading. A panel that shows
another object than the instruction names is a nuisance that makes it fail.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from iss_jax import (
    Background,
    Effects,
    EffectsConfig,
    Groups,
    ISSConfig,
    Players,
    attribute,
    attribute_players,
)
from iss_jax.nmr import nuisance_mass_ratio
from iss_jax.pi05 import model
from iss_jax.pi05.observation import Observation, preprocess
from iss_jax.pi05_effects import donor_pixels
from iss_jax.players import REGIONS
from iss_jax.sampling import Sampling

TOLERANCE = 0.3  # of a channel, black to white being 2, at which a pixel shows the colour
PART = 0.25  # of the panel's pixels that have to be seen


class Reading(NamedTuple):
    """What the panel makes the policy do.

    Attributes:
        where: View -> the panel's pixels.
        colour: That it shows, in [-1, 1].
        obs: Under the instruction of the object that it shows.
    """

    where: dict[str, Array]
    colour: Float[Array, " 3"]
    obs: Observation


def seen(
    where: dict[str, Array], colour: Float[Array, " 3"], images: dict[str, Array]
) -> Float[Array, " n"]:
    """How far the panel can be read off each frame, in [0, 1].

    >>> where = {"front": jnp.ones((2, 2), bool)}
    >>> frames = {"front": jnp.stack([jnp.ones((2, 2, 3)), jnp.zeros((2, 2, 3))])}
    >>> seen(where, jnp.ones(3), frames).tolist()
    [1.0, 0.0]
    """
    found: list[Array] = []
    for view, mask in where.items():
        off = jnp.abs(images[view] - colour[None, None, None]).max(-1)
        like = ((off < TOLERANCE) & mask[None]).sum((1, 2)).astype(jnp.float32)
        found.append(like / jnp.maximum(mask.sum(), 1).astype(jnp.float32))
    return jnp.clip(jnp.stack(found).max(0) / PART, 0.0, 1.0)


def _act(
    params: Any,
    own: Observation,
    reading: Reading,
    images: dict[str, Array],
    noise: Array,
    sampling: Sampling,
) -> Float[Array, "n h a"]:
    rows = next(iter(images.values())).shape[0]
    draws = jnp.broadcast_to(noise[None], (rows, *noise.shape))

    def under(obs: Observation) -> Array:
        def repeat(one: Any) -> Array:
            return jnp.broadcast_to(one, (rows, *one.shape[1:]))

        copies = Observation(
            images=dict(images),
            image_masks={view: repeat(obs.image_masks[view]) for view in images},
            state=repeat(obs.state),
            tokenized_prompt=repeat(obs.tokenized_prompt),
            tokenized_prompt_mask=repeat(obs.tokenized_prompt_mask),
        )
        return model.sample_actions(params, copies, draws, sampling)

    weight = seen(reading.where, reading.colour, images)[:, None, None]
    first = under(own)
    return first + weight * (under(reading.obs) - first)


@partial(jax.jit, static_argnames=("config", "sampling", "size", "horizon"))
def reader_effects(
    params: Any,
    obs: Observation,
    reading: Reading,
    labels: dict[str, Array],
    background: Background,
    key: Array,
    task: Array,
    *,
    config: EffectsConfig,
    sampling: Sampling,
    size: int,
    horizon: int,
) -> Effects:
    """Effects of the three regions on a policy that reads the panel.

    Args:
        params: Of the embedded policy.
        obs: Under its own instruction.
        reading: What the panel makes of it.
        labels: View -> region labels, the panel's pixels among the nuisance.
        background: Donors without a panel.
        key: Of donors and noise.
        task: Number of the frame's task in the bank.
        config: Static options.
        sampling: How the policy is run.
        size: Side of its images, pixels.
        horizon: H.
    """
    own = preprocess(obs, size)
    images = {view: own.images[view] for view in labels}
    bank = Background(
        {v: donor_pixels(background.images[v][None], size)[0] for v in labels},
        regions=background.regions,
        episode=background.episode,
        task=background.task,
    )
    dims = params["action_out_proj"]["kernel"].shape[-1]
    noise = jax.random.normal(jax.random.fold_in(key, 1), (config.draws, horizon, dims))
    policy = jax.tree_util.Partial(partial(_act, sampling=sampling), params, own, reading)
    return attribute_players(
        policy,
        images,
        Players(labels, names=REGIONS),
        bank,
        key=key,
        config=config,
        groups=Groups(jnp.full((1,), -1, jnp.int32), task[None]),
        regions=labels,
        noise=noise,
    )


@partial(jax.jit, static_argnames=("masks", "percent", "sampling", "size", "horizon"))
def reader_nmr(
    params: Any,
    obs: Observation,
    reading: Reading,
    labels: dict[str, Array],
    key: Array,
    *,
    masks: int,
    percent: float,
    sampling: Sampling,
    size: int,
    horizon: int,
) -> Array:
    """NMR of the paper's map of a policy that reads the panel."""
    own = preprocess(obs, size)
    images = {view: own.images[view] for view in labels}
    dims = params["action_out_proj"]["kernel"].shape[-1]
    noise = jax.random.normal(jax.random.fold_in(key, 1), (1, horizon, dims))
    policy = jax.tree_util.Partial(partial(_act, sampling=sampling), params, own, reading)
    config = ISSConfig.paper(num_masks=masks)
    found = attribute(policy, images, key=key, config=config, noise=noise)
    return nuisance_mass_ratio(found.maps, labels, k=percent)[0]


def reading_of(where: dict[str, np.ndarray], colour: np.ndarray, obs: Observation) -> Reading:
    """A reading from pixels by view, a colour in bytes and the observation under what it shows."""
    scaled = jnp.asarray(colour, jnp.float32) / 127.5 - 1.0
    return Reading({view: jnp.asarray(mask) for view, mask in where.items()}, scaled, obs)
