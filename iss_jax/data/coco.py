"""Region masks from coarse boxes and polygons, drawn on some frames and kept as COCO."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from iss_jax.data.bounds import check_pixels
from iss_jax.data.json_file import is_count, read_object
from iss_jax.data.label_images import REGIONS
from iss_jax.extras import imports_of
from iss_jax.few import few

with imports_of("data"):
    from PIL import Image, ImageDraw

_FURTHEST = 2**24
_PLACE = re.compile(
    r"(?:^|/)(?P<camera>[^/]+)/episode_(?P<episode>\d{1,18})/(?P<frame>\d{1,18})\.\w+$"
)


class Keyframe(NamedTuple):
    """What was drawn on one image.

    Attributes:
        frame: its frame.
        size: its height and width.
        shapes: (region, annotation) in the order of the file.
    """

    frame: int
    size: tuple[int, int]
    shapes: list[tuple[int, Mapping[str, Any]]]


def read_coco(
    path: Path, names: Mapping[str, str] | None = None
) -> dict[tuple[str, int], list[Keyframe]]:
    """Reads a COCO file of boxes and polygons drawn on some frames.

    An image says its camera, episode and frame by those keys, else by its file name,
    `<camera>/episode_<episode>/<frame>.png`.

    Args:
        path: the file.
        names: category to `nuisance`, `support` or `action`; when None the categories have these
            names.

    Returns:
        (camera, episode) to its keyframes, in order.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it cannot be read, an entry is missing, a category is no region, or a box has no
            area; the message names the image or annotation.
    """
    content = read_object(path)
    missing = [key for key in ("images", "annotations", "categories") if key not in content]
    if missing:
        raise ValueError(f"{path}: {few(missing)} missing")
    regions: dict[int | str, int] = {}
    for category in _entries(content, "categories", path):
        name, number = category.get("name"), _id(category, "id", f"{path}, category")
        region = (names or {}).get(name, name) if isinstance(name, str) else name
        if not isinstance(region, str) or region not in REGIONS:
            raise ValueError(
                f"{path}: category {name!r} is no region; name it {list(REGIONS)} or map it"
            )
        if regions.setdefault(number, REGIONS[region]) != REGIONS[region]:
            raise ValueError(f"{path}: category {number} has two names of different regions")
    found: dict[tuple[str, int], dict[int, Keyframe]] = {}
    by_id: dict[int | str, Keyframe] = {}
    for image in _entries(content, "images", path):
        number = _id(image, "id", f"{path}, image")
        camera, episode, frame = _place(image, path)
        height, width = image.get("height"), image.get("width")
        if not is_count(height, 1) or not is_count(width, 1):
            raise ValueError(f"{path}, image {number}: height and width are {(height, width)}")
        check_pixels(height, width, f"{path}, image {number}")
        own = found.setdefault((camera, episode), {})
        if frame in own:
            raise ValueError(
                f"{path}: two images are camera {camera!r}, episode {episode}, frame {frame}"
            )
        if number in by_id:
            raise ValueError(f"{path}: two images have the id {number!r}")
        own[frame] = by_id[number] = Keyframe(frame, (height, width), [])
    for annotation in _entries(content, "annotations", path):
        name = f"{path}, annotation {annotation.get('id')}"
        image, category = (_id(annotation, key, name) for key in ("image_id", "category_id"))
        if image not in by_id:
            raise ValueError(f"{name}: there is no image {image}")
        if category not in regions:
            raise ValueError(f"{name}: there is no category {category}")
        box = annotation.get("bbox")
        # Of a drawing the box is beside the point.
        drawn = annotation.get("segmentation")
        if not drawn and _numbers(box) and len(box) == 4 and min(box[2:]) <= 0:
            raise ValueError(
                f"{name}: bbox {box} has no area; [x, y, w, h], w and h above 0 wanted"
            )
        by_id[image].shapes.append((regions[category], annotation))
    return {place: [own[frame] for frame in sorted(own)] for place, own in found.items()}


def rasterise(keyframe: Keyframe, where: str) -> np.ndarray:
    """The regions of a keyframe; what nothing covers is nuisance, later shapes cover earlier ones.

    A box covers the pixels whose centres are in it. A polygon is filled with its outline, so it may
    cover up to a pixel more.

    Args:
        keyframe: what was drawn.
        where: the file, camera and episode, for messages.

    Returns:
        uint8 [h, w].

    Raises:
        ValueError: a shape is neither a box, a polygon nor an uncompressed run-length mask.
    """
    height, width = keyframe.size
    labels = Image.new("L", (width, height), REGIONS["nuisance"])
    for region, annotation in keyframe.shapes:
        named = f"{where}, frame {keyframe.frame}, annotation {annotation.get('id')}"
        drawing, box = annotation.get("segmentation"), annotation.get("bbox")
        if isinstance(drawing, Mapping):
            mask = _runs(drawing, (height, width), named)
            labels.paste(region, (0, 0), Image.fromarray(mask.astype(np.uint8) * 255))
        elif drawing:
            if not isinstance(drawing, list):
                raise ValueError(f"{named}: {_short(drawing)} is no list of polygons")
            draw = ImageDraw.Draw(labels)
            for polygon in drawing:
                if not _numbers(polygon) or len(polygon) < 6 or len(polygon) % 2:
                    raise ValueError(
                        f"{named}: {_short(polygon)} is no polygon [x, y, x, y, x, y, ...]"
                    )
                # Pillow's whole numbers are the centres of pixels, COCO's their corners.
                draw.polygon([value - 0.5 for value in polygon], fill=region)
        elif _numbers(box) and len(box) == 4:
            left, top, right, bottom = _inside(box, (height, width))
            if right > left and bottom > top:
                labels.paste(region, (left, top, right, bottom))
        else:
            raise ValueError(f"{named}: neither a bbox [x, y, w, h] nor a segmentation")
    return np.asarray(labels).copy()


def held(
    keyframes: Sequence[Keyframe],
    length: int,
    where: str,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """The regions of a whole episode: each keyframe holds until the next.

    Args:
        keyframes: in order.
        length: frames of the episode.
        where: the file, camera and episode, for messages.
        size: height and width of the episode's frames; any when None.

    Returns:
        uint8 [length, h, w].

    Raises:
        ValueError: the first keyframe is not frame 0, one lies behind the episode, or they differ
            in size, from each other or from the frames.
    """
    if not keyframes or keyframes[0].frame != 0:
        first = keyframes[0].frame if keyframes else None
        raise ValueError(f"{where}: the first keyframe is {first}, frame 0 has nothing to go by")
    if keyframes[-1].frame >= length:
        raise ValueError(
            f"{where}: keyframe {keyframes[-1].frame}, the episode has {length} frames"
        )
    for keyframe in keyframes:
        if keyframe.size != keyframes[0].size:
            raise ValueError(
                f"{where}, frame {keyframe.frame}: drawn on {list(keyframe.size)} pixels, frame "
                f"{keyframes[0].frame} on {list(keyframes[0].size)}"
            )
    if size is not None and keyframes[0].size != size:
        raise ValueError(
            f"{where}: masks of {list(keyframes[0].size)} pixels, the frames have {list(size)}"
        )
    labels = np.empty((length, *keyframes[0].size), np.uint8)
    ends = [*(keyframe.frame for keyframe in keyframes[1:]), length]
    for keyframe, end in zip(keyframes, ends, strict=True):
        labels[keyframe.frame : end] = rasterise(keyframe, where)
    return labels


def _entries(content: Mapping[str, Any], key: str, path: Path) -> list[Mapping[str, Any]]:
    entries = content[key]
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError(f"{path}: {key} is {_short(entries)}, a list of objects wanted")
    return entries


def _id(entry: Mapping[str, Any], key: str, where: str) -> int | str:
    if not is_count(entry.get(key)) and not isinstance(entry.get(key), str):
        raise ValueError(f"{where}: {key} is {_short(entry.get(key))}, a number or text wanted")
    return entry[key]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _place(image: Mapping[str, Any], path: Path) -> tuple[str, int, int]:
    where = f"{path}, image {image.get('id')}"
    if all(key in image for key in ("camera", "episode", "frame")):
        camera, episode, frame = image["camera"], image["episode"], image["frame"]
        if not isinstance(camera, str) or not is_count(episode) or not is_count(frame):
            raise ValueError(
                f"{where}: camera {_short(camera)}, episode {_short(episode)}, frame "
                f"{_short(frame)}; a name and two numbers from 0 on wanted"
            )
        return camera, episode, frame
    found = _PLACE.search(str(image.get("file_name", "")))
    if not found:
        raise ValueError(
            f"{where}: neither camera, episode and frame are given nor a file name "
            f"<camera>/episode_<episode>/<frame>.png, but {image.get('file_name')!r}"
        )
    return found["camera"], int(found["episode"]), int(found["frame"])


def _inside(box: Sequence[float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    x, y, w, h = box
    corners = [np.ceil(value - 0.5) for value in (x, y, x + w, y + h)]
    limits = (size[1], size[0], size[1], size[0])
    left, top, right, bottom = (
        int(np.clip(value, 0, limit)) for value, limit in zip(corners, limits, strict=True)
    )
    return left, top, right, bottom


def _runs(drawing: Mapping[str, Any], size: tuple[int, int], where: str) -> np.ndarray:
    """COCO's uncompressed run lengths: column after column, of zeros first."""
    counts, given = drawing.get("counts"), drawing.get("size")
    if not isinstance(counts, list) or given != list(size):
        raise ValueError(
            f"{where}: run lengths of size {_short(given)} wanted as a list of counts and of "
            f"size {list(size)}"
        )
    if not all(map(is_count, counts)):
        raise ValueError(f"{where}: run lengths {_short(counts)}, numbers from 0 on wanted")
    if sum(counts) != size[0] * size[1]:
        raise ValueError(
            f"{where}: run lengths of {sum(counts)} pixels, {size[0] * size[1]} wanted"
        )
    flat = np.repeat((np.arange(len(counts)) % 2).astype(bool), np.array(counts, np.int64))
    return flat.reshape(size[1], size[0]).T


def _numbers(value: Any) -> TypeGuard[list[float]]:
    """Whether a value is a list of coordinates; one far outside of any picture is none."""
    return isinstance(value, list) and all(
        isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= _FURTHEST
        for v in value
    )
