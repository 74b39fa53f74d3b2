"""What every baseline returns, and the frames that it is about."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.pi05.params import Params, as_params, sizes_of
from iss_jax.pi05.prepare import checked_valid, picture_pixels, policy_observation, possible_views
from iss_jax.records import MapsRecord, record, static
from iss_jax.sampling import Sampling


@record
class Explanation(MapsRecord):
    """Where an explanation other than ISS says that a policy looks.

    >>> import jax.numpy as jnp
    >>> from iss_jax.baselines import Explanation
    >>> Explanation({"front": jnp.ones((2, 2))}, {"front": jnp.ones((2, 2), bool)}, unit="norm")
    Explanation
      maps:     float32 [2, 2] of front
      valid:    bool [2, 2] of front
      unit:     norm

    Attributes:
        maps: View -> map in pixels of the policy's input; zero in absent views and padding.
        valid: View -> pixels that took part: those of views that are there, less padding.
        frames: View -> the frames that are explained, as the policy saw them; None where they are
            not known.
        unit: What a score is.
    """

    maps: dict[str, Float[Array, "*b h w"]]
    valid: dict[str, Bool[Array, "*b h w"]]
    frames: dict[str, Shaped[Array, "*b h w 3"]] | None = None
    unit: str = static(default="")


class Shape(NamedTuple):
    """What is static of the policy, its runs and the observation."""

    views: tuple[str, ...]
    image_size: int
    sampling: Sampling


class Call(NamedTuple):
    """What a baseline was asked, checked, before anything is computed."""

    params: Params
    obs: Observation
    valid: dict[str, Array]
    shape: Shape


class Frames(NamedTuple):
    """Preprocessed observation that holds the views that may be present, and its pixels."""

    obs: Observation
    picture: dict[str, Array]
    valid: dict[str, Array]


def checked_call(params: Any, obs: Any, valid: Any, sampling: Sampling) -> Call:
    """Names what is wrong with parameters, observation or `valid`; they are arrays from here on.

    The dtype of the call's `sampling` is one, never None.
    """
    params = as_params(params)
    sizes = sizes_of(params)
    obs = policy_observation(obs, sizes.vocab, trim=sampling.savings.trim_prompt)
    views = possible_views(obs) if sampling.savings.drop_absent_views else VIEWS
    sampling = sampling.resolved(model.compute_dtype(params))
    shape = Shape(views, sizes.image.image_size, sampling)
    return Call(params, obs, checked_valid(valid, obs.images), shape)


def present_frames(obs: Observation, valid: dict[str, Array], shape: Shape) -> Frames:
    """The policy's own preprocessing, and which pixels of it take part."""
    given, obs = obs, preprocess(obs, shape.image_size)
    picture = picture_pixels(given.images, valid, shape.views, shape.image_size) or {}
    inside = {}
    for view in shape.views:
        there = jnp.broadcast_to(obs.image_masks[view][:, None, None], obs.images[view].shape[:3])
        inside[view] = there & picture[view] if view in picture else there
    obs = dataclasses.replace(
        obs,
        images={view: obs.images[view] for view in shape.views},
        image_masks={view: obs.image_masks[view] for view in shape.views},
    )
    return Frames(obs, picture, inside)


def explanation_of(maps: dict[str, Array], frames: Frames, unit: str) -> Explanation:
    """Maps of all the model's views, zero where nothing took part."""
    inside = next(iter(frames.valid.values()))
    absent, nowhere = jnp.zeros(inside.shape, jnp.float32), jnp.zeros(inside.shape, bool)
    valid = {view: frames.valid.get(view, nowhere) for view in VIEWS}
    black = jnp.full((*inside.shape, 3), -1.0, jnp.float32)
    return Explanation(
        {view: jnp.where(valid[view], maps.get(view, absent), 0.0) for view in VIEWS},
        valid,
        {view: frames.obs.images.get(view, black) for view in VIEWS},
        unit,
    )
