"""Episodes with their maps as one page to click through, which loads nothing from elsewhere.

Scores are stored as cells and drawn, ranked and counted in the page, so that k, opacity and method
can be changed there. `explorer_page/` holds its template, its style and its script.
"""

import base64
import dataclasses
import io
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from iss_jax.data.atomic import write_bytes
from iss_jax.extras import imports_of
from iss_jax.viz.page import page_html

with imports_of("viz"):
    from PIL import Image

# Of a frame's compression, best first; the first with which all frames fit is taken.
QUALITIES = (85, 70, 55, 40)
MOST_BYTES = 6_000_000
REGIONS = ("nuisance", "support", "action")


@dataclasses.dataclass(frozen=True)
class Method:
    """A method's scores over an episode.

    Attributes:
        cells: [T, v, gh, gw]; views in the order of the episode's cameras.
        stderr: Of the cells' differences to the map's mean; NaN where it is not known.
        unit: What a score is.
    """

    cells: Float[np.ndarray, "T v gh gw"]
    stderr: Float[np.ndarray, "T v gh gw"]
    unit: str


@dataclasses.dataclass(frozen=True)
class ShownPlayers:
    """What may be taken away, and its share of the effects.

    Attributes:
        labels: Camera -> number of the player of each pixel, -1 for none.
        names: Of the players.
        share: [T, p].
        stderr: [T, p].
    """

    labels: Mapping[str, Int[np.ndarray, "T h w"]]
    names: Sequence[str]
    share: Float[np.ndarray, "T p"]
    stderr: Float[np.ndarray, "T p"]


@dataclasses.dataclass(frozen=True)
class ShownEpisode:
    """An episode of T frames.

    Attributes:
        title: In the list of episodes.
        times: Seconds.
        images: Camera -> frames.
        valid: Camera -> pixels that are picture.
        methods: Name -> scores; the first is shown first. There may be none where there are
            players.
        computed: Frames whose scores were computed; the others lie in between.
        regions: Camera -> labels 0 nuisance, 1 support, 2 action; empty where there are none.
        players: None where they were not asked for.
        chance: Nuisance share of the area, [T]; empty where it is not known.
        random: k -> NMR of random maps, [T, draws].
        percent: The k that the page begins with.
        success: None where it is not known.
        order: Cameras in the order in which scores that tie are taken; sorted when empty, as
            `iss_jax.nuisance_mass_ratio` of maps by camera.
    """

    title: str
    times: Float[np.ndarray, " T"]
    images: Mapping[str, UInt8[np.ndarray, "T h w 3"]]
    valid: Mapping[str, Bool[np.ndarray, "T h w"]]
    methods: Mapping[str, Method]
    computed: Bool[np.ndarray, " T"]
    regions: Mapping[str, UInt8[np.ndarray, "T h w"]] = dataclasses.field(default_factory=dict)
    players: ShownPlayers | None = None
    chance: Float[np.ndarray, " T"] | None = None
    random: Mapping[float, Float[np.ndarray, "T draws"]] = dataclasses.field(default_factory=dict)
    percent: float = 10.0
    success: bool | None = None
    order: Sequence[str] = ()


def write_explorer(path: Path, episodes: Sequence[ShownEpisode], *, title: str) -> Path:
    """Writes the page.

    Args:
        path: Of the HTML file; its folder must exist.
        episodes: In the order of the list.
        title: Of the page.

    Raises:
        ValueError: No episode, or arrays of one that do not fit together; the message names it.
    """
    write_bytes(path, explorer_html(episodes, title=title).encode())
    return path


def explorer_html(episodes: Sequence[ShownEpisode], *, title: str) -> str:
    """The page as text; arguments and errors of `write_explorer`."""
    if not episodes:
        raise ValueError("episodes: none given, one at least wanted")
    for episode in episodes:
        _check(episode)
    quality = _quality(episodes)
    content = [_packed_episode(episode, quality) for episode in episodes]
    return page_html("explorer_page", content, title=title)


