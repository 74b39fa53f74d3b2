"""Frames of a video by their time, through PyAV (part of the `data` extra)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from iss_jax.extras import imports_of

# Of a frame's duration: further off than this, a picture is not the one of the time asked for.
_TOLERANCE = 0.25


def read_frames(
    path: Path,
    times: np.ndarray,
    rows: np.ndarray,
    fps: float,
    shape: tuple[int, int, int],
    where: str,
) -> np.ndarray:
    """Decodes the pictures that are shown at some times.

    Decoding starts at the last key frame before the first of them and ends at the last of them.

    Args:
        path: the video.
        times: float [T], seconds from its beginning.
        rows: int [T], the frames those are, for messages.
        fps: frames a second, which say how far a picture may be from its time.
        shape: of one picture.
        where: the file and episode, for messages.

    Returns:
        uint8 [T, *shape], RGB.

    Raises:
        FileNotFoundError: the video is missing.
        ValueError: it cannot be decoded, has no picture at one of the times, or one of another
            size; the message names the frame.
    """
    with imports_of("data"):
        import av
        import av.error

    if not path.exists():
        raise FileNotFoundError(f"{where}: the video is missing")
    found: dict[int, np.ndarray] = {}
    if not len(times):
        return np.zeros((0, *shape), np.uint8)
    order = np.argsort(times, kind="stable")
    waiting = list(order)
    damage = None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{where}: holds no video")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            if stream.time_base is None:
                raise ValueError(f"{where}: the video has no time base")
            base = float(stream.time_base)
            if times[waiting[0]] > 0:
                start = int((times[waiting[0]] + _TOLERANCE / fps) / base)
                container.seek(start, stream=stream, backward=True)
            for frame in container.decode(stream):
                if frame.pts is None:
                    continue
                time = frame.pts * base
                picture = None
                while waiting and abs(time - times[waiting[0]]) <= _TOLERANCE / fps:
                    if picture is None:
                        picture = frame.to_ndarray(format="rgb24")
                        _check(picture, shape, f"{where}, frame {rows[waiting[0]]}")
                    found[waiting.pop(0)] = picture
                if not waiting or time > times[waiting[0]] + _TOLERANCE / fps:
                    break
    except av.error.FFmpegError as error:
        damage = error
    if waiting:
        reason = f"cannot be decoded ({damage})" if damage else "has no picture"
        raise ValueError(
            f"{where}, frame {rows[waiting[0]]}: the video {reason} at {times[waiting[0]]:.3f} s"
        )
    return np.stack([found[i] for i in range(len(times))])


def _check(picture: np.ndarray, shape: tuple[int, int, int], where: str) -> None:
    if picture.shape != shape:
        raise ValueError(
            f"{where}: picture {list(picture.shape)} found, {list(shape)} wanted by info.json"
        )
