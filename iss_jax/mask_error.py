"""Errors of region masks, on purpose: how far NMR can be trusted where the masks cannot.

The paper names the quality of its masks as a limit. Each function here takes labels that are right
and returns labels that are wrong in one way and by a known amount. Labels are 0 (nuisance), 1
(support) and 2 (action-critical), as in `iss_jax.nmr.Region`; what is not nuisance is called
relevant. All run on the host.
"""

import math
from typing import Any

import jax
import numpy as np
import scipy.ndimage
from jaxtyping import Array, Float, Key, UInt8

from iss_jax.nmr import Region


def dilate(labels: UInt8[np.ndarray, "*b h w"], radius: float) -> UInt8[np.ndarray, "*b h w"]:
    """Relevant regions that are too large: a mask drawn generously.

    Every nuisance pixel whose centre is at most `radius` from that of a relevant one takes the
    label of the nearest.

    Args:
        labels: the true labels.
        radius: pixels, Euclidean.

    Raises:
        ValueError: the radius is negative.
    """
    _check_radius(radius)
    out = np.array(labels)
    for frame in out.reshape(-1, *out.shape[-2:]):
        relevant = frame != Region.NUISANCE
        if not relevant.any():
            continue
        distance, nearest = _to_other(~relevant)
        taken = ~relevant & (distance <= radius)
        frame[taken] = frame[nearest][taken]
    return out


def erode(labels: UInt8[np.ndarray, "*b h w"], radius: float) -> UInt8[np.ndarray, "*b h w"]:
    """Relevant regions that are too small: every pixel of theirs near nuisance becomes nuisance.

    Near is at most `radius` from centre to centre. Beyond the image nothing is known, so its border
    takes nothing away.

    Args:
        labels: the true labels.
        radius: pixels, Euclidean.

    Raises:
        ValueError: the radius is negative.
    """
    _check_radius(radius)
    out = np.array(labels)
    for frame in out.reshape(-1, *out.shape[-2:]):
        relevant = frame != Region.NUISANCE
        if relevant.all():
            continue
        distance, _ = _to_other(relevant)
        frame[relevant & (distance <= radius)] = Region.NUISANCE
    return out


def shift(labels: UInt8[np.ndarray, "*b h w"], rows: int, columns: int) -> np.ndarray:
    """Masks out of register: moved down by `rows` and right by `columns` pixels.

    What comes in at the border is the border's own label.

    Args:
        labels: the true labels.
        rows: pixels, may be negative.
        columns: pixels, may be negative.
    """
    height, width = labels.shape[-2:]
    from_rows = np.clip(np.arange(height) - rows, 0, height - 1)
    from_columns = np.clip(np.arange(width) - columns, 0, width - 1)
    return labels[..., from_rows[:, None], from_columns[None]]


def jitter(
    key: Key[Array, ""], labels: UInt8[np.ndarray, "b h w"], distance: float
) -> UInt8[np.ndarray, "b h w"]:
    """Every frame's masks moved by `distance` pixels in a direction of its own.

    Args:
        key: of the directions, uniform on the circle.
        labels: the true labels.
        distance: pixels; the move is rounded to whole ones.

    Raises:
        ValueError: the distance is negative.
    """
    _check_radius(distance)
    angles = np.asarray(jax.random.uniform(key, (len(labels),), maxval=2 * math.pi))
    return np.stack(
        [
            shift(frame, round(distance * math.sin(angle)), round(distance * math.cos(angle)))
            for frame, angle in zip(labels, angles.tolist(), strict=True)
        ]
    )


def drop_objects(
    key: Key[Array, ""],
    labels: UInt8[np.ndarray, "b h w"],
    count: int,
    *,
    smallest: int = 4,
) -> UInt8[np.ndarray, "b h w"]:
    """Objects that were overlooked: in every frame some relevant pieces become nuisance.

    A piece is a connected set of pixels of one label (neighbours share an edge), so an object that
    something covers in part counts as several.

    Args:
        key: of the choice, uniform among the frame's pieces, without repetition.
        labels: the true labels.
        count: pieces a frame; all of them where there are fewer.
        smallest: smaller pieces are no candidates, pixels.

    Raises:
        ValueError: the count is negative.
    """
    if count < 0:
        raise ValueError(f"count: {count} given, at least 0 wanted")
    out = np.array(labels)
    for frame, own in zip(out, jax.random.split(key, len(out)), strict=True):
        found = pieces(frame, smallest=smallest)
        if not found:
            continue
        order = np.asarray(jax.random.permutation(own, len(found)))[:count]
        for index in order.tolist():
            frame[found[index]] = Region.NUISANCE
    return out


def pieces(labels: UInt8[np.ndarray, "h w"], *, smallest: int = 1) -> list[np.ndarray]:
    """The connected pieces of the relevant labels of a frame, as masks bool [h, w].

    Args:
        labels: labels of one frame.
        smallest: smaller pieces are left out, pixels.
    """
    found = []
    for region in (Region.SUPPORT, Region.ACTION):
        numbered, count = _numbered(labels == region)
        masks = [numbered == number for number in range(1, count + 1)]
        found += [mask for mask in masks if mask.sum() >= smallest]
    return found


def overlap(
    labels: UInt8[np.ndarray, "b *pixels"], other: UInt8[np.ndarray, "b *pixels"]
) -> Float[np.ndarray, " b"]:
    """Intersection over union of the relevant regions; 1 where both are empty.

    Args:
        labels: labels of b frames.
        other: other labels of the same frames.
    """
    mine, theirs = (x.reshape(len(x), -1) != Region.NUISANCE for x in (labels, other))
    union = (mine | theirs).sum(1)
    return np.where(union > 0, (mine & theirs).sum(1) / np.maximum(union, 1), 1.0)


def _to_other(mask: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Of each pixel of a mask, its distance from the nearest pixel outside, and which that is."""
    found: Any = scipy.ndimage.distance_transform_edt(mask, return_indices=True)
    return found[0], tuple(found[1])


def _numbered(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """The connected sets of a mask, numbered from 1, and how many they are."""
    found: Any = scipy.ndimage.label(mask)
    return found


def _check_radius(radius: float) -> None:
    if not radius >= 0:
        raise ValueError(f"distance: {radius} pixels given, at least 0 wanted")
