"""Region masks from coarse boxes and polygons, drawn on some frames and kept as COCO."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from iss_jax.data.json_file import read_object
from iss_jax.data.label_images import REGIONS
from iss_jax.extras import imports_of

with imports_of("data"):
    from PIL import Image, ImageDraw

_PLACE = re.compile(r"(?:^|/)(?P<camera>[^/]+)/episode_(?P<episode>\d+)/(?P<frame>\d+)\.\w+$")


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
        ValueError: it cannot be read, an entry is missing, or a category is no region; the message
            names the image or annotation.
    """
    content = read_object(path)
    missing = [key for key in ("images", "annotations", "categories") if key not in content]
    if missing:
        raise ValueError(f"{path}: {missing} missing")
    regions = {}
    for category in content["categories"]:
        name = category.get("name")
        region = (names or {}).get(name, name)
        if region not in REGIONS:
            raise ValueError(
                f"{path}: category {name!r} is no region; name it {list(REGIONS)} or map it"
            )
        regions[category.get("id")] = REGIONS[region]
    found: dict[tuple[str, int], list[Keyframe]] = {}
    by_id = {}
    for image in content["images"]:
        camera, episode, frame = _place(image, path)
        size = image.get("height"), image.get("width")
        if not all(isinstance(side, int) and side > 0 for side in size):
            raise ValueError(f"{path}, image {image.get('id')}: height and width are {size}")
        keyframe = Keyframe(frame, size, [])
        own = found.setdefault((camera, episode), [])
        if any(other.frame == frame for other in own):
            raise ValueError(
                f"{path}: two images are camera {camera!r}, episode {episode}, frame {frame}"
            )
        own.append(keyframe)
        by_id[image.get("id")] = keyframe
    for annotation in content["annotations"]:
        name = f"{path}, annotation {annotation.get('id')}"
        if annotation.get("image_id") not in by_id:
            raise ValueError(f"{name}: there is no image {annotation.get('image_id')}")
        if annotation.get("category_id") not in regions:
            raise ValueError(f"{name}: there is no category {annotation.get('category_id')}")
        shape = (regions[annotation["category_id"]], annotation)
        by_id[annotation["image_id"]].shapes.append(shape)
    return {place: sorted(own, key=lambda keyframe: keyframe.frame) for place, own in found.items()}


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
            draw = ImageDraw.Draw(labels)
            for polygon in drawing:
                if not _numbers(polygon) or len(polygon) < 6 or len(polygon) % 2:
                    raise ValueError(f"{named}: {polygon!r} is no polygon [x, y, x, y, x, y, ...]")
                # Pillow's whole numbers are the centres of pixels, COCO's their corners.
                draw.polygon([value - 0.5 for value in polygon], fill=region)
        elif _numbers(box) and len(box) == 4:
            left, top, right, bottom = _inside(box, (height, width))
            if right > left and bottom > top:
                labels.paste(region, (left, top, right, bottom))
        else:
            raise ValueError(f"{named}: neither a bbox [x, y, w, h] nor a segmentation")
    return np.asarray(labels).copy()


def held(keyframes: Sequence[Keyframe], length: int, where: str) -> np.ndarray:
    """The regions of a whole episode: each keyframe holds until the next.

    Args:
        keyframes: in order.
        length: frames of the episode.
        where: the file, camera and episode, for messages.

    Returns:
        uint8 [length, h, w].

    Raises:
        ValueError: the first keyframe is not frame 0, one lies behind the episode, or they differ
            in size.
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
    starts = np.array([keyframe.frame for keyframe in keyframes])
    drawn = np.stack([rasterise(keyframe, where) for keyframe in keyframes])
    return drawn[np.searchsorted(starts, np.arange(length), side="right") - 1]


def _place(image: Mapping[str, Any], path: Path) -> tuple[str, int, int]:
    if all(key in image for key in ("camera", "episode", "frame")):
        return str(image["camera"]), int(image["episode"]), int(image["frame"])
    found = _PLACE.search(str(image.get("file_name", "")))
    if not found:
        raise ValueError(
            f"{path}, image {image.get('id')}: neither camera, episode and frame are given nor a "
            f"file name <camera>/episode_<episode>/<frame>.png, but {image.get('file_name')!r}"
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
    counts = drawing.get("counts")
    if not _numbers(counts) or tuple(drawing.get("size", ())) != size:
        raise ValueError(
            f"{where}: run lengths of size {drawing.get('size')} wanted as a list of counts and of "
            f"size {list(size)}"
        )
    if sum(counts) != size[0] * size[1]:
        raise ValueError(
            f"{where}: run lengths of {sum(counts)} pixels, {size[0] * size[1]} wanted"
        )
    flat = np.repeat(np.arange(len(counts)) % 2, np.array(counts, np.int64))
    return flat.reshape(size[1], size[0]).T.astype(bool)


def _numbers(value: Any) -> TypeGuard[list[float]]:
    return isinstance(value, list) and all(isinstance(v, int | float) for v in value)
