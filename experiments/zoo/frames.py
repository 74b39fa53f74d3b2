"""Frames of the expert, and what of them is where: what policies are taught and measured on."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from experiments.planted.cue import INSTRUCTIONS
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.data.episode import Episode
from iss_jax.few import few

CAMERAS = ("front", "wrist", "overhead")
"""In the order of the policy's views."""

FLOOR, WALL = "floor", "wall"
ROBOT = ("robot", "gripper")
BASKET = "basket"


@dataclasses.dataclass(frozen=True)
class Frames:
    """n frames.

    Attributes:
        images: Camera -> frames without a cue.
        instances: Camera -> which thing each pixel shows, 0 where none.
        names: What each number is, of each frame.
        regions: Camera -> the paper's labels.
        state: Of the robot.
        episode: Number of each frame's episode.
        number: Of each frame in its episode.
        own: The object that the scene's own instruction names, a place in `INSTRUCTIONS`.
        present: The objects of each frame's scene.
    """

    images: dict[str, UInt8[np.ndarray, "n h w 3"]]
    instances: dict[str, Int[np.ndarray, "n h w"]]
    names: list[dict[int, str]]
    regions: dict[str, UInt8[np.ndarray, "n h w"]]
    state: Float[np.ndarray, "n s"]
    episode: Int[np.ndarray, " n"]
    number: Int[np.ndarray, " n"]
    own: Int[np.ndarray, " n"]
    present: list[tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.state)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Frames":
        """Some of the frames."""
        chosen = np.asarray(rows, int)
        return Frames(
            {c: own[chosen] for c, own in self.images.items()},
            {c: own[chosen] for c, own in self.instances.items()},
            [self.names[i] for i in chosen],
            {c: own[chosen] for c, own in self.regions.items()},
            self.state[chosen],
            self.episode[chosen],
            self.number[chosen],
            self.own[chosen],
            [self.present[i] for i in chosen],
        )

    def showing(self, *things: str) -> dict[str, Bool[np.ndarray, "n h w"]]:
        """Camera -> the pixels that show any of some things."""
        found = {c: np.zeros(own.shape, bool) for c, own in self.instances.items()}
        for row, names in enumerate(self.names):
            numbers = [number for number, name in names.items() if name in things]
            for camera, own in self.instances.items():
                found[camera][row] = np.isin(own[row], numbers)
        return found

    def floor(self) -> dict[str, Bool[np.ndarray, "n h w"]]:
        """Camera -> the pixels that show the floor."""
        return self.showing(FLOOR)

    def background(self) -> dict[str, Bool[np.ndarray, "n h w"]]:
        """Camera -> the pixels that show floor, walls or nothing: neither object nor robot."""
        shown = self.showing(FLOOR, WALL)
        return {c: mask | (self.instances[c] == 0) for c, mask in shown.items()}


def load_frames(root: str, most: int = 0) -> Frames:
    """The frames of a dataset of libero_object, evenly spread where they are more than is asked.

    Without instance labels what is nuisance counts as floor, and all ten objects as present.

    Args:
        root: The dataset's folder.
        most: Frames wanted; all when 0.

    Raises:
        ValueError: It has no region labels, or an instruction that no cue has a colour for.
    """
    dataset = open_dataset(root)
    episodes = [dataset.read(index) for index in range(len(dataset))]
    unknown = sorted({e.prompt for e in episodes} - set(INSTRUCTIONS))
    if unknown:
        raise ValueError(f"{root}: instructions {few(unknown)} given, libero_object's wanted")
    parts = [_of_episode(dataset, index, episode) for index, episode in enumerate(episodes)]
    names = [field.name for field in dataclasses.fields(Frames)]
    found = Frames(*(_joined([getattr(part, name) for part in parts]) for name in names))
    if most and most < len(found):
        return found.take(((np.arange(most) + 0.5) * len(found) / most).astype(int))
    return found


def _joined(parts: list) -> Any:
    """Arrays, arrays by camera, or lists, one after the other."""
    if isinstance(parts[0], dict):
        return {c: np.concatenate([part[c] for part in parts]) for c in CAMERAS}
    if isinstance(parts[0], list):
        return list(itertools.chain(*parts))
    return np.concatenate(parts)


def _of_episode(dataset: Dataset, index: int, episode: Episode) -> Frames:
    count = len(episode)
    if set(CAMERAS) - set(episode.regions):
        raise ValueError(f"{dataset.root}, episode {index}: no region labels, which are wanted")
    names = dict(episode.instance_names)
    instances = {c: episode.instances[c] for c in CAMERAS if c in episode.instances}
    if not names:
        names = {1: "robot", 2: FLOOR, 3: "thing"}
        of_region = np.array([2, 3, 1])
        instances = {c: of_region[episode.regions[c]] for c in CAMERAS}
    return Frames(
        {c: episode.images[c] for c in CAMERAS},
        {c: np.asarray(own, np.int32) for c, own in instances.items()},
        [names] * count,
        {c: np.asarray(episode.regions[c], np.uint8) for c in CAMERAS},
        np.asarray(episode.state, np.float32),
        np.full(count, index),
        np.arange(count),
        np.full(count, INSTRUCTIONS.index(episode.prompt)),
        [named(names)] * count,
    )


def named(names: Mapping[int, str]) -> tuple[int, ...]:
    """The objects among a scene's things that an instruction names; all where none has a name.

    >>> named({1: "robot", 2: "milk"}) == (INSTRUCTIONS.index(
    ...     "pick up the milk and place it in the basket"),)
    True
    """
    words = [f" the {name} and" for name in names.values()]
    found = tuple(i for i, text in enumerate(INSTRUCTIONS) if any(w in text for w in words))
    return found or tuple(range(len(INSTRUCTIONS)))


def instance_of(shown: int, names: Mapping[int, str]) -> int:
    """The number of an object in its scene, 0 where it has none."""
    text = INSTRUCTIONS[shown]
    return next((number for number, name in names.items() if f" the {name} and" in text), 0)


def fitted(frames: Frames, size: int) -> Frames:
    """Frames and labels of another size, each pixel the nearest one's."""

    def resized(own: np.ndarray) -> np.ndarray:
        rows, columns = (((np.arange(size) + 0.5) * n / size).astype(int) for n in own.shape[1:3])
        return own[:, rows][:, :, columns]

    if next(iter(frames.images.values())).shape[1:3] == (size, size):
        return frames
    return dataclasses.replace(
        frames,
        images={c: resized(own) for c, own in frames.images.items()},
        instances={c: resized(own) for c, own in frames.instances.items()},
        regions={c: resized(own) for c, own in frames.regions.items()},
    )
