"""A held-out frame with a cue that shows another object than the instruction names, and donors."""

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int, UInt8

from experiments.distilled.cue import Images, painted, places
from experiments.distilled.teacher import Frame
from experiments.planted.cue import INSTRUCTIONS
from iss_jax import Background, Players, players


class CuedScene(NamedTuple):
    """What is explained.

    Attributes:
        frame: Without its cue.
        where: View -> the cue's pixels.
        kind: Of the cue.
        named: What the instruction names.
        shown: What the cue shows.
        images: View -> the painted frame.
        bank: Donors of other tasks, with cues of their own values at the same place.
        regions: View -> region labels.
    """

    frame: Frame
    where: dict[str, Bool[np.ndarray, "h w"]]
    kind: str
    named: int
    shown: int
    images: Images
    bank: Background
    regions: dict[str, UInt8[np.ndarray, "h w"]]

    @property
    def place(self) -> Bool[np.ndarray, "v h w"]:
        """The cue's pixels, views in order."""
        shape = next(iter(self.images.values())).shape[:2]
        nowhere = np.zeros(shape, bool)
        return np.stack([self.where.get(view, nowhere) for view in self.images])


def cued(frame: Frame, kind: str, others: Sequence[Frame], regions: Any, donors: int) -> CuedScene:
    """The scene of one frame.

    Args:
        frame: Without a cue.
        kind: Of `experiments.distilled.cue.KINDS`.
        others: Frames of which donors are drawn; those of the frame's own task stay out.
        regions: View -> region labels of the frame.
        donors: In the bank.
    """
    views = list(frame.images)
    shape = frame.images[views[0]].shape[:2]
    rng = np.random.default_rng(zlib.crc32("/".join(map(str, (kind, *frame.name))).encode()) + 1)
    where = places(kind, views, shape)
    count = len(INSTRUCTIONS)
    named = frame.own if frame.own >= 0 else int(rng.integers(count))
    shown = int((named + rng.integers(1, count)) % count)
    allowed = [one for one in others if one.task != frame.task]
    chosen = [allowed[i] for i in rng.permutation(len(allowed))[:donors]]
    bank = [painted(one.images, where, kind, int(rng.integers(count))) for one in chosen]
    return CuedScene(
        frame,
        where,
        kind,
        named,
        shown,
        painted(frame.images, where, kind, shown),
        Background({v: jnp.asarray(np.stack([one[v] for one in bank])) for v in views}),
        regions,
    )


def labelled(scene: CuedScene) -> Players:
    """The three regions and the cue, a batch of one."""
    found = players.from_regions({v: jnp.asarray(own) for v, own in scene.regions.items()})
    labels = {view: np.array(own) for view, own in found.labels.items()}
    for view, mask in scene.where.items():
        labels[view][mask] = len(found)
    return Players(
        {v: jnp.asarray(own)[None] for v, own in labels.items()}, names=(*found.names, "cue")
    )


def other_values(scene: CuedScene) -> tuple[Int[np.ndarray, " n"], list[Images]]:
    """The other objects, and the frame with a cue that shows each of them."""
    others = np.array([i for i in range(len(INSTRUCTIONS)) if i != scene.shown])
    return others, [painted(scene.frame.images, scene.where, scene.kind, int(i)) for i in others]
