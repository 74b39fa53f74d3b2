"""An episode as a rerun recording: frames, saliency, NMR and the robot's path on one time line.

It holds its own layout, so that the viewer opens with every camera, map and curve in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8, UInt16

from iss_jax.data.atomic import atomic_path
from iss_jax.effects import Effects
from iss_jax.extras import imports_of
from iss_jax.nmr import Region
from iss_jax.viz.nmr_curve import Curve
from iss_jax.viz.video import Frames

JPEG_QUALITY = 90  # of frames and of those under their maps


def write_timeline(
    path: str | Path,
    name: str,
    images: Mapping[str, UInt8[np.ndarray, "t h w 3"]],
    overlays: Mapping[str, Frames],
    regions: Mapping[str, UInt8[np.ndarray, "t h w"]],
    times: Float[np.ndarray, " t"],
    curve: Curve | None,
    position: Float[np.ndarray, "t 3"] | None,
    acted: Effects | None = None,
) -> Path:
    """Writes a `.rrd` file, whole or not at all; `rerun <path>` shows it.

    Args:
        path: where, with suffix `.rrd`.
        name: of the recording.
        images: view to frames.
        overlays: view to frames with their saliency.
        regions: view to labels, of the views that have some.
        times: of the frames, seconds.
        curve: NMR of the frames; None where it is not known.
        position: of the end effector, metres; None where it is not known.
        acted: what the policy acts on in the same frames: a series of shares a player, and players
            as labels of pixels.

    Returns:
        The path.

    Raises:
        ModuleNotFoundError: rerun-sdk is not installed (extra `rerun`).
    """
    with imports_of("rerun"):
        import rerun as rr

    acts = None if acted is None else _Acts.of(acted)
    with atomic_path(path) as temporary:
        recording = rr.RecordingStream("iss_jax", recording_id=name)
        shown = tuple(regions), () if acts is None else tuple(acts.labels)
        plan = blueprint(tuple(images), *shown, curve is not None, position is not None)
        recording.save(str(temporary), default_blueprint=plan)
        # Names stand in lists: with blanks or slashes of their own they are no paths.
        if position is not None:
            recording.log("robot/path", rr.LineStrips3D([position]), static=True)
        for view in regions:
            about = [(int(region), region.name.lower()) for region in Region]
            recording.log([view, "regions"], rr.AnnotationContext(about), static=True)
        if curve is not None:
            told = {"nmr": f"NMR@{curve.percent:g}", "chance": "chance, nuisance share of the area"}
            for own, label in told.items():
                recording.log(f"nmr/{own}", rr.SeriesLines(names=label), static=True)
        if acts is not None:
            for own in acts.names:
                recording.log(["acts_on", own], rr.SeriesLines(names=own), static=True)
            # 0 is no player.
            about = [(0, ""), *((i + 1, own) for i, own in enumerate(acts.names))]
            for view in acts.labels:
                recording.log([view, "players"], rr.AnnotationContext(about), static=True)
        for index, time in enumerate(times):
            recording.set_time("frame", sequence=index)
            recording.set_time("time", duration=float(time))
            for view in images:
                for own, frames in (("frame", images), ("saliency", overlays)):
                    picture = rr.Image(frames[view][index]).compress(jpeg_quality=JPEG_QUALITY)
                    recording.log([view, own], picture)
                if view in regions:
                    recording.log([view, "regions"], rr.SegmentationImage(regions[view][index]))
            if curve is not None:
                recording.log("nmr/nmr", rr.Scalars(float(curve.nmr[index])))
                recording.log("nmr/chance", rr.Scalars(float(curve.chance[index])))
            if position is not None:
                recording.log("robot/hand", rr.Points3D([position[index]]))
            if acts is not None:
                for own, share in zip(acts.names, acts.shares[index], strict=True):
                    recording.log(["acts_on", own], rr.Scalars(float(share)))
                for view, labels in acts.labels.items():
                    recording.log([view, "players"], rr.SegmentationImage(labels[index]))
        recording.flush()
        recording.disconnect()
    return Path(path)


class _Acts(NamedTuple):
    """Players as a recording takes them: names, shares, and camera -> 1 + number of the player."""

    names: tuple[str, ...]
    shares: Float[np.ndarray, "t p"]
    labels: dict[str, UInt16[np.ndarray, "t h w"]]

    @classmethod
    def of(cls, acted: Effects) -> _Acts:
        labels = {
            acted.cameras.get(view) or view: (np.asarray(own) + 1).astype(np.uint16)
            for view, own in acted.players.labels.items()
        }
        known = np.asarray(acted.valid)[:, None]
        shares = np.where(known, np.asarray(acted.share), np.nan)
        return cls(acted.shown_names(), shares, labels)


def blueprint(
    views: Sequence[str],
    regions: Sequence[str],
    players: Sequence[str],
    curve: bool,
    position: bool,
) -> Any:
    """How the viewer lays a recording out: a column a camera, the curves beneath.

    Each camera's frame, map, regions and players have a view each. NMR and its chance level share
    a panel.

    Args:
        views: Cameras.
        regions: Those with region labels.
        players: Those with players.
        curve: Whether there is an NMR.
        position: Whether there is a path of the hand.

    Raises:
        ModuleNotFoundError: rerun-sdk is not installed (extra `rerun`).
    """
    with imports_of("rerun"):
        import rerun as rr
        import rerun.blueprint as rrb

    def path(*parts: str) -> str:
        return rr.new_entity_path(list(parts))

    columns = []
    for view in views:
        titles = {"frame": view, "saliency": f"{view}, map"}
        if view in regions:
            titles["regions"] = f"{view}, regions"
        if view in players:
            titles["players"] = f"{view}, players"
        columns.append(
            rrb.Vertical(
                *(rrb.Spatial2DView(origin=path(view, o), name=t) for o, t in titles.items())
            )
        )
    beneath = []
    if curve:
        beneath.append(rrb.TimeSeriesView(origin="/nmr", name="NMR and chance"))
    if players:
        beneath.append(rrb.TimeSeriesView(origin="/acts_on", name="Shares of what it acts on"))
    if position:
        beneath.append(rrb.Spatial3DView(origin="/robot", name="Path of the hand"))
    rows = [rrb.Horizontal(*columns), *([rrb.Horizontal(*beneath)] if beneath else [])]
    return rrb.Blueprint(
        rrb.Vertical(*rows, row_shares=[3, 1][: len(rows)]),
        auto_views=False,
        collapse_panels=True,
    )
