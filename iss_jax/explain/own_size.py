"""Frames and donors at their cameras' own sizes, for policies that resize what they are sent."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from iss_jax.background import Background, Groups
from iss_jax.data.dataset import Dataset
from iss_jax.data.episode import Episode
from iss_jax.explain.donors import Donors, PlayersAsked, find_donors
from iss_jax.few import few
from iss_jax.policies.donors import donor_frames, task_of
from iss_jax.policies.frames import FrameOptions, Seen, read_frames


@dataclasses.dataclass(frozen=True)
class CameraOptions(FrameOptions):
    """How frames are sent to a policy whose views have names of their own.

    Raises:
        ValueError: No camera at all.
    """

    def __post_init__(self) -> None:
        if not self.used:
            raise ValueError(f"cameras: {dict(self.cameras)} given, one camera at least wanted")

    @property
    def used(self) -> dict[str, str]:
        """View -> camera of the views that are there, in their own order."""
        return {view: camera for view, camera in self.cameras.items() if camera}


@dataclasses.dataclass(frozen=True)
class SentFrames(Seen):
    """Frames as they are sent: nothing is resized, and all of it is picture."""

    @functools.cached_property
    def images(self) -> dict[str, np.ndarray]:
        """View -> the frames themselves."""
        return {view: self.episode.images[camera] for view, camera in self.cameras.items()}


def as_sent(episode: Episode, cameras: Mapping[str, str]) -> SentFrames:
    """An episode's frames and labels at the cameras' own sizes.

    Args:
        episode: As `read_frames` gives it.
        cameras: View -> camera of the views that are there.
    """
    sizes = {view: episode.images[camera].shape[:3] for view, camera in cameras.items()}
    nothing: Any = None
    return SentFrames(
        episode=episode,
        obs=nothing,
        cameras=dict(cameras),
        regions={v: episode.regions[c] for v, c in cameras.items() if c in episode.regions},
        valid={view: np.ones(size, bool) for view, size in sizes.items()},
        size=0,
        instances={v: episode.instances[c] for v, c in cameras.items() if c in episode.instances},
    )


def own_size_bank(dataset: Dataset, *, shown: FrameOptions, most: int) -> Background:
    """Donors at the cameras' own sizes; those of another size than the first are left out.

    Args:
        dataset: Of several tasks.
        shown: Cameras and mirroring.
        most: Donors that are looked for.
    """
    chosen = donor_frames(dataset, most)
    tasks = list(dict.fromkeys(task_of(dataset.metadata(i)) for i in range(len(dataset))))
    read = [read_frames(dataset, e, [f], shown, labels="none") for e, f in chosen]
    used = shown.used
    sizes = [tuple(one.images[camera].shape for camera in used.values()) for one in read]
    kept = [row for row, size in enumerate(sizes) if size == sizes[0]]
    episodes = [chosen[row][0] for row in kept]
    return Background(
        images={
            view: jnp.asarray(np.concatenate([read[row].images[camera] for row in kept]))
            for view, camera in used.items()
        },
        episode=jnp.array(episodes, jnp.int32),
        task=jnp.array([tasks.index(task_of(dataset.metadata(e))) for e in episodes], jnp.int32),
        tasks=tuple("/".join(filter(None, task)) for task in tasks),
    )


def own_size_donors(dataset: Dataset, asked: PlayersAsked, shown: FrameOptions) -> Donors:
    """What replaces players, at the cameras' own sizes.

    Args:
        dataset: Of the frames that are explained.
        asked: Fill, number and source of donors.
        shown: Cameras and mirroring.
    """
    return find_donors(
        functools.partial(own_size_bank, shown=shown),
        dataset,
        shown,
        fill=asked.fill,
        root=asked.donors_from,
        most=asked.donors,
    )


def allowed_donors(bank: Background | None, groups: Groups | None) -> Background | None:
    """The donors that one frame may draw, as a bank of their own.

    Args:
        bank: Donors; None where the fill needs none.
        groups: Episode and task of the frame.

    Raises:
        ValueError: There are none.
    """
    if bank is None or groups is None:
        return bank
    free = np.flatnonzero(np.asarray(bank.allowed(groups))[0])
    if not free.size:
        raise ValueError(
            f"donors: none of {len(bank)} is of another task than {few(bank.tasks)}; give another "
            "dataset of donors, or fill blur"
        )
    return Background({view: image[free] for view, image in bank.images.items()})
