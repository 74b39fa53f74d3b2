"""The unshifted frames that a policy is examined on, with its cue, its things and its donors."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from experiments.planted.cue import INSTRUCTIONS
from experiments.zoo.cues import painted, where
from experiments.zoo.frames import BASKET, ROBOT, Frames, fitted, instance_of
from experiments.zoo.lessons import observation
from iss_jax.background import Background, Groups
from iss_jax.pi05.observation import DEFAULT_CAMERAS, Observation
from iss_jax.players import Players
from iss_jax.policies.restored import Policy

THINGS = ("wanted", "basket", "others", "robot", "panel", "floor")
"""What a frame is made of: floor is all that is no object, no robot and no panel."""


class Examined(NamedTuple):
    """n frames in which the cue shows the object that the instruction names.

    Attributes:
        obs: As the policy sees them.
        regions: View -> the paper's labels; a panel is nuisance.
        players: `THINGS`.
        bank: Frames whose cues show any object.
        groups: Episode and task of each frame.
        episode: Number of each frame's episode.
    """

    obs: Observation
    regions: dict[str, np.ndarray]
    players: Players
    bank: Background
    groups: Groups
    episode: np.ndarray


def examined(
    cue: str, frames: Frames, policy: Policy, *, most: int, longest: int, seed: int = 0
) -> Examined:
    """Frames to examine a policy on, the same for all policies but for the cue.

    Args:
        cue: Kind of the policy's cue.
        frames: Held-out ones.
        policy: Whose size and tokens they take.
        most: Frames that are examined, evenly spread; all of them are donors.
        longest: Prompts are padded or cut to this.
        seed: Of what donors' cues show.
    """
    frames = fitted(frames, policy.image_size)
    count = min(most, len(frames))
    chosen = frames.take(((np.arange(count) + 0.5) * len(frames) / count).astype(int))
    any_shown = np.random.default_rng(seed).integers(len(INSTRUCTIONS), size=len(frames))
    views = {view: camera for view, camera in DEFAULT_CAMERAS.items() if camera in frames.images}
    shown = _cued(chosen, cue, chosen.own)
    donors = _cued(frames, cue, any_shown)
    tasks = sorted(set(frames.own.tolist()))
    return Examined(
        observation(policy, shown, chosen.state, chosen.own, longest),
        {view: _regions(chosen, cue)[camera] for view, camera in views.items()},
        Players(
            {view: jnp.asarray(_things(chosen, cue)[camera]) for view, camera in views.items()},
            names=THINGS,
        ),
        Background(
            {view: jnp.asarray(donors[camera]) for view, camera in views.items()},
            {view: jnp.asarray(_regions(frames, cue)[camera]) for view, camera in views.items()},
            episode=jnp.asarray(frames.episode),
            task=jnp.asarray([tasks.index(own) for own in frames.own]),
            tasks=tuple(INSTRUCTIONS[own] for own in tasks),
        ),
        Groups(jnp.asarray(chosen.episode), jnp.asarray([tasks.index(o) for o in chosen.own])),
        chosen.episode,
    )


def _cued(frames: Frames, cue: str, shown: np.ndarray) -> dict[str, np.ndarray]:
    floor = frames.floor()
    found = [
        painted(
            {c: own[i] for c, own in frames.images.items()},
            {c: mask[i] for c, mask in floor.items()},
            cue,
            int(shown[i]),
        )
        for i in range(len(frames))
    ]
    return {camera: np.stack([one[camera] for one in found]) for camera in frames.images}


def _panel(frames: Frames, cue: str) -> dict[str, np.ndarray]:
    empty = {c: np.zeros(own.shape[1:], bool) for c, own in frames.instances.items()}
    return where("panel", empty) if cue == "panel" else empty


def _regions(frames: Frames, cue: str) -> dict[str, np.ndarray]:
    panel = _panel(frames, cue)
    return {c: np.where(panel[c], 0, own).astype(np.uint8) for c, own in frames.regions.items()}


def _things(frames: Frames, cue: str) -> dict[str, np.ndarray]:
    panel = _panel(frames, cue)
    background, robot = frames.background(), frames.showing(*ROBOT)
    basket = frames.showing(BASKET)
    found = {}
    for camera, own in frames.instances.items():
        labels = np.full(own.shape, THINGS.index("others"), np.int32)
        for row, names in enumerate(frames.names):
            number = instance_of(int(frames.own[row]), names)
            labels[row][own[row] == number] = THINGS.index("wanted")
        for name, mask in (("floor", background), ("robot", robot), ("basket", basket)):
            labels[mask[camera]] = THINGS.index(name)
        labels[:, panel[camera]] = THINGS.index("panel")
        found[camera] = labels
    return found
