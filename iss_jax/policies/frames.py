"""Frames of an episode as the policy sees them, with their labels in the same geometry."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, UInt8

from iss_jax.data.episode import Episode
from iss_jax.data.regions import fit_regions
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.observation import VIEWS, Observation, resize_with_pad
from iss_jax.policies.restored import Policy


class Observed(NamedTuple):
    """Some frames of an episode.

    Attributes:
        obs: what the policy takes; views without a camera are absent.
        images: view to the picture in the geometry of the policy's input, for display.
        regions: view to labels in that geometry, 0 in the padding.
        valid: view to the pixels that are picture.
    """

    obs: Observation
    images: dict[str, UInt8[np.ndarray, "t h w 3"]]
    regions: dict[str, UInt8[np.ndarray, "t h w"]]
    valid: dict[str, Bool[np.ndarray, "t h w"]]


def observed(
    episode: Episode,
    rows: Sequence[int] | np.ndarray,
    policy: Policy,
    cameras: Mapping[str, str],
    *,
    max_token_len: int,
    discrete_state_input: bool,
) -> Observed:
    """Some frames of an episode, for a policy.

    Args:
        episode: with labels for every camera that is used.
        rows: which frames.
        policy: whose image size, tokenizer and statistics count.
        cameras: view to camera; an empty camera leaves the view out.
        max_token_len: prompts are padded or cut to this.
        discrete_state_input: whether the state stands in the prompt.

    Raises:
        ValueError: a camera has no images or no labels; the message names it.
    """
    used = {view: cameras[view] for view in VIEWS if cameras.get(view)}
    for what, there in (("images", episode.images), ("region labels", episode.regions)):
        if missing := sorted(set(used.values()) - set(there)):
            raise ValueError(f"episode: no {what} of {missing}, only of {sorted(there)}")
    rows = np.asarray(rows)
    size = policy.image_size
    obs = make_observation(
        {camera: episode.images[camera][rows] for camera in used.values()},
        episode.state[rows],
        [episode.prompt] * len(rows),
        tokenizer=policy.tokenizer,
        norm_stats=policy.norm_stats,
        max_token_len=max_token_len,
        cameras={view: used.get(view, "") for view in VIEWS},
        discrete_state_input=discrete_state_input,
    )
    # One length for all frames, hence one compilation: states are written in one to three digits.
    mask, tokens = np.asarray(obs.tokenized_prompt_mask), np.asarray(obs.tokenized_prompt)
    longest = int(mask.sum(-1).max())
    obs = dataclasses.replace(
        obs,
        tokenized_prompt=jnp.asarray(tokens[:, :longest]),
        tokenized_prompt_mask=jnp.asarray(mask[:, :longest]),
    )
    images, regions, valid = {}, {}, {}
    for view, camera in used.items():
        images[view] = np.asarray(jax.device_get(resize_with_pad(obs.images[view], size, size)))
        regions[view], inside = fit_regions(episode.regions[camera][rows], size, size)
        valid[view] = np.broadcast_to(inside, regions[view].shape)
    return Observed(obs, images, regions, valid)
