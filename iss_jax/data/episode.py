"""One episode: what the cameras, the robot and the annotator recorded, frame by frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from iss_jax.few import few

Scalar = str | int | float | bool | None

# Features that hold the actions from a frame on, and which of them are real.
CHUNKS = ("action_chunk", "action_chunk_valid")


@dataclasses.dataclass(frozen=True)
class Episode:
    """T frames of one episode, checked for agreement of shapes and dtypes when built.

    Attributes:
        images: camera to uint8 [T, h, w, 3], RGB.
        regions: camera to uint8 [T, h, w] labels (0 nuisance, 1 support, 2 action-critical); may
            be empty, and may cover only some of the cameras.
        state: float32 [T, s], raw units.
        action: float32 [T, a], raw units.
        prompt: the language instruction.
        fps: frames per second.
        features: further per-frame arrays [T, ...].
        metadata: JSON scalars that describe the episode (suite, task, split, seed, success, ...).
        instances: camera to int32 [T, h, w], which thing each pixel shows, 0 or more; may be empty,
            and may cover only some of the cameras.
        instance_names: what each number of `instances` is; numbers without a name are nothing.

    Raises:
        ValueError: an array has the wrong dtype, rank or number of frames; the message names it.
    """

    images: Mapping[str, np.ndarray]
    regions: Mapping[str, np.ndarray]
    state: np.ndarray
    action: np.ndarray
    prompt: str
    fps: float
    features: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    metadata: Mapping[str, Scalar] = dataclasses.field(default_factory=dict)
    instances: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    instance_names: Mapping[int, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for name in ("state", "action"):
            value = getattr(self, name)
            if value.ndim != 2 or value.dtype != np.float32:
                raise ValueError(f"{name}: {_describe(value)} given, float32 [T, n] wanted")
        frames = self.state.shape[0]
        if frames == 0:
            raise ValueError("the episode has no frames")
        for camera, image in self.images.items():
            if image.ndim != 4 or image.shape[-1] != 3 or image.dtype != np.uint8:
                raise ValueError(
                    f"images[{camera!r}]: {_describe(image)} given, uint8 [T, h, w, 3] wanted"
                )
        self._check_labels("regions", self.regions, np.dtype(np.uint8))
        self._check_labels("instances", self.instances, np.dtype(np.int32))
        for camera, numbers in self.instances.items():
            if numbers.min(initial=0) < 0:
                raise ValueError(
                    f"instances[{camera!r}]: {numbers.min()} given, numbers from 0 on wanted"
                )
        for number, name in self.instance_names.items():
            if not isinstance(number, int) or not isinstance(name, str):
                raise ValueError(f"instance_names: {number!r}: {name!r} given, int: str wanted")
        named = {"action": self.action}
        named |= {f"images[{camera!r}]": image for camera, image in self.images.items()}
        named |= {f"features[{name!r}]": value for name, value in self.features.items()}
        for name, value in named.items():
            if value.ndim < 1 or value.shape[0] != frames:
                raise ValueError(
                    f"{name}: {_describe(value)} given, {frames} frames wanted as in state"
                )

    def __len__(self) -> int:
        """Number of frames."""
        return self.state.shape[0]

    def _check_labels(self, what: str, given: Mapping[str, np.ndarray], dtype: np.dtype) -> None:
        for camera, labels in given.items():
            if camera not in self.images:
                raise ValueError(
                    f"{what}[{camera!r}] has no image; cameras are {few(sorted(self.images))}"
                )
            shape = self.images[camera].shape[:3]
            if labels.dtype != dtype or labels.shape != shape:
                raise ValueError(
                    f"{what}[{camera!r}]: {_describe(labels)} given, {dtype} {list(shape)} wanted"
                )

    def take(self, rows: slice | Sequence[int] | np.ndarray) -> Episode:
        """Some of the frames, in the order given; a frame may be taken more than once."""
        rows = rows if isinstance(rows, slice) else np.asarray(rows)

        def of(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: value[rows] for name, value in arrays.items()}

        return dataclasses.replace(
            self,
            images=of(self.images),
            regions=of(self.regions),
            state=self.state[rows],
            action=self.action[rows],
            features=of(self.features),
            instances=of(self.instances),
        )


def _describe(value: np.ndarray) -> str:
    return f"{value.dtype} {list(value.shape)}"


def check_episode(root: object, episode: int, count: int) -> None:
    """Raises where a dataset has no such episode.

    Args:
        root: The dataset, which the message names.
        episode: Its index.
        count: Episodes of the dataset.

    Raises:
        IndexError: The index is out of range.
    """
    if not 0 <= episode < count:
        raise IndexError(f"{root}: no episode {episode} of {count}; they are {_range(count)}")


def chosen_rows(
    frames: slice | Sequence[int] | np.ndarray | None, length: int, where: str
) -> np.ndarray:
    """The frames asked for, int64, counted from the beginning.

    Raises:
        IndexError: there is no such frame, or a slice selects none.
        TypeError: they are no integers.
    """
    if frames is None:
        return np.arange(length, dtype=np.int64)
    if isinstance(frames, slice):
        rows = np.arange(length, dtype=np.int64)[frames]
        if not rows.size:
            raise IndexError(
                f"{where}: {frames} selects none of {length} frames; they are {_range(length)}"
            )
        return rows
    rows = np.asarray(frames)
    if rows.size == 0:
        return np.zeros(0, np.int64)
    if rows.dtype.kind not in "iu" or rows.ndim != 1:
        raise TypeError(f"{where}: frames must be a slice or integers, {frames!r} given")
    rows = rows.astype(np.int64)
    outside = (rows < -length) | (rows >= length)
    if np.any(outside):
        raise IndexError(
            f"{where}: no frame {rows[outside][0]} of {length}; they are {_range(length)}"
        )
    return rows % length


def _range(count: int) -> str:
    return f"0 to {count - 1}" if count > 1 else "0 alone" if count else "none"
