"""An episode as a rerun recording: frames, saliency, NMR and the robot's path on one time line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from iss_jax.data.atomic import atomic_path
from iss_jax.effects import Effects
from iss_jax.extras import imports_of
from iss_jax.viz.nmr_curve import Curve
from iss_jax.viz.video import Frames


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

    with atomic_path(path) as temporary:
        recording = rr.RecordingStream("iss_jax", recording_id=name)
        recording.save(str(temporary))
        # Names stand in lists: with blanks or slashes of their own they are no paths.
        if position is not None:
            recording.log("robot/path", rr.LineStrips3D([position]), static=True)
        if acted is not None:
            names = acted.shown_names()
            shares = np.where(np.asarray(acted.valid)[:, None], np.asarray(acted.share), np.nan)
            # 0 is no player.
            players = {
                acted.cameras.get(view) or view: (np.asarray(own) + 1).astype(np.uint16)
                for view, own in acted.players.labels.items()
            }
            about = [(0, ""), *((i + 1, name) for i, name in enumerate(names))]
            for view in players:
                recording.log([view, "players"], rr.AnnotationContext(about), static=True)
        for index, time in enumerate(times):
            recording.set_time("frame", sequence=index)
            recording.set_time("time", duration=float(time))
            for view in images:
                recording.log([view, "frame"], rr.Image(images[view][index]))
                recording.log([view, "saliency"], rr.Image(overlays[view][index]))
                if view in regions:
                    recording.log([view, "regions"], rr.SegmentationImage(regions[view][index]))
            if curve is not None:
                recording.log(f"nmr/nmr@{curve.percent:g}", rr.Scalars(float(curve.nmr[index])))
                recording.log("nmr/chance", rr.Scalars(float(curve.chance[index])))
            if position is not None:
                recording.log("robot/hand", rr.Points3D([position[index]]))
            if acted is not None:
                for name, share in zip(names, shares[index], strict=True):
                    recording.log(["acts_on", name], rr.Scalars(float(share)))
                for view, labels in players.items():
                    recording.log([view, "players"], rr.SegmentationImage(labels[index]))
        recording.flush()
        recording.disconnect()
    return Path(path)
