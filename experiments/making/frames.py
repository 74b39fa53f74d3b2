"""Training frames: LeRobot datasets with action chunks, decoded into memory."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tqdm

from experiments.making.object_pixels import FILE
from experiments.making.panel_masks import read_masks
from iss_jax.data.dataset import Dataset, num_frames, open_dataset
from iss_jax.data.episode import CHUNKS
from iss_jax.few import few
from iss_jax.policies.chunks import require_chunks


@dataclasses.dataclass(frozen=True)
class Frames:
    """n frames.

    Attributes:
        images: camera -> uint8 [n, h, w, 3].
        state: float32 [n, s], robot units.
        chunk: float32 [n, H, a], the expert's next H actions, robot units.
        valid: bool [n, H], which of them are expert actions.
        target: float32 [n, 3], position of the object to grasp, metres.
        objects: float32 [n, cameras, kinds, 2], pixels of all objects as `locate_objects` writes
            them, or None where it did not.
        wanted: int32 [n], which of the kinds is to be grasped, or None likewise.
        prompt: int32 [n], index into `prompts`.
        prompts: the distinct instructions.
        panels: camera -> packed masks as `locate_panels` writes them, or None.
    """

    images: dict[str, np.ndarray]
    state: np.ndarray
    chunk: np.ndarray
    valid: np.ndarray
    target: np.ndarray
    objects: np.ndarray | None
    wanted: np.ndarray | None
    prompt: np.ndarray
    prompts: tuple[str, ...]
    panels: dict[str, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.state)


def load_frames(
    roots: Sequence[str],
    *,
    validation_every: int = 0,
    panels: bool = False,
    progress: bool = True,
    action_horizon: int | None = None,
    whose: str = "config.action_horizon",
) -> tuple[Frames, Frames | None]:
    """Decode every episode of some datasets.

    Args:
        roots: dataset folders, all with the same cameras and shapes.
        validation_every: every so-many-th episode is held out; 0 holds out none.
        panels: read the masks of the planted panel, too.
        progress: show a bar.
        action_horizon: length that the chunks must have; the first dataset's when None.
        whose: that length is, for the message.

    Returns:
        (training frames, held-out frames or None).

    Raises:
        ValueError: a dataset lacks `action_chunk` or, with `panels`, masks of the panel; its chunks
            are of another length or robot than the others' or than is wanted; or there is no frame
            at all.
    """
    parts: tuple[list, list] = ([], [])
    places: tuple[list, list] = ([], [])
    masks: tuple[list, list] = ([], [])
    datasets = [open_dataset(root) for root in roots]
    _check_chunks(datasets, action_horizon, whose)
    located_in = [_object_pixels(dataset) for dataset in datasets]
    kinds = sorted({name for found in located_in if found for name in found[0]})
    for root, dataset, found in zip(roots, datasets, located_in, strict=True):
        located = _among(kinds, found)
        panels_in = read_masks(dataset) if panels else None
        first = 0
        if "target_position" not in dataset.read(0, [0], regions=False).features:
            raise ValueError(f"{root}: has no feature 'target_position', which training needs")
        for i in tqdm.trange(len(dataset), desc=str(root), disable=not progress):
            held_out = bool(validation_every) and i % validation_every == validation_every - 1
            parts[held_out].append(dataset.read(i, regions=False))
            length = dataset.metadata(i)["length"]
            rows = slice(first, first + length)
            if panels_in is not None:
                masks[held_out].append({c: packed[rows] for c, packed in panels_in.items()})
            if located is not None:
                places[held_out].append((located[0][rows], located[1][rows]))
            first += length
    if not parts[0]:
        raise ValueError(f"no training episodes in {few(roots)}")
    prompts = tuple(sorted({episode.prompt for part in parts for episode in part}))
    if any(0 < len(place) < len(part) for place, part in zip(places, parts, strict=True)):
        raise ValueError(f"{few(roots)}: only some have {FILE}; run locate_objects on all")
    train = _stack(parts[0], places[0], masks[0], prompts)
    return train, _stack(parts[1], places[1], masks[1], prompts) if parts[1] else None


def _check_chunks(datasets: Sequence[Dataset], horizon: int | None, whose: str) -> None:
    """Says which dataset has no chunks, or others than are wanted, before a frame is decoded."""
    for dataset in datasets:
        shapes = dataset.action_shapes
        for name in CHUNKS:
            if name not in shapes:
                raise ValueError(f"{dataset.root}: has no feature {name!r}, which training needs")
        chunk, valid = (shapes[name] for name in CHUNKS)
        if len(chunk) != 2 or valid != chunk[:1]:
            raise ValueError(
                f"{dataset.root}: {CHUNKS[0]} {list(chunk)} and {CHUNKS[1]} {list(valid)} given, "
                "[H, A] and [H] wanted"
            )
        require_chunks(dataset, horizon, whose=whose)
    for dataset in datasets[1:]:
        first = datasets[0].action_shapes[CHUNKS[0]]
        require_chunks(dataset, first[0], first[1:], f"{datasets[0].root}")


def _among(
    kinds: list[str], found: tuple[list[str], np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Pixels and wanted kinds of one dataset, numbered as in all datasets together."""
    if found is None:
        return None
    names, pixels, wanted = found
    places = np.array([kinds.index(name) for name in names])
    out = np.full((*pixels.shape[:2], len(kinds), 2), np.nan, pixels.dtype)
    out[:, :, places] = pixels
    return out, places[wanted].astype(np.int32)


def _object_pixels(dataset: Dataset) -> tuple[list[str], np.ndarray, np.ndarray] | None:
    path = dataset.root / FILE
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        names, pixels, wanted = file["names"].tolist(), file["pixels"], file["wanted"]
    if len(pixels) != num_frames(dataset):
        raise ValueError(
            f"{path}: {len(pixels)} frames, the dataset has {num_frames(dataset)}; run "
            "locate_objects again"
        )
    return names, pixels, wanted


def _stack(episodes: list, places: list, masks: list, prompts: tuple[str, ...]) -> Frames:
    def join(get) -> np.ndarray:
        return np.concatenate([get(episode) for episode in episodes])

    return Frames(
        images={c: join(lambda e, c=c: e.images[c]) for c in episodes[0].images},
        state=join(lambda e: e.state),
        chunk=join(lambda e: e.features[CHUNKS[0]].astype(np.float32)),
        valid=join(lambda e: e.features[CHUNKS[1]].astype(bool)),
        target=join(lambda e: e.features["target_position"].astype(np.float32)),
        objects=np.concatenate([pixels for pixels, _ in places]) if places else None,
        wanted=np.concatenate([wanted for _, wanted in places]) if places else None,
        prompt=join(lambda e: np.full(len(e), prompts.index(e.prompt), np.int32)),
        prompts=prompts,
        panels={c: np.concatenate([m[c] for m in masks]) for c in masks[0]} if masks else None,
    )
