"""Frames of the embedded episodes with the embedded policy, labels and a few donors."""

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from iss_jax import Background, embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.pi05.observation import Observation
from iss_jax.policies.frames import FrameOptions, read_frames, see
from iss_jax.policies.restored import Policy, load_policy

OPTIONS = FrameOptions()
# Of four suites, and of a fifth and sixth for the frames that are explained.
DONORS = (0, 40, 80, 120)
EXPLAINED = (160, 190)


class Scene(NamedTuple):
    """Frames as the policy sees them.

    Attributes:
        policy: The embedded one.
        obs: Observations of the frames.
        images: View -> frames, uint8.
        regions: View -> labels.
        background: Donors of other episodes, with labels.
    """

    policy: Policy
    obs: Observation
    images: dict
    regions: dict
    background: Background


@functools.cache
def policy() -> Policy:
    """The embedded policy, its parameters in float32."""
    return load_policy(embedded.checkpoint_path())


@functools.cache
def scene(frames: int = 1) -> Scene:
    """The first frames of one episode."""
    dataset = open_dataset(embedded.episodes_path())
    own = see(read_frames(dataset, EXPLAINED[0], list(range(frames)), OPTIONS), policy(), OPTIONS)
    donors = [see(read_frames(dataset, index, [0], OPTIONS), policy(), OPTIONS) for index in DONORS]
    background = Background(
        {v: jnp.concatenate([d.obs.images[v] for d in donors]) for v in own.views},
        regions={
            v: jnp.concatenate([jnp.asarray(d.regions[v]) for d in donors]) for v in own.views
        },
        episode=jnp.asarray(DONORS),
        task=jnp.arange(len(DONORS)),
    )
    images = {v: jnp.asarray(own.obs.images[v]) for v in own.views}
    regions = {v: np.asarray(own.regions[v]) for v in own.views}
    return Scene(policy(), own.obs, images, regions, background)
