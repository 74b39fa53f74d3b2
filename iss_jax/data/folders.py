"""Episodes as folders of frames: the layout that the paper's authors prepare theirs in.

    <root>/<task>/<episode>/
        front/*.png  wrist/*.png ...    or front_rgb/, images/front/, images/front_rgb/, rgb/front/
        states.npz                      joint_position [T, j], gripper_position [T, g], prompt
        masks/mask_front_rgb.npy ...    [T, h, w]: 0 nuisance, 1 support, 2 action-critical
        instances/front.npy ...         [T, h, w]: which thing each pixel shows, from 0 on

Frames are in the order of the numbers in their names. `states.npz` may also be `observations.npz`
or `episode.npz`; without `prompt` the instruction is the task folder's name. The masks may lie in
the episode's folder itself. Nothing is unpickled: arrays of Python objects are refused.

What this layout has no place for lies in further arrays of `states.npz` (`action`, `fps`,
`feature.<name>`), in `instances/` and in `episode.json` (metadata, names of things); other readers
pass over them. Arrays of still other names are not read (`FolderDataset.unread`). The state is
joint_position and gripper_position side by side: of n numbers the last is written as the gripper's.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iss_jax.data.beside import check_labels
from iss_jax.data.beside_metadata import read_metadata
from iss_jax.data.episode import CHUNKS, Episode, Scalar, check_episode, chosen_rows
from iss_jax.data.instances import NAMES, names_from_json
from iss_jax.data.json_file import read_object
from iss_jax.data.npz import load_arrays, read_headers
from iss_jax.data.pictures import decode
from iss_jax.few import few

STATES = ("states.npz", "observations.npz", "episode.npz")
# The authors render their videos at this rate; their episodes do not say one.
DEFAULT_FPS = 15.0
# The names under which openpi's DROID transforms know the authors' cameras.
RENAMED = {
    "exterior_image_1_left": "front",
    "wrist_image_left": "wrist",
    "overhead_image": "overhead",
}
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
FEATURE = "feature."
INSTANCES = "instances"
STATE = ("joint_position", "gripper_position")
_OWN = (*STATE, "action", "prompt", "fps")


def open_folders(root: str | os.PathLike, *, fps: float = DEFAULT_FPS) -> FolderDataset:
    """Opens episode folders for reading; no frame is read here.

    Args:
        root: an episode's folder, or one that holds episodes, or one that holds tasks.
        fps: frames a second of the episodes that do not say.

    Returns:
        The dataset: the episodes as they were written, else in the order of their folders' names,
        numbers as numbers.

    Raises:
        FileNotFoundError: no folder at `root` or two levels below it has a states file.
        ValueError: an episode is not what it should be; the message names it.
    """
    root = Path(root)
    candidates = [root, *_folders(root), *(f for d in _folders(root) for f in _folders(d))]
    found = [folder for folder in candidates if _states(folder) is not None]
    if not found:
        raise FileNotFoundError(
            f"{root}: neither meta/info.json (LeRobot) nor an episode folder with {STATES[0]} here "
            "or two levels below"
        )
    found.sort(key=lambda folder: [_natural(part) for part in folder.relative_to(root).parts])
    contents = [_content(folder) for folder in found]
    if all(isinstance(content.get("index"), int) for content in contents):
        order = sorted(range(len(found)), key=lambda i: contents[i]["index"])
        found, contents = [found[i] for i in order], [contents[i] for i in order]
    beside_it = read_metadata(root)
    return FolderDataset(
        root,
        tuple(
            _inspect(
                folder, i, content, fps, beside_it.get(folder.relative_to(root).as_posix(), {})
            )
            for i, (folder, content) in enumerate(zip(found, contents, strict=True))
        ),
    )


def _within(root: Path, folder: Path) -> str:
    return folder.relative_to(root).as_posix()


@dataclasses.dataclass(frozen=True)
class _Folder:
    """One episode: its files and what is said of it."""

    path: Path
    frames: Mapping[str, tuple[Path, ...]]
    masks: Mapping[str, Path]
    instances: Mapping[str, Path]
    instance_names: Mapping[int, str]
    states: Path
    prompt: str
    fps: float
    state_size: int
    actions: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, Scalar]
    robot_type: str | None
    arrays: tuple[str, ...]
    unread: tuple[str, ...]

    @property
    def length(self) -> int:
        return len(next(iter(self.frames.values())))


@dataclasses.dataclass(frozen=True)
class FolderDataset:
    """Episode folders opened for reading (see `open_folders`).

    Attributes:
        root: the folder that was opened.
        episodes: its episodes.
    """

    root: Path
    episodes: tuple[_Folder, ...]

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.episodes)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras."""
        return tuple(self.episodes[0].frames)

    @property
    def state_size(self) -> int:
        """Numbers in a state."""
        return self.episodes[0].state_size

    @property
    def state_names(self) -> tuple[str, ...]:
        """None: the layout has no place for names of numbers."""
        return ()

    @property
    def action_shapes(self) -> dict[str, tuple[int, ...]]:
        """Arrays that hold actions or chunks of them -> shape of what a frame has of each."""
        return dict(self.episodes[0].actions)

    @property
    def robot_type(self) -> str | None:
        """The robot, where the dataset says so."""
        return self.episodes[0].robot_type

    @property
    def unread(self) -> tuple[str, ...]:
        """Arrays of the states files that the layout does not know; no part of an `Episode`."""
        return tuple(sorted({name for folder in self.episodes for name in folder.unread}))

    def metadata(self, episode: int) -> dict[str, Any]:
        """The episode's metadata, `episode_index`, `tasks` and `length`.

        Raises:
            IndexError: there is no such episode.
        """
        folder = self._folder(episode)
        own = {"episode_index": episode, "tasks": [folder.prompt], "length": folder.length}
        return own | dict(folder.metadata)

    def prompts(self, episode: int) -> tuple[str, ...]:
        """The instruction of its frames: a folder has one.

        Raises:
            IndexError: there is no such episode.
        """
        return (self._folder(episode).prompt,)

    def files(self, episode: int) -> tuple[Path, ...]:
        """All files that hold something of the episode.

        Raises:
            IndexError: there is no such episode.
        """
        folder = self._folder(episode)
        frames = [path for camera in sorted(folder.frames) for path in folder.frames[camera]]
        labels = [part[c] for part in (folder.masks, folder.instances) for c in sorted(part)]
        about = [path for path in (folder.path / "episode.json",) if path.exists()]
        return (folder.states, *about, *frames, *labels)

    def read(
        self,
        episode: int,
        frames: slice | Sequence[int] | np.ndarray | None = None,
        *,
        regions: bool = True,
    ) -> Episode:
        """Reads one episode, or some of its frames; only those images are decoded.

        Args:
            episode: its index.
            frames: a slice or frame indices (negative ones count from the end); all when None.
            regions: whether to read the labels, of regions and of instances.

        Returns:
            The frames as an `Episode`, in the order asked for.

        Raises:
            IndexError: there is no such episode or frame.
            ValueError: a file cannot be read or does not fit the others; the message names the
                file, the episode and, where it is one, the frame.
        """
        folder = self._folder(episode)
        where = f"{folder.path} (episode {episode})"
        rows = chosen_rows(frames, folder.length, where)
        arrays = self._arrays(episode, folder.arrays)
        images = {
            camera: _read_frames(paths, rows, episode) for camera, paths in folder.frames.items()
        }
        sizes = {camera: image.shape[1:3] for camera, image in images.items() if len(rows)}
        found, instances = {}, {}
        for part, paths, load in (
            (found, folder.masks, _labels),
            (instances, folder.instances, _instances),
        ):
            for camera, path in paths.items() if regions else ():
                labels = load(path, folder.length, f"{path} (episode {episode})")
                if labels.shape[1:] != sizes.get(camera, labels.shape[1:]):
                    raise ValueError(
                        f"{path} (episode {episode}): masks of {list(labels.shape[1:])} pixels, "
                        f"the frames have {list(sizes[camera])}"
                    )
                part[camera] = labels[rows]
        features = {
            name.removeprefix(FEATURE): value[rows]
            for name, value in arrays.items()
            if name.startswith(FEATURE)
        }
        action = arrays.get("action", np.zeros((folder.length, 0), np.float32))
        try:
            return Episode(
                images=images,
                regions=found,
                state=_state(arrays)[rows],
                action=action.astype(np.float32, copy=False)[rows],
                prompt=folder.prompt,
                fps=folder.fps,
                features=features,
                metadata=dict(folder.metadata),
                instances=instances,
                instance_names=dict(folder.instance_names) if regions else {},
            )
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error

    def read_feature(self, episode: int, name: str) -> np.ndarray:
        """Reads one feature of an episode, without decoding any image: [T, ...].

        Raises:
            IndexError: there is no such episode.
            KeyError: the episode has no such feature.
            ValueError: the states file cannot be read.
        """
        folder = self._folder(episode)
        if FEATURE + name not in folder.arrays:
            names = sorted(n.removeprefix(FEATURE) for n in folder.arrays if n.startswith(FEATURE))
            raise KeyError(f"{folder.path}: no feature {name!r}, it has {few(names)}")
        return self._arrays(episode, [FEATURE + name])[FEATURE + name]

    def read_state(self, episode: int) -> np.ndarray:
        """Reads the states of an episode, without decoding any image: float32 [T, s].

        Raises:
            IndexError: there is no such episode.
            ValueError: the states file cannot be read.
        """
        return _state(self._arrays(episode, STATE))

    def _arrays(self, episode: int, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Only those that are asked for: others may be of any size."""
        states = self._folder(episode).states
        return load_arrays(states, f"{states} (episode {episode})", names)

    def _folder(self, episode: int) -> _Folder:
        check_episode(self.root, episode, len(self))
        return self.episodes[episode]


def _inspect(
    path: Path, index: int, content: Mapping[str, Any], fps: float, more: Mapping[str, Scalar]
) -> _Folder:
    where = f"{path} (episode {index})"
    frames = _frames(path, where)
    states = _states(path)
    assert states is not None
    named = f"{states} (episode {index})"
    headers = read_headers(states, named)
    missing = set(STATE) - set(headers)
    if missing:
        raise ValueError(
            f"{named}: {few(sorted(missing))} missing, there are {few(sorted(headers))}"
        )
    length = len(next(iter(frames.values())))
    unread = tuple(n for n in headers if n not in _OWN and not n.startswith(FEATURE))
    for name, (shape, dtype) in headers.items():
        if name in ("prompt", "fps", *unread):
            continue
        if dtype.kind not in "biuf":
            raise ValueError(f"{named}: {name} is {dtype}, not numbers")
        if not shape or shape[0] != length:
            raise ValueError(
                f"{named}: {name} has {shape[0] if shape else 1} frames, "
                f"there are {length} of each camera"
            )
    own = content.get("metadata", {"task": path.parent.name, "episode": path.name})
    metadata = {**own, **more}
    said = load_arrays(states, named, ("prompt", "fps"))
    prompt = said.get("prompt")
    if prompt is not None and (prompt.size != 1 or prompt.dtype.kind != "U"):
        raise ValueError(f"{named}: prompt is {prompt.dtype} {list(prompt.shape)}, a text wanted")
    rate = said.get("fps", np.asarray(fps))
    if rate.size != 1 or rate.dtype.kind not in "iuf" or not 0 < rate.item() < np.inf:
        raise ValueError(f"{named}: fps is {rate!r}, frames a second wanted")
    return _Folder(
        path=path,
        frames=frames,
        masks=_masks(path, frames, where),
        instances=_instance_files(path, frames, where),
        instance_names=names_from_json(content.get(NAMES), f"{path / 'episode.json'}"),
        states=states,
        prompt=path.parent.name.replace("_", " ") if prompt is None else str(prompt.item()),
        fps=float(rate.item()),
        state_size=sum(math.prod(headers[name].shape[1:]) for name in STATE),
        actions={
            name.removeprefix(FEATURE): headers[name].shape[1:]
            for name in ("action", *(FEATURE + chunk for chunk in CHUNKS))
            if name in headers
        },
        metadata=metadata,
        robot_type=content.get("robot_type"),
        arrays=tuple(name for name in headers if name not in ("prompt", "fps", *unread)),
        unread=unread,
    )


def _content(path: Path) -> dict[str, Any]:
    """What `episode.json` holds, nothing where there is none."""
    file = path / "episode.json"
    if not file.exists():
        return {}
    content = read_object(file)
    if not isinstance(content.get("metadata", {}), dict):
        raise ValueError(f"{file}: metadata is {content['metadata']!r}, an object wanted")
    return content


def _frames(path: Path, where: str) -> dict[str, tuple[Path, ...]]:
    """Camera to its frames, in order."""
    found: dict[str, tuple[Path, ...]] = {}
    places = [path, path / "images", path / "rgb"]
    for folder in (folder for place in places for folder in _folders(place)):
        frames = [f for f in folder.iterdir() if f.suffix.lower() in _SUFFIXES]
        frames = [f for f in frames if not f.name.startswith(".")]
        if not frames or folder.name in ("masks", "images", "rgb"):
            continue
        camera = folder.name.removesuffix("_rgb")
        camera = RENAMED.get(camera, camera)
        if camera in found:
            raise ValueError(
                f"{where}: camera {camera!r} has two folders, {found[camera][0].parent} and "
                f"{folder}"
            )
        found[camera] = tuple(sorted(frames, key=lambda file: _natural(file.name)))
        _check_numbers(found[camera], where)
    if not found:
        raise ValueError(f"{where}: no folder of frames")
    counts = {camera: len(frames) for camera, frames in found.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"{where}: the cameras differ in their frames: {counts}")
    return found


def _check_numbers(frames: tuple[Path, ...], where: str) -> None:
    numbers = [re.findall(r"\d+", file.stem) for file in frames]
    last = [int(found[-1]) for found in numbers if found]
    if len(last) < len(frames):
        return
    for number, before, file in zip(last[1:], last, frames[1:], strict=False):
        if number - before != 1:
            raise ValueError(f"{where}: frame {before + 1} is missing before {file}")


def _masks(path: Path, frames: Mapping[str, Any], where: str) -> dict[str, Path]:
    found = {}
    for folder in (path, path / "masks"):
        for file in sorted(folder.glob("mask_*.npy")) if folder.is_dir() else ():
            camera = file.stem.removeprefix("mask_").removesuffix("_rgb")
            camera = RENAMED.get(camera, camera)
            if camera not in frames:
                raise ValueError(
                    f"{where}: {file} is of no camera, there are {few(sorted(frames))}"
                )
            found[camera] = file
    return found


def _instance_files(path: Path, frames: Mapping[str, Any], where: str) -> dict[str, Path]:
    folder = path / INSTANCES
    found = {file.stem: file for file in sorted(folder.glob("*.npy"))}
    for camera, file in found.items():
        if camera not in frames:
            raise ValueError(f"{where}: {file} is of no camera, there are {few(sorted(frames))}")
    return found


def _only(path: Path, where: str) -> np.ndarray:
    arrays = load_arrays(path, where)
    if list(arrays) != [""]:
        raise ValueError(f"{where}: arrays {few(sorted(arrays))}, a file of one array wanted")
    return arrays[""]


def _instances(path: Path, length: int, where: str) -> np.ndarray:
    numbers = _only(path, where)
    if numbers.dtype.kind not in "iu" or numbers.ndim != 3 or len(numbers) != length:
        raise ValueError(
            f"{where}: {numbers.dtype} {list(numbers.shape)}, integers [{length}, h, w] wanted"
        )
    if numbers.size and not -(2**31) <= numbers.min() <= numbers.max() < 2**31:
        raise ValueError(f"{where}: numbers {numbers.min()} to {numbers.max()}, int32 wanted")
    return numbers.astype(np.int32, copy=False)


def _labels(path: Path, length: int, where: str) -> np.ndarray:
    labels = _only(path, where)
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{where}: {labels.dtype} {list(labels.shape)}, labels [T, h, w] wanted")
    if labels.size and (labels.min() < 0 or labels.max() > 255):
        labels = np.where((labels < 0) | (labels > 255), 255, labels)
    labels = labels.astype(np.uint8, copy=False)
    check_labels(labels, length, where)
    return labels


def _state(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    parts = [arrays[name] for name in STATE]
    return np.concatenate([p.reshape(len(p), -1) for p in parts], axis=1).astype(np.float32)


def _read_frames(paths: Sequence[Path], rows: np.ndarray, episode: int) -> np.ndarray:
    first = None
    found = np.zeros((0, 0, 0, 3), np.uint8)
    for place, row in enumerate(rows):
        where = f"{paths[row]} (episode {episode}), frame {row}"
        picture = _picture(paths[row], where)
        if first is None:
            first = picture.shape
            found = np.empty((len(rows), *first), np.uint8)
        if picture.shape != first:
            raise ValueError(
                f"{where}: {list(picture.shape[:2])} pixels, frame {rows[0]} has {list(first[:2])}"
            )
        found[place] = picture
    if first is None:
        picture = _picture(paths[0], f"{paths[0]} (episode {episode}), frame 0")
        return np.zeros((0, *picture.shape), np.uint8)
    return found


def _picture(path: Path, where: str) -> np.ndarray:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{where}: the image cannot be decoded ({error})") from error

    def rgb(own: str) -> str:
        # Pillow cuts more than 8 bits a channel off at 255.
        if own.startswith(("I", "F")):
            raise ValueError(f"{where}: a picture of mode {own}, 8 bits a channel wanted")
        return "RGB"

    return decode(data, where, mode=rgb)


def _states(folder: Path) -> Path | None:
    return next((folder / name for name in STATES if (folder / name).is_file()), None)


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))


def _natural(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(1, int(p), "") if p.isdigit() else (0, 0, p.lower()) for p in parts if p]