def _check(episode: ShownEpisode) -> None:
    frames, cameras = len(episode.times), list(episode.images)
    shapes = {camera: image.shape[:3] for camera, image in episode.images.items()}
    for camera, shape in shapes.items():
        if shape[0] != frames:
            raise ValueError(f"{episode.title}: {shape[0]} frames of {camera}, {frames} times")
    labels = {} if episode.players is None else episode.players.labels
    for name, arrays in (
        ("valid", episode.valid),
        ("regions", episode.regions),
        ("players.labels", labels),
    ):
        for camera, array in arrays.items():
            if array.shape != shapes.get(camera):
                raise ValueError(
                    f"{episode.title}: {name}[{camera!r}] has shape {list(array.shape)}, its "
                    f"images have {list(shapes.get(camera, ()))}"
                )
    for name, method in episode.methods.items():
        for part, array in (("cells", method.cells), ("stderr", method.stderr)):
            if array.ndim != 4 or array.shape[:2] != (frames, len(cameras)):
                raise ValueError(
                    f"{episode.title}: {part} of {name} have shape {list(array.shape)}, wanted "
                    f"[{frames}, {len(cameras)}, gh, gw]"
                )
    if episode.order and sorted(episode.order) != sorted(cameras):
        raise ValueError(
            f"{episode.title}: order names {list(episode.order)}, its cameras are {cameras}"
        )
    if not episode.methods and episode.players is None:
        raise ValueError(f"{episode.title}: no method given, one at least or players wanted")
    for k, draws in episode.random.items():
        if draws.ndim != 2 or len(draws) != frames:
            raise ValueError(
                f"{episode.title}: random[{k:g}] has shape {list(draws.shape)}, wanted "
                f"[{frames}, draws]"
            )
    players = episode.players
    if players is not None:
        for name, array in (("share", players.share), ("stderr", players.stderr)):
            if array.shape != (frames, len(players.names)):
                raise ValueError(
                    f"{episode.title}: players.{name} has shape {list(array.shape)}, wanted "
                    f"[{frames}, {len(players.names)}]"
                )


def _packed_episode(episode: ShownEpisode, quality: int) -> dict[str, Any]:
    players = episode.players
    return {
        "title": episode.title,
        "success": episode.success,
        "times": np.round(episode.times, 3).tolist(),
        "computed": episode.computed.tolist(),
        "percent": episode.percent,
        "order": [list(episode.images).index(c) for c in episode.order or sorted(episode.images)],
        "cameras": [
            {
                "name": camera,
                "height": image.shape[1],
                "width": image.shape[2],
                "frames": [_picture(frame, quality) for frame in image],
                "valid": _packed(episode.valid[camera].astype(np.uint8)),
                "regions": _packed(episode.regions[camera].astype(np.uint8))
                if camera in episode.regions
                else None,
                "players": _packed(players.labels[camera].astype(np.int16))
                if players is not None and camera in players.labels
                else None,
            }
            for camera, image in episode.images.items()
        ],
        "methods": [
            {
                "name": name,
                "unit": method.unit,
                "cells": _packed(method.cells.astype(np.float32)),
                "stderr": _packed(method.stderr.astype(np.float32)),
            }
            for name, method in episode.methods.items()
        ],
        "players": None
        if players is None
        else {
            "names": list(players.names),
            "share": _packed(players.share.astype(np.float32)),
            "stderr": _packed(players.stderr.astype(np.float32)),
        },
        "chance": None if episode.chance is None else _packed(episode.chance.astype(np.float32)),
        "random": [
            {
                "percent": float(k),
                "draws": draws.shape[1],
                "low": _packed(draws.min(1).astype(np.float32)),
                "high": _packed(draws.max(1).astype(np.float32)),
            }
            for k, draws in episode.random.items()
        ],
    }


def _packed(array: np.ndarray) -> dict[str, Any]:
    """An array as text: zlib of its bytes, little-endian, in base 64."""
    little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    return {
        "type": array.dtype.name,
        "shape": list(array.shape),
        "data": base64.b64encode(zlib.compress(little.tobytes(), 9)).decode(),
    }


def _picture(frame: UInt8[np.ndarray, "h w 3"], quality: int) -> str:
    return base64.b64encode(webp(frame, quality)).decode()


def webp(frame: UInt8[np.ndarray, "h w 3"], quality: int) -> bytes:
    """A picture as a WebP file.

    Args:
        frame: The picture.
        quality: 1 to 100.
    """
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def _quality(episodes: Sequence[ShownEpisode]) -> int:
    """The best quality at which all frames fit, by some frames of each camera."""
    for quality in QUALITIES[:-1]:
        size = 0.0
        for episode in episodes:
            for image in episode.images.values():
                some = image[:: max(1, len(image) // 8)]
                size += len(image) * np.mean([len(webp(one, quality)) for one in some]).item()
        if size * 4 / 3 <= MOST_BYTES:
            return quality
    return QUALITIES[-1]
